from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longhold.data.tokenizers import TOKENIZERS, tokenizer_from_dict, train_tokenizer
from longhold.errors import InputError

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_kind_is_trained_by_name(kind: str) -> None:
    tokenizer = train_tokenizer(kind, "hello hello hello", 259 if kind != "byte" else None)
    assert tokenizer.kind == kind
    assert tokenizer.vocab_size == (256 if kind == "byte" else 259 if kind != "word" else 258)


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(InputError, match="char, byte, word, bpe, got 'sentence'"):
        train_tokenizer("sentence", "text")
    with pytest.raises(InputError, match="got 'sentence'"):
        tokenizer_from_dict({"kind": "sentence"})


def test_bytes_have_one_size() -> None:
    assert train_tokenizer("byte", "text", 256).vocab_size == 256
    with pytest.raises(InputError, match="256, got 300"):
        train_tokenizer("byte", "text", 300)


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"kind": 3},
        {"kind": ["char"]},
        {"kind": "byte", "more": 1},
        {"kind": "char", "characters": "ab"},
        {"kind": "char", "characters": "ba", "fallback": True},
        {"kind": "char", "characters": "aa", "fallback": True},
        {"kind": "char", "characters": "ab", "fallback": 1},
        {"kind": "char", "characters": "\ud800", "fallback": True},
        {"kind": "char", "characters": "", "fallback": False},
        {"kind": "word", "words": "ab"},
        {"kind": "word", "words": [1]},
        {"kind": "bpe", "model": {}},
    ],
)
def test_malformed_tokenizers_are_refused(data: Any) -> None:
    with pytest.raises(InputError):
        tokenizer_from_dict(data)


@given(kind=st.sampled_from(TOKENIZERS), data=st.dictionaries(st.text(), json_values), value=json_values)
def test_only_the_input_error_is_raised(kind: str, data: dict[str, Any], value: Any) -> None:
    entries = {"char": {"characters": value, "fallback": True}, "word": {"words": value}, "bpe": {"model": value}}
    for entry in (data | {"kind": kind}, {"kind": kind, **entries.get(kind, {})}):
        try:
            tokenizer = tokenizer_from_dict(entry)
        except InputError:
            continue
        assert tokenizer.to_dict() == entry
