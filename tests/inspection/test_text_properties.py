"""Properties of texts, written out by hand."""

import pytest

from longhold.inspection import text_properties


def ones(text: str, name: str) -> str:
    return "".join("1" if held else "0" for held in text_properties(text)[name])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a "b" c "d', "0011000011"),
        ("“a “b” c", "11111000"),
        ("「是」不「是", "110011"),
        ('"a\n\nb', "11100"),
        ("it's", "0000"),
        ("”a“", "001"),
    ],
)
def test_quotes(text: str, expected: str) -> None:
    assert ones(text, "quotes") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a(b[c]d)e", "011111100"), ("([)]", "1111"), (")a(", "001"), ("（一）", "110"), ("{(x)}", "11110")],
)
def test_brackets(text: str, expected: str) -> None:
    assert ones(text, "brackets") == expected


def test_numbers() -> None:
    found = text_properties("  ab c\n\tif 甲乙\n")
    assert found["line_position"].tolist() == [1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 0]
    assert found["indentation"].tolist() == [1, 2, 2, 2, 2, 2, 0, 1, 1, 1, 1, 1, 1, 0]
    assert found["word_position"].tolist() == [0, 0, 1, 2, 0, 1, 0, 0, 1, 2, 0, 1, 2, 0]


def test_an_empty_text_has_empty_properties() -> None:
    assert {name: len(values) for name, values in text_properties("").items()} == dict.fromkeys(
        ("quotes", "brackets", "line_position", "indentation", "word_position"), 0
    )
