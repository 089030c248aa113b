"""Readings of the same bytes set beside each other."""

import pytest

from longhold.data.plausibility import best_reading


@pytest.mark.parametrize(
    ("written", "misread"),
    [
        ("the Acme™ filter", "the Acmeô filter"),
        ("it’s late", "itÕs late"),
        ("a naïve café", "a naÃ¯ve cafÃ©"),
        ("DIE MÜLLERIN", "DIE MüLLERIN"),
        ("20 € each", "20 Ä each"),
        ("Größe und Straße", "Gr÷▀e und Stra▀e"),
        ("Привет, как дела?", "оПХБЕР, ЙЮЙ ДЕКЮ?"),
        ("Zażółć gęślą jaźń", "Za¿ó³æ gêœl¹ jaŸñ"),
        ("Καλημέρα σας", "Κάλθέίρα σας"),
        ("我们在学习", "扂蠅婓悝炾"),
        ("これは日本語です", "偙傟偼擔杮岅偱偡"),
        ("이것은 한국어", "捞巴篮 茄惫绢"),
        ("a─────b", "aÄÄÄÄÄb"),
    ],
)
def test_what_was_written_is_likelier(written: str, misread: str) -> None:
    assert best_reading(written).beyond > best_reading(misread).beyond


@pytest.mark.parametrize(
    ("text", "usual", "latin"),
    [
        ("Größe und Straße für die Bäcker", "cp1252", True),
        ("Zażółć gęślą jaźń, wszyscy ludzie", "cp1250", True),
        ("Sabahın erken saatlerinde çarşıda", "cp1254", True),
        ("Привет, как дела?", "cp1251", False),
        ("בבוקר מצא האופה", "cp1255", False),
        ("我们在学习", "gb18030", False),
        ("我們在學習", "big5", False),
        ("これは日本語です", "cp932", False),
        ("이것은 한국어입니다", "cp949", False),
    ],
)
def test_the_language_says_which_encoding_is_usual(text: str, usual: str, latin: bool) -> None:
    found = best_reading(text)
    assert (found.usual, found.latin) == (usual, latin)


def test_broken_places_and_control_characters_cost() -> None:
    text = "Un café, déjà vu"
    assert best_reading(text, broken=1).beyond < best_reading(text).beyond
    assert best_reading(text.replace(",", "\x01")).score < best_reading(text).score


def test_ascii_alone_owes_nothing_to_what_is_beyond() -> None:
    assert best_reading("plain words").beyond == 0
    assert best_reading("").beyond == 0
