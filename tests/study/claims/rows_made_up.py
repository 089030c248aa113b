"""Rows of studies that never ran, as flat JSON."""

from collections.abc import Sequence
from typing import Any

from longhold.study.claims import Claim, Family, claims
from tests.study.columns import row_of

Row = dict[str, Any]


def row(
    arm: str, seed: int, lag: int | None = 64, solved: bool = True, recall: float | None = None, **more: Any
) -> Row:
    """A row of one-symbol recall under the trained protocol."""
    figure = (0.98 if solved else 0.02) if recall is None else recall
    made: Row = {
        "plan": "made up",
        "protocol": "trained",
        "task": {"name": "recall", "lag": lag, "symbols": 8},
        "cell": arm.split()[0],
        "init": arm.split()[-1],
        "arm": arm,
        "hidden_size": 40,
        "parameters": 7012,
        "lr": 0.003,
        "steps": 1500,
        "steps_used": 600 if solved else 1500,
        "solved": solved,
        "solved_step": 600 if solved else None,
        "lag": lag,
        "recall": figure,
        "score": 0.125 + 0.875 * figure,
        "chance": 0.125,
        "test_sequences": 1024,
        "by_lag": [],
        "seed": seed,
        "error": None,
    }
    return {**made, **more}


def rows(arm: str, solved: Sequence[bool], lag: int | None = 64, first_seed: int = 0, **more: Any) -> list[Row]:
    """A row per seed."""
    return [row(arm, first_seed + seed, lag, done, **more) for seed, done in enumerate(solved)]


def swapped(given: Sequence[Row], a: str, b: str) -> list[Row]:
    """The same rows with the labels of two arms exchanged."""
    other = {a: b, b: a}
    return [{**one, "arm": other.get(one["arm"], one["arm"])} for one in given]


def claimed(given: Sequence[Row], family: Family) -> list[Claim]:
    """What `claims` says to these rows."""
    return claims(map(row_of, given), family)
