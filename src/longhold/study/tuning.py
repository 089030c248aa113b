"""Choosing a learning rate from rows, and how wide the workable window is."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from longhold.study.plan import Tuning
from longhold.study.row import Row

WORKABLE = 0.5
"""The share of tuning seeds that solve from which a learning rate counts as workable."""

_FAILED = -1.0  # stands for the recall of a run that has none: below guessing


def best_rate(rows: Mapping[float, Sequence[Row]]) -> float:
    """The learning rate that tuning chooses: see `Tuning` for the rule. `rows` are an arm's tuning runs by rate."""
    return max(rows, key=lambda lr: (*_merit(rows[lr]), -lr))


def _merit(rows: Sequence[Row]) -> tuple[float, ...]:
    steps = statistics.fmean(row.solved_step if row.solved_step is not None else row.steps for row in rows)
    recall = statistics.fmean(_FAILED if row.recall is None else row.recall for row in rows)
    return sum(row.solved for row in rows), -steps, recall


def wider(tuning: Tuning, rates: Sequence[float], best: float) -> float | None:
    """One more rate beyond the edge at which the best one lies; None where it lies inside, or enough were added."""
    if len(rates) - len(tuning.grid) >= tuning.widen:
        return None
    if best == max(rates):
        return _rounded(best * tuning.factor)
    return _rounded(best / tuning.factor) if best == min(rates) else None


def _rounded(lr: float) -> float:
    return float(f"{lr:.4g}")


@final
@dataclass(frozen=True)
class Window:
    """The learning rates that work for an arm."""

    lowest: float
    """The lowest that was tried and works."""
    highest: float
    """The highest, with all between them working."""
    open_below: bool
    """Whether no lower one was tried."""
    open_above: bool
    """Whether no higher one was tried."""

    @property
    def factor(self) -> float:
        """`highest / lowest`, at least; 1 where a single rate works."""
        return self.highest / self.lowest


def workable_window(rows: Sequence[Row], share: float = WORKABLE) -> Window | None:
    """The stretch of neighbouring rates around the best one at which at least `share` of the seeds solve.

    Args:
        rows: the tuning runs of one arm in one experiment.
        share: what counts as working.

    Returns:
        None where the best rate does not work either.
    """
    by_rate: dict[float, list[Row]] = {}
    for row in rows:
        by_rate.setdefault(row.lr, []).append(row)
    works = {lr: statistics.fmean(row.solved for row in found) >= share for lr, found in sorted(by_rate.items())}
    rates = list(works)
    low = high = rates.index(best_rate(by_rate))
    if not works[rates[low]]:
        return None
    while low > 0 and works[rates[low - 1]]:
        low -= 1
    while high < len(rates) - 1 and works[rates[high + 1]]:
        high += 1
    return Window(rates[low], rates[high], low == 0, high == len(rates) - 1)
