"""How often the guess of encodings is right, on texts that nothing in it was fitted to."""

from collections.abc import Iterable

import pytest

from longhold.data.decoding import Decoded, decode
from longhold.data.guessing import candidates, is_bearable, narrow_sample
from longhold.errors import InputError
from tests.data.encoded_texts import ENCODINGS, Trial, long_trials, short_trials

PLAIN = "The quick brown fox jumps over the lazy dog and runs away with it. "


def misread(trials: Iterable[Trial]) -> tuple[int, list[str]]:
    """How many trials there are, and the names of those that were not read as they were written."""
    count, wrong = 0, []
    for trial in trials:
        count += 1
        try:
            right = decode(trial.raw, name="a").text == trial.text
        except InputError:
            right = False
        if not right:
            wrong.append(trial.name)
    return count, wrong


def test_texts_of_200_characters_and_more(capsys: pytest.CaptureFixture[str]) -> None:
    count, wrong = misread(long_trials())
    with capsys.disabled():
        print(f"\nencodings of long texts: {count - len(wrong)} of {count} read right")
    assert all(len(trial.text) >= 200 for trial in long_trials())
    assert 1 - len(wrong) / count >= 0.97, wrong


def test_texts_of_20_to_80_characters(capsys: pytest.CaptureFixture[str]) -> None:
    count, wrong = misread(short_trials())
    with capsys.disabled():
        print(f"\nencodings of short texts: {count - len(wrong)} of {count} read right")
    assert all(20 <= len(trial.text) <= 80 for trial in short_trials())
    assert 1 - len(wrong) / count >= 0.97, wrong


def test_the_benchmark_is_broad() -> None:
    assert len({encoding for encodings in ENCODINGS.values() for encoding in encodings}) >= 12
    assert sum(1 for _ in long_trials()) + sum(1 for _ in short_trials()) >= 300


def read(text: str, encoding: str) -> Decoded:
    return decode(text.encode(encoding), name="a")


@pytest.mark.parametrize(
    "text",
    [
        "Foo™Bar™Baz™ are trademarks of Foo™ Inc.",
        "the price€ is 20€each, or €9now",
        "It’s “fine” — really…",
        "20°C, ± 2",
        "the brothers’ café",
        "word\xa0word and\xa0so on",
        "• one\n• two\n",
        "CAFÉ MÜLLER",
    ],
)
@pytest.mark.parametrize("before", [0, 3, 200], ids=["alone", "after a little", "after much"])
def test_windows_1252_is_read_as_such(text: str, before: int) -> None:
    text = PLAIN * before + text
    decoded = read(text, "cp1252")
    assert (decoded.encoding, decoded.text) == ("cp1252", text)


@pytest.mark.parametrize(
    ("text", "encoding", "usual"),
    [
        ("He said “it’s mine” — and left…", "mac_roman", "cp1252"),
        ("Les élèves français étaient très étonnés. Où êtes-vous né ?", "cp850", "cp1252"),
        ("Příliš nový kůň úpěl ďábelské ódy u řeky", "cp1250", "cp1252"),
        ("Příliš žluťoučký kůň úpěl ďábelské ódy", "iso8859_2", "cp1250"),
        ("Привет, как дела? Это русский текст для проверки.", "koi8_r", "cp1251"),
        ("Καλημέρα, τι κάνεις; Άκουσα ότι έρχεσαι αύριο.", "iso8859_7", "cp1253"),
    ],
)
def test_the_usual_encoding_is_always_named(text: str, encoding: str, usual: str) -> None:
    decoded = read(text, encoding)
    assert (decoded.encoding, decoded.text) == (encoding, text)
    assert usual in decoded.others
    assert encoding not in decoded.others


def test_encodings_that_give_the_same_text_are_no_others() -> None:
    assert "cp1250" not in read("a café", "cp1252").others
    assert "gbk" not in read("这是一个用简体中文写成的短文。", "gb18030").others


def test_utf_8_is_no_other_where_it_would_be_refused() -> None:
    assert "utf-8" not in read(PLAIN + "café", "cp1252").others


def test_one_character_far_inside_a_long_text_decides() -> None:
    text = PLAIN * 2000 + "Un café déjà vu. " + PLAIN * 6000
    assert len(text) > 400_000
    for encoding in ("cp1252", "mac_roman"):
        assert read(text, encoding).text == text
    assert read(text, "cp1252").preview == "...it. Un café déjà vu. The quick"


def test_a_long_text_is_sampled_from_all_over_it() -> None:
    head, tail = "Un café déjà vu. " * 9000, "Привет, как дела? " * 9000
    samples = narrow_sample(head.encode("cp1252") + tail.encode("cp1251"))
    assert sum(map(len, samples)) < 10_000
    assert any("Привет".encode("cp1251") in sample for sample in samples)


@pytest.mark.parametrize("encoding", ["gb18030", "cp932", "euc_jp"])
def test_a_sample_of_long_lines_begins_between_characters(encoding: str) -> None:
    line = "日本人中国三" * 300 if encoding == "gb18030" else "これは日本語の文章です。" * 150
    text = (line + "\n") * 40
    assert read(text, encoding).text == text


def test_what_hardly_anybody_wrote_is_no_candidate() -> None:
    assert candidates("Un café déjà vu, là. ".encode() * 9 + b" \xe9 \xe8" * 9) == []


def test_an_encoding_that_only_the_library_knows() -> None:
    assert read(PLAIN * 3, "cp037").text == PLAIN * 3


@pytest.mark.parametrize(
    ("encoding", "broken", "beyond", "cut", "bearable"),
    [
        ("utf-8", 0, 0, False, True),
        ("utf-8", 1, 1, False, True),
        ("utf-8", 1, 0, False, False),
        ("utf-8", 1, 0, True, True),
        ("utf-8", 2, 8, False, True),
        ("utf-8", 3, 8, False, False),
        ("cp1252", 1, 9, True, False),
        ("cp1252", 1, 10, False, True),
    ],
)
def test_how_much_may_be_broken(encoding: str, broken: int, beyond: int, cut: bool, bearable: bool) -> None:
    assert is_bearable(encoding, broken, beyond, cut=cut) == bearable
