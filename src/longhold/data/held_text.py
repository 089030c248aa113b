"""A text held once, as UTF-8, and read piece by piece."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 16
_PIECE = 1 << 18  # bytes

_BEYOND = re.compile(rb"[\x80-\xff]")
_SEAM = re.compile(r"(?<=\S\n)(?=\S)|(?<=\S)(?= \S)|(?<=[、。，！？；])(?=[\u4e00-\u9fff])")


@final
class HeldText:
    """A text of any length in as many bytes as its UTF-8; a `str` takes up to four for each character.

    A slice is a view: it holds no bytes of its own. Lone surrogates are kept, in the three bytes that UTF-8 would have
    for them.
    """

    def __init__(self, utf8: bytes | bytearray | memoryview) -> None:
        """Hold `utf8`, which is not copied and must not change."""
        self.utf8 = memoryview(utf8).toreadonly()

    @classmethod
    def of(cls, text: str | HeldText) -> HeldText:
        """`text`, held."""
        return text if isinstance(text, HeldText) else cls(text.encode("utf-8", "surrogatepass"))

    @property
    def size(self) -> int:
        """Bytes of its UTF-8."""
        return self.utf8.nbytes

    def __len__(self) -> int:
        """Characters."""
        return int(self._before[-1])

    def __str__(self) -> str:
        return _decoded(self.utf8)

    def __eq__(self, other: object) -> bool:
        return self.utf8 == other.utf8 if isinstance(other, HeldText) else NotImplemented

    def __hash__(self) -> int:
        return hash(bytes(self.utf8[:_BLOCK]))

    def __repr__(self) -> str:
        return f"HeldText({str(self[:30])!r}{', ...' if len(self) > 30 else ''})"

    def __getitem__(self, part: slice) -> HeldText:
        """The characters of a slice, which has no step."""
        start, stop, step = part.indices(len(self))
        if step != 1:
            raise ValueError(f"a held text has slices of step 1 only, got {step}")
        return HeldText(self.utf8[self._byte(start) : self._byte(max(start, stop))])

    def is_blank(self) -> bool:
        """Whether it is empty or white space."""
        return all(piece.isspace() for piece in self.pieces())

    def beyond_ascii(self) -> int:
        """Characters that are not ASCII."""
        data = np.frombuffer(self.utf8, np.uint8)
        return len(self) - sum(
            int(np.count_nonzero(data[start : start + _BLOCK] < 0x80)) for start in range(0, len(data), _BLOCK)
        )

    def first_beyond_ascii(self) -> int:
        """Where the first character stands that is not ASCII; 0 where there is none."""
        found = _BEYOND.search(self.utf8)
        return found.start() if found else 0

    def pieces(self) -> Iterator[str]:
        """All of it, in pieces of a quarter of a million characters or fewer."""
        start = 0
        while start < self.size:
            stop = self._boundary(start + _PIECE)
            yield _decoded(self.utf8[start:stop])
            start = stop

    @cached_property
    def _before(self) -> NDArray[np.int64]:
        """Characters before each block of bytes, and in all."""
        data = np.frombuffer(self.utf8, np.uint8)
        counts = [_first_bytes(data[start : start + _BLOCK]).sum() for start in range(0, len(data), _BLOCK)]
        return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)

    def _byte(self, character: int) -> int:
        """Where a character begins; the size for the one after the last."""
        if character == len(self):
            return self.size
        block = int(np.searchsorted(self._before, character, side="right")) - 1
        data = np.frombuffer(self.utf8[block * _BLOCK : (block + 1) * _BLOCK], np.uint8)
        return block * _BLOCK + int(np.flatnonzero(_first_bytes(data))[character - self._before[block]])

    def _boundary(self, near: int) -> int:
        """The first byte of the character that `near` lies in."""
        while near < self.size and self.utf8[near] & 0xC0 == 0x80:
            near -= 1
        return min(near, self.size)


def pieces(text: str | HeldText) -> Iterator[str]:
    """A text in pieces of a quarter of a million characters or fewer."""
    if isinstance(text, HeldText):
        return text.pieces()
    return (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))


def seamed(text: str | HeldText, least: int = _PIECE) -> Iterator[str]:
    """A text cut where words have a seam in any case, so that its words, taken piece by piece, are those of the whole.

    A piece has `least` characters and ends at the next seam: after a line break or before a space, with no other
    white space beside it, or after a Chinese mark of punctuation and before an ideograph.
    """
    rest = ""
    for part in pieces(text):
        start, unseen = 0, len(rest) - 1
        rest += part
        while found := _SEAM.search(rest, max(start + least, unseen)):
            yield rest[start : found.start()]
            start = found.start()
        rest = rest[start:]
    if rest:
        yield rest


def _first_bytes(data: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which bytes begin a character."""
    return np.asarray((data & 0xC0) != 0x80)


def _decoded(utf8: memoryview) -> str:
    return str(utf8, "utf-8", "surrogatepass")
