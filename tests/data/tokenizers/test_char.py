import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longhold.data.held_text import HeldText
from longhold.data.tokenizers import CharTokenizer
from longhold.data.tokenizers.char import rare_count
from longhold.errors import InputError


def slow_encode(tokenizer: CharTokenizer, text: str) -> list[int]:
    """One character after the other."""
    ids = []
    for character in text:
        if character in tokenizer.characters:
            ids.append(tokenizer.characters.index(character))
        else:
            ids.extend(len(tokenizer.characters) + byte for byte in character.encode())
    return ids


@given(
    vocabulary=st.text(alphabet="abc é中\U0001f600\n"), text=st.text(alphabet="abcd éè中文\U0001f600\U0001f601\n\x00")
)
def test_ids_equal_a_slow_loop(vocabulary: str, text: str) -> None:
    tokenizer = CharTokenizer(vocabulary)
    assert tokenizer.encode(text).tolist() == slow_encode(tokenizer, text)


@given(first=st.text(), second=st.text())
def test_ids_of_a_sum_are_the_sum_of_ids(first: str, second: str) -> None:
    encode = CharTokenizer(first[:3]).encode
    assert np.array_equal(encode(first + second), np.concatenate([encode(first), encode(second)]))


def test_characters_are_sorted_by_code_point() -> None:
    tokenizer = CharTokenizer.train("banana 中é", fallback=False)
    assert tokenizer.characters == " abné中"
    assert tokenizer.vocab_size == 6
    assert tokenizer.encode("nab").tolist() == [3, 1, 2]


def test_a_closed_vocabulary_names_what_it_lacks() -> None:
    tokenizer = CharTokenizer("abc", fallback=False)
    assert tokenizer.unknown("axbyax") == ("x", "y")
    with pytest.raises(InputError, match=r"vocabulary of 3 characters: \('x', 'y'\)$"):
        tokenizer.encode("axby")


def test_unknown_characters_are_reported_though_they_are_encoded() -> None:
    tokenizer = CharTokenizer("abc")
    assert tokenizer.unknown("中a中é") == ("中", "é")
    assert len(tokenizer.encode("中é")) == 5


def test_a_size_keeps_the_most_frequent_characters() -> None:
    assert CharTokenizer.train("aaabbcdd", 259).characters == "abd"
    assert CharTokenizer.train("aaabbcdd", 2, fallback=False).characters == "ab"
    with pytest.raises(InputError, match="at least 257, got 256"):
        CharTokenizer.train("abc", 256)


def test_an_empty_closed_vocabulary_is_refused() -> None:
    with pytest.raises(InputError, match="at least one character"):
        CharTokenizer("", fallback=False)


def test_rare_characters_are_spelled() -> None:
    text = "aaabbcdd\U0001f600中"
    tokenizer = CharTokenizer.train(text, least_count=2)
    assert tokenizer.characters == "abd"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert len(tokenizer.encode(text)) == 7 + 1 + 4 + 3
    assert CharTokenizer.train(text, 258, least_count=2).characters == "ab"
    assert CharTokenizer.train("abc", least_count=2).characters == ""


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("abcdefg", 2),
        ("a" * 10_000 + "bbbbccccd", 5),
        ("a" * 1_000 + "bbbbccccd", 4),  # fewer than five make up 9 of 1009, fewer than four 1
        ("a" * 100 + "bbcc", 2),
        ("", 5),
    ],
)
def test_what_is_cut_is_at_most_half_a_percent(text: str, least: int) -> None:
    assert rare_count(text) == least


def test_rare_characters_are_left_out_as_by_their_count() -> None:
    text = "a" * 900 + "bbcccdddd" + "é" * 4 + "中"
    for source in (text, HeldText.of(text)):
        assert CharTokenizer.without_rare(source).to_dict() == (
            CharTokenizer.train(text, least_count=rare_count(text)).to_dict()
        )
    assert rare_count(HeldText.of(text)) == rare_count(text)
