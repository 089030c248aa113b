"""Places of a text, worked out by hand."""

import math

import numpy as np
import pytest

from longhold.data.tokenizers import BPETokenizer, ByteTokenizer, CharTokenizer, Tokenizer, WordTokenizer
from longhold.sampling.scores import Score, by_place

TEXT = "naïve 其眼 ☃!\nThe end.\n"
TOKENIZERS: dict[str, Tokenizer] = {
    "char": CharTokenizer("Tadehnv其 .\n"),
    "byte": ByteTokenizer(),
    "word": WordTokenizer([" 其", "The", " end"]),
    "bpe": BPETokenizer.train("The end. 其眼 " * 9, 270),
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_places_join_to_the_text_and_their_bits_to_the_sum(name: str) -> None:
    """Each token's nats are its own power of two, so a sum tells which tokens are in it."""
    tokenizer = TOKENIZERS[name]
    ids = tokenizer.encode(TEXT)
    nats = 2.0 ** np.arange(len(ids))
    found = by_place(TEXT, tokenizer, ids, nats)
    ends = [*found.starts[1:].tolist(), len(TEXT)]
    pieces = [TEXT[start:end] for start, end in zip(found.starts.tolist(), ends, strict=True)]
    assert "".join(pieces) == TEXT
    assert all(pieces)
    tokens = iter(range(len(ids)))
    for piece, bits in zip(pieces, found.bits, strict=True):
        raw, total = b"", 0.0
        while raw != piece.encode():
            index = next(tokens)
            raw += tokenizer.token_bytes(int(ids[index]))
            total += nats[index]
        assert bits == pytest.approx(total / math.log(2))
    assert next(tokens, None) is None
    assert found.score == Score(pytest.approx(nats.sum()), len(ids), len(TEXT), len(TEXT.encode()))


def test_a_character_in_bytes_is_one_place() -> None:
    tokenizer = ByteTokenizer()
    ids = tokenizer.encode("a其b")
    found = by_place("a其b", tokenizer, ids, np.log(2) * np.array([1.0, 2, 3, 4, 5]))
    np.testing.assert_allclose(found.bits, [1, 9, 5])
    assert found.starts.tolist() == [0, 1, 2]
    (place,) = found.largest(1, context=1)
    assert (place.text, place.before, place.after, place.position, place.line) == ("其", "a", "b", 1, 1)


def test_the_largest_are_in_order_apart_and_know_their_line() -> None:
    text = "ab\ncd\nefgh"
    bits = np.array([5.0, 1, 0, 9, 8, 0, 2, 2, 0, 7])
    found = by_place(text, CharTokenizer(text), CharTokenizer(text).encode(text), bits * np.log(2))
    assert [(p.text, p.line) for p in found.largest(3, context=0)] == [("c", 2), ("d", 2), ("h", 3)]
    near = found.largest(9, context=2)
    assert [(p.text, p.position) for p in near] == [("c", 3), ("h", 9), ("a", 0), ("e", 6)]
    assert (near[0].before, near[0].after) == ("b\n", "d\n")
    assert found.largest(0) == ()
    assert len(found.largest(100, context=0)) == len(text)


def test_a_perplexity_beyond_floats_is_infinite() -> None:
    assert Score(nats=1e6, tokens=1, characters=1, utf8_bytes=1).perplexity == math.inf
    assert Score(nats=700.0, tokens=1, characters=1, utf8_bytes=1).perplexity == pytest.approx(math.exp(700))
