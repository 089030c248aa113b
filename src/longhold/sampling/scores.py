"""How well a model predicts a text, in all and place by place."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from longhold.data.tokenizers import Tokenizer


@dataclass(frozen=True)
class Score:
    """How well a model predicts a text: its surprise, in all and per unit."""

    nats: float
    """-ln p(text), the whole text from its first token on"""
    tokens: int
    """tokens the text was cut into"""
    characters: int
    """code points of the text"""
    utf8_bytes: int
    """bytes of the text in UTF-8"""

    @property
    def bits_per_character(self) -> float:
        """`nats / ln 2 / characters`."""
        return self.nats / math.log(2) / self.characters

    @property
    def bits_per_byte(self) -> float:
        """`nats / ln 2 / utf8_bytes`; 8 is no better than no model."""
        return self.nats / math.log(2) / self.utf8_bytes

    @property
    def perplexity(self) -> float:
        """`exp(nats / tokens)`, per token, so not to be compared between tokenizers; inf beyond floats."""
        mean = self.nats / self.tokens
        return math.exp(mean) if mean < math.log(np.finfo(np.float64).max) else math.inf


@dataclass(frozen=True)
class Place:
    """A place in a text and how surprising it was."""

    position: int
    """characters before it"""
    line: int
    """which line it is on, from 1"""
    text: str
    """the place itself: the characters of one token, or one character that took several"""
    bits: float
    """-log2 p of it, given all before"""
    before: str
    """some text before it"""
    after: str
    """some text after it"""


@final
@dataclass(frozen=True, eq=False)
class Surprises:
    """The surprise of each place of a text: of each token, those of one character taken together."""

    text: str
    """what was read"""
    tokens: int
    """tokens it was cut into"""
    starts: NDArray[np.int64]
    """`(P,)` characters before each place; a place ends where the next begins"""
    bits: NDArray[np.float64]
    """`(P,)` -log2 p of each place, given all before it"""

    @property
    def score(self) -> Score:
        """All of them together."""
        nats = float(self.bits.sum()) * math.log(2)
        return Score(nats, self.tokens, characters=len(self.text), utf8_bytes=len(self.text.encode()))

    def largest(self, count: int = 10, *, context: int = 20) -> tuple[Place, ...]:
        """The `count` most surprising places, from the most surprising down, with `context` characters on each side.

        Of places within `context` characters of each other only the most surprising is named: where one letter of a
        strange word was not foreseen, the next ones seldom are.
        """
        near = np.zeros(len(self.text), dtype=bool)
        found: list[Place] = []
        for index in np.argsort(-self.bits, kind="stable"):
            if len(found) >= count:
                break
            start = int(self.starts[index])
            if not near[start]:
                near[max(0, start - context) : start + context + 1] = True
                found.append(self._place(int(index), start, context))
        return tuple(found)

    def _place(self, index: int, start: int, context: int) -> Place:
        end = int(self.starts[index + 1]) if index + 1 < len(self.starts) else len(self.text)
        return Place(
            position=start,
            line=self.text.count("\n", 0, start) + 1,
            text=self.text[start:end],
            bits=float(self.bits[index]),
            before=self.text[max(0, start - context) : start],
            after=self.text[end : end + context],
        )


def by_place(text: str, tokenizer: Tokenizer, ids: NDArray[np.int64], nats: NDArray[np.float64]) -> Surprises:
    """What is known of each token `(N,)`, as what is known of each place: a place begins where a character does."""
    lengths = np.array([len(tokenizer.token_bytes(token)) for token in range(tokenizer.vocab_size)])
    ends = np.cumsum(lengths[ids])
    begins_character = (np.frombuffer(text.encode(), dtype=np.uint8) & 0xC0) != 0x80
    character = np.cumsum(begins_character) - 1
    offsets = ends - lengths[ids]
    first = np.flatnonzero(begins_character[offsets])
    bits = np.add.reduceat(nats, first) / math.log(2)
    return Surprises(text=text, tokens=len(ids), starts=character[offsets[first]], bits=bits)
