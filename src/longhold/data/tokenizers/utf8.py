"""Which ids may come next, so that what is written is UTF-8."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

GROUND: Final = 0
"""The state between two characters."""

NEVER: Final = -1
"""Where a table has no next state: the id may not come."""

# In each state the bytes that may come, from .. to, and the state after them (table 3-7 of the Unicode Standard).
_BYTES: Final = (
    (
        (0x00, 0x7F, GROUND),
        (0xC2, 0xDF, 1),
        (0xE0, 0xE0, 4),
        (0xE1, 0xEC, 2),
        (0xED, 0xED, 5),
        (0xEE, 0xEF, 2),
        (0xF0, 0xF0, 6),
        (0xF1, 0xF3, 3),
        (0xF4, 0xF4, 7),
    ),
    ((0x80, 0xBF, GROUND),),
    ((0x80, 0xBF, 1),),
    ((0x80, 0xBF, 2),),
    ((0xA0, 0xBF, 1),),
    ((0x80, 0x9F, 1),),
    ((0x90, 0xBF, 2),),
    ((0x80, 0x8F, 2),),
)
_STATES: Final = len(_BYTES)
_LOST: Final = _STATES


@final
@dataclass(frozen=True, eq=False)
class Continuations:
    """Which ids may follow each other, S states by V ids; state 0 is the one between two characters.

    An id may come in a state if a decoder of UTF-8 accepts its bytes there and some ids after it complete the character
    that it leaves open. So no overlong form, no surrogate, nothing above U+10FFFF, and no byte that the vocabulary
    cannot continue.
    """

    next: NDArray[np.int8]
    """(S, V), the state after each id; -1 where it may not come"""
    reading: NDArray[np.int8]
    """(S, V), the same for ids that are there whether they may or not: an invalid byte begins anew, as in `decode`"""

    def allowed(self, state: int) -> NDArray[np.bool_]:
        """(V,), the ids that may come."""
        found: NDArray[np.bool_] = self.next[state] != NEVER
        return found

    def after(self, ids: Sequence[int], state: int = GROUND) -> int:
        """The state after any ids."""
        for token in ids[-3:]:  # a character has four bytes at most
            state = int(self.reading[state, token])
        return state


def continuations(tokens: Sequence[bytes]) -> Continuations | None:
    """The rule for a vocabulary, given the bytes of each id; None where any id may follow any other.

    None too for a vocabulary that can write no character at all.
    """
    strict = _after_each(tokens, _byte_table(_LOST))
    alive = _completable(strict)
    following = np.where(alive[strict], strict, NEVER).astype(np.int8)
    if (following[GROUND] == GROUND).all() or (following[GROUND] == NEVER).all():
        return None
    read = _after_each(tokens, _resuming(_byte_table(_LOST)))
    return Continuations(following, np.where(alive[read], read, GROUND).astype(np.int8))


def _byte_table(lost: int) -> NDArray[np.uint8]:
    """(S + 1, 256), the state after each byte in each state; from `lost` nothing leads back."""
    table = np.full((_STATES + 1, 256), lost, dtype=np.uint8)
    for state, ranges in enumerate(_BYTES):
        for first, last, after in ranges:
            table[state, first : last + 1] = after
    return table


def _resuming(table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The table where a byte that is out of place is read as the first of a character, or passed over."""
    anew = np.where(table[GROUND] == _LOST, GROUND, table[GROUND])
    return np.where(table == _LOST, anew, table).astype(np.uint8)


def _after_each(tokens: Sequence[bytes], table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(S, V), the state after the bytes of each token."""
    states = np.repeat(np.arange(_STATES, dtype=np.uint8)[:, None], len(tokens), axis=1)
    lengths = np.array([len(token) for token in tokens], dtype=np.int64)
    data = np.frombuffer(b"".join(tokens), dtype=np.uint8)
    starts = np.cumsum(lengths) - lengths
    for position in range(lengths.max(initial=0)):
        longer = np.flatnonzero(lengths > position)
        states[:, longer] = table[states[:, longer], data[starts[longer] + position]]
    return states


def _completable(strict: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(S + 1,), whether some tokens lead from a state to the end of a character."""
    alive = np.zeros(_STATES + 1, dtype=bool)
    alive[GROUND] = True
    for _ in range(_STATES):
        alive[:_STATES] |= alive[strict].any(axis=1)
    return alive
