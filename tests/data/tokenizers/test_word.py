import pytest
from hypothesis import given
from hypothesis import strategies as st

from longhold.data.tokenizers import WordTokenizer, split_words
from longhold.errors import InputError


@given(text=st.one_of(st.text(), st.text(alphabet=" \n\tab,.中ア1_\u3000\U00020001")))
def test_pieces_join_to_the_text(text: str) -> None:
    pieces = split_words(text)
    assert "".join(pieces) == text
    assert all(split_words(piece) == [piece] for piece in pieces)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("the cat, sat", ["the", " cat", ",", " sat"]),
        ("a  b", ["a", " ", " b"]),
        ("end.\n\n  New", ["end", ".", "\n\n ", " New"]),
        ("don't", ["don", "'", "t"]),
        ("x_1 2", ["x_1", " 2"]),
        ("学而 时习abc", ["学", "而", " 时", "习", "abc"]),
        ("wait...", ["wait", ".", ".", "."]),
        ("", []),
    ],
)
def test_pieces(text: str, pieces: list[str]) -> None:
    assert split_words(text) == pieces


def test_the_most_frequent_words_have_an_id() -> None:
    tokenizer = WordTokenizer.train("to be or not to be, to be", 258)
    assert tokenizer.words == (" be", " to")
    assert tokenizer.encode("a be").tolist() == [ord("a"), 256]
    assert tokenizer.unknown("to be or a,") == ("to", " or", " a")


def test_the_default_holds_ten_thousand() -> None:
    tokenizer = WordTokenizer.train(" ".join(f"w{n}" for n in range(12_000)))
    assert tokenizer.vocab_size == 10_000


@pytest.mark.parametrize("words", [["ab", "ab"], ["a"], ["two words"], [""]])
def test_a_wrong_vocabulary_is_refused(words: list[str]) -> None:
    with pytest.raises(InputError, match="word"):
        WordTokenizer(words)


def test_a_size_below_the_bytes_is_refused() -> None:
    with pytest.raises(InputError, match="at least 256, got 255"):
        WordTokenizer.train("some text", 255)
