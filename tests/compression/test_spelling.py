"""Bytes as symbols."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longhold.compression.spelling import Spelling
from longhold.data.tokenizers import BPETokenizer, ByteTokenizer, CharTokenizer, Tokenizer, WordTokenizer

TOKENIZERS: dict[str, Tokenizer] = {
    "characters": CharTokenizer("abc 中文😀\n"),
    "closed characters": CharTokenizer("abc]^-\\ 中文😀\n", fallback=False),
    "bytes": ByteTokenizer(),
    "words": WordTokenizer.train("the cat saw the cat 中文 the"),
    "byte pairs": BPETokenizer.train("the cat sat on the mat " * 5, 280),
}


def spelling_of(tokenizer: Tokenizer) -> Spelling:
    return Spelling([tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)])


MIXED = st.one_of(
    st.binary(max_size=30),
    st.text(alphabet="abc]^-\\ 中文😀\néשx", max_size=20).map(str.encode),
    st.lists(
        st.one_of(st.binary(max_size=3), st.sampled_from([b"the cat", "中".encode(), b"a\xe4\xb8"])), max_size=6
    ).map(b"".join),
)


@settings(max_examples=60)
@given(MIXED)
@pytest.mark.parametrize("kind", TOKENIZERS)
def test_any_bytes_come_back(kind: str, data: bytes) -> None:
    tokenizer = TOKENIZERS[kind]
    spelling = spelling_of(tokenizer)
    symbols = spelling.symbols(data, tokenizer)
    assert spelling.data(symbols) == data
    assert len(symbols) == 0 or 0 <= symbols.min() <= symbols.max() < spelling.vocab_size + spelling.escapes


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_text_is_cut_as_the_tokenizer_cuts_it(kind: str) -> None:
    tokenizer, text = TOKENIZERS[kind], "cab 中文\n"
    assert spelling_of(tokenizer).symbols(text.encode(), tokenizer).tolist() == tokenizer.encode(text).tolist()


def test_only_what_the_tokens_cannot_spell_escapes() -> None:
    closed, open_ = TOKENIZERS["closed characters"], TOKENIZERS["characters"]
    spelling = spelling_of(closed)
    assert spelling.escapes == 256
    assert spelling_of(open_).escapes == 0
    V = closed.vocab_size
    a = int(closed.encode("a")[0])
    assert spelling.symbols(b"a\xffa\xc3\xa9a", closed).tolist() == [a, V + 0xFF, a, V + 0xC3, V + 0xA9, a]
    first = open_.vocab_size - 256
    letter = int(open_.encode("a")[0])
    assert spelling_of(open_).symbols(b"a\xff", open_).tolist() == [letter, first + 0xFF]


class Changing(CharTokenizer):
    """A tokenizer that is not reversible, as none of ours is."""

    def encode(self, text: str):  # type: ignore[no-untyped-def]
        return super().encode(text.replace("b", "a"))


def test_a_tokenizer_that_changes_text_is_passed_over() -> None:
    tokenizer = Changing("ab")
    spelling = spelling_of(tokenizer)
    assert spelling.data(spelling.symbols(b"abba", tokenizer)) == b"abba"
