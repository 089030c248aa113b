"""The rule by which a study leaves out what a seed would hardly solve, read back from rows."""

from collections.abc import Mapping, Sequence

FAILURES = 2
"""Failures in a row after which a seed's longer lags need not be run to be counted as not solved."""


def skipped(solved: Mapping[int, bool], levels: Sequence[int]) -> tuple[int, ...]:
    """The levels that a seed was skipped and that count as not solved.

    They are all above its last one, if it has every level up to there and did not solve the last two.

    Args:
        solved: whether the seed solved, by level, as far as it was run.
        levels: every level of the sequence, rising.

    Example:
        >>> skipped({16: True, 32: False, 64: False}, [16, 32, 64, 128, 256])
        (128, 256)
        >>> skipped({16: True, 32: False}, [16, 32, 64])
        ()
    """
    ran = [level for level in levels if level in solved]
    whole = len(ran) >= FAILURES and ran == list(levels[: len(ran)])
    return tuple(levels[len(ran) :]) if whole and not any(solved[level] for level in ran[-FAILURES:]) else ()
