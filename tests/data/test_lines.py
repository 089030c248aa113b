"""A text as it is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longhold.data import Corpus
from longhold.data.decoding import decode
from longhold.data.lines import as_read
from longhold.errors import InputError


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a\r\nb\rc\n", "a\nb\nc\n"),
        ("\r\r\n\n\r", "\n\n\n\n"),
        ("\ufeffa\ufeff\r", "a\ufeff\n"),
        ("\u2028\x85\x0b\x0c", "\u2028\x85\x0b\x0c"),
        ("", ""),
    ],
)
def test_line_ends_are_line_feeds_and_marks_go(text: str, read: str) -> None:
    assert as_read(text) == read


@given(text=st.text(alphabet="\r\n\ufeffa é", max_size=12))
def test_files_corpora_and_texts_at_hand_are_read_alike(text: str) -> None:
    read = as_read(text)
    assert as_read(read) == read
    assert decode(text.encode(), name="a").text == read
    assert decode(text.encode("utf-16"), name="a").text == read
    assert Corpus("a", text).text == read


@pytest.mark.parametrize("wrong", [None, 5, b"a", ["a"], {"a": 1}])
def test_what_is_no_text_is_refused(wrong: object) -> None:
    with pytest.raises(InputError, match=f"^it should be a str, got {type(wrong).__name__}$"):
        as_read(wrong, "it")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="should be a str"):
        Corpus("a", wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="the name of a text should be a str"):
        Corpus(wrong, "a")  # type: ignore[arg-type]
