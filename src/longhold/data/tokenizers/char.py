"""Characters: one id per code point."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar, final

import numpy as np

from longhold.data.tokenizers.base import Ids, Tokenizer, require_id, require_keys, utf8
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
        self._codes = _code_points(self.characters)

    @classmethod
    def train(
        cls, text: str, vocab_size: int | None = None, fallback: bool = True, least_count: int = 1
    ) -> CharTokenizer:
        """The characters of `text` that stand there `least_count` times or more, or the most frequent ones of them that
        fit `vocab_size` (the byte ids count)."""
        utf8(text)
        counts = Counter({character: count for character, count in Counter(text).items() if count >= least_count})
        if vocab_size is None:
            return cls("".join(counts), fallback)
        room = vocab_size - 256 * fallback
        if room < 1:
            raise InputError(f"vocab_size of characters must be at least {1 + 256 * fallback}, got {vocab_size}")
        return cls("".join(sorted(counts, key=lambda c: (-counts[c], c))[:room]), fallback)

    @property
    def vocab_size(self) -> int:
        return len(self.characters) + 256 * self.fallback

    def encode(self, text: str) -> Ids:
        codes = _code_points(text)
        ids = np.searchsorted(self._codes, codes).astype(np.int64)
        known = self._known(codes, ids)
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

    def _known(self, codes: np.ndarray, ids: Ids) -> np.ndarray:
        if not self.characters:
            return np.zeros(len(codes), dtype=bool)
        return np.asarray(self._codes[np.minimum(ids, len(self._codes) - 1)] == codes)

    def _with_bytes(self, ids: Ids, known: np.ndarray, codes: np.ndarray) -> Ids:
        width = np.where(known, 1, 1 + (codes > 0x7F) + (codes > 0x7FF) + (codes > 0xFFFF))
        starts = np.cumsum(width) - width
        out = np.empty(int(width.sum()), dtype=np.int64)
        out[starts[known]] = ids[known]
        for position in np.flatnonzero(~known):
            raw = chr(codes[position]).encode("utf-8")
            out[starts[position] : starts[position] + len(raw)] = np.array(list(raw)) + len(self.characters)
        return out


def rare_count(text: str) -> int:
    """How often a character of `text` must stand there to be worth an id of its own; rarer ones are better spelled.

    A character seen once teaches its row nothing, while its bytes teach the model to spell, which it needs for every
    character that it never saw: so at least 2. Of a longer text up to 5, as long as what is cut makes up no more than
    half a percent.
    """
    counts = Counter(text).values()
    cut = [(least, sum(count for count in counts if count < least)) for least in (3, 4, 5)]
    return max((least for least, characters in cut if 200 * characters <= len(text)), default=2)


def _code_points(text: str) -> np.ndarray:
    utf8(text)
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
