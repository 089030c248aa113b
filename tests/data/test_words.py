"""Which texts are written in words."""

import pytest

from longhold.data.words import WORD, is_spaced


@pytest.mark.parametrize(
    ("text", "spaced"),
    [
        ("The cat sat on the mat.", True),
        ("На берегу пустынных волн", True),
        ("안녕하세요 반갑습니다", True),
        ("春眠不觉晓，\n处处闻啼鸟。\n夜来风雨声，\n花落知多少。\n", False),
        ("春 眠 不 觉 晓", False),
        ("ภาษา ไทย เขียน ติดกัน", False),
        ("かな と 漢字", False),
        ("iPhone 和 iPad 都能看见文字处理程序里的中文内容", False),
        ("acgtacgtacgtacgtacgtacgtacgt", False),
        ("12 + 30 = 42", True),
        ("", True),
    ],
)
def test_a_text_is_spaced_by_its_script_and_its_spaces(text: str, spaced: bool) -> None:
    assert is_spaced([text]) == spaced
    assert is_spaced([text[:5], text[5:]]) == spaced


def test_words_are_letters_with_apostrophes_between_them() -> None:
    assert WORD.findall("It's 1895: l'été_là") == ["It's", "l'été", "là"]
