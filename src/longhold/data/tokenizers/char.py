"""Characters: one id per code point."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from longhold.data.held_text import HeldText, pieces
from longhold.data.tokenizers.base import Ids, Tokenizer, of_pieces, require_id, require_keys, utf8
from longhold.errors import InputError


@final
class CharTokenizer(Tokenizer):
    """One id per code point of `characters`, in the order of the code points.

    With `fallback` the last 256 ids are bytes, and a character outside the vocabulary becomes its UTF-8 bytes; without
    it the vocabulary is closed and such a character raises `InputError`.
    """

    kind: ClassVar[str] = "char"

    def __init__(self, characters: str, fallback: bool = True) -> None:
        utf8(characters)
        self.characters = "".join(sorted(set(characters)))
        self.fallback = fallback
        if not characters and not fallback:
            raise InputError("a character vocabulary needs at least one character, got none")

    @classmethod
    def train(
        cls, text: str | HeldText, vocab_size: int | None = None, fallback: bool = True, least_count: int = 1
    ) -> CharTokenizer:
        """The characters of `text` that stand there `least_count` times or more, or the most frequent ones of them that
        fit `vocab_size` (the byte ids count)."""
        counts = {character: count for character, count in _counts(text).items() if count >= least_count}
        if vocab_size is None:
            return cls("".join(counts), fallback)
        most = vocab_size - 256 * fallback
        if most < 1:
            raise InputError(f"vocab_size of characters must be at least {1 + 256 * fallback}, got {vocab_size}")
        return cls("".join(sorted(counts, key=lambda c: (-counts[c], c))[:most]), fallback)

    @classmethod
    def without_rare(cls, text: str | HeldText) -> CharTokenizer:
        """The characters of `text` but the rare ones; see `rare_count`."""
        counts = _counts(text)
        least = _rare(counts)
        return cls("".join(character for character, count in counts.items() if count >= least))

    @property
    def vocab_size(self) -> int:
        return len(self.characters) + 256 * self.fallback

    def encode(self, text: str) -> Ids:
        codes = _code_points(text)
        ids = self._id_of[np.minimum(codes, len(self._id_of) - 1)]
        known = ids >= 0
        if known.all():
            return ids
        if not self.fallback:
            raise InputError(f"not in the vocabulary of {self.vocab_size} characters: {self.unknown(text)!r:.80}")
        return self._with_bytes(ids, known, codes)

    def token_bytes(self, token: int) -> bytes:
        require_id(token, self.vocab_size)
        if token < len(self.characters):
            return self.characters[token].encode("utf-8")
        return bytes((token - len(self.characters),))

    def unknown(self, text: str) -> tuple[str, ...]:
        utf8(text)
        return tuple(c for c in dict.fromkeys(text) if c not in self.characters)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "characters": self.characters, "fallback": self.fallback}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> CharTokenizer:
        require_keys(data, cls.kind, characters=str, fallback=bool)
        tokenizer = cls(data["characters"], data["fallback"])
        if tokenizer.characters != data["characters"]:
            raise InputError("characters of a char tokenizer must be distinct and sorted by code point")
        return tokenizer

    @cached_property
    def _id_of(self) -> Ids:
        """The id of each code point up to the largest that has one, -1 where there is none; the last entry is -1."""
        codes = _code_points(self.characters)
        table = np.full(int(codes[-1]) + 2 if len(codes) else 1, -1, dtype=np.int64)
        table[codes] = np.arange(len(codes))
        return table

    def _with_bytes(self, ids: Ids, known: NDArray[np.bool_], codes: NDArray[np.uint32]) -> Ids:
        width = np.where(known, 1, 1 + (codes > 0x7F) + (codes > 0x7FF) + (codes > 0xFFFF))
        starts = np.cumsum(width) - width
        out = np.empty(int(width.sum()), dtype=np.int64)
        out[starts[known]] = ids[known]
        spelled = np.repeat(~known, width)
        raw = codes[~known].astype("<u4").tobytes().decode("utf-32-le").encode("utf-8")
        out[spelled] = np.frombuffer(raw, np.uint8).astype(np.int64) + len(self.characters)
        return out


def rare_count(text: str | HeldText) -> int:
    """How often a character of `text` must stand there to be worth an id of its own; rarer ones are better spelled.

    A character seen once teaches its row nothing, while its bytes teach the model to spell, which it needs for every
    character that it never saw: so at least 2. Of a longer text up to 5, as long as what is cut makes up no more than
    half a percent.
    """
    return _rare(_counts(text))


def _rare(counts: dict[str, int]) -> int:
    cut = [(least, sum(count for count in counts.values() if count < least)) for least in (3, 4, 5)]
    characters = sum(counts.values())
    return max((least for least, rare in cut if 200 * rare <= characters), default=2)


def _counts(text: str | HeldText) -> dict[str, int]:
    """How often each character stands in `text`."""
    counts = np.zeros(0, dtype=np.int64)
    for codes in of_pieces(pieces(text), _code_points):
        more = np.bincount(codes, minlength=len(counts))
        more[: len(counts)] += counts
        counts = more
    return {chr(code): int(counts[code]) for code in np.flatnonzero(counts)}


def _code_points(text: str) -> NDArray[np.uint32]:
    try:
        return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    except UnicodeEncodeError:
        utf8(text)
        raise
