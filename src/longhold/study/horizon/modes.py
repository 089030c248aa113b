"""Do the seeds fall into two groups, such as those that solve and those that do not?"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import final

import numpy as np

from longhold.study.statistics.estimates import Floats, sample

APART = 0.3
"""How far apart, in recall, the means of two modes are at least."""

FEWEST = 2
"""Seeds in each mode at least; a single seed apart from the others is an outlier."""

_LEVEL = 0.05
_DRAWS = 4000


@final
@dataclass(frozen=True)
class Mode:
    """A group of seeds."""

    centre: float
    """Their mean recall."""
    seeds: int
    """How many they are."""
    fraction: float
    """Of all seeds."""


@final
@dataclass(frozen=True)
class Modes:
    """How the seeds lie."""

    values: tuple[float, ...]
    """Every seed's recall, from lowest to highest."""
    low: Mode
    """The lower group of the best split in two; all seeds where their figures are all the same."""
    high: Mode
    """The upper group."""
    p_value: float
    """Of the hypothesis that the figures have one mode."""
    bimodal: bool
    """Two modes: `p_value` below 0.05, `FEWEST` seeds in each and the modes at least `APART`."""


def modes(recall: Sequence[float]) -> Modes:
    """The best split of the seeds into two groups, and whether it is more than a split of one group.

    The split is that with the least variance within groups; its proportion of explained variance is the statistic. The
    hypothesis of one mode is represented by its hard cases, a uniform distribution of which a proportion q sits on one
    end, q = 0, 0.05 ... 0.95 (the dip test of Hartigan and Hartigan, 1985, Annals of Statistics 13(1), also takes the
    uniform): runs that solve, and a tail without a gap. The p-value is the largest over the q that split into groups of
    these sizes often enough. `docs/statistics.md` has the calibration.

    Raises:
        InputError: there is no seed, or a figure is not finite.
    """
    values = np.sort(sample(recall, "recall"))
    explained, place = (float(found[0]) for found in _best_split(values[None]))
    low, high = values[: int(place)], values[int(place) :]
    cases = [case for size in {len(low), len(high)} for case in _hard_cases(len(values)).get(size, [])]
    tails = [(1 + int((case >= explained - 1e-12).sum())) / (1 + len(case)) for case in cases]
    p_value = max(tails, default=1.0)
    apart = bool(low.size >= FEWEST and high.size >= FEWEST and high.mean() - low.mean() >= APART)
    known = tuple(float(value) for value in values)
    return Modes(known, _mode(low, values), _mode(high, values), p_value, apart and p_value < _LEVEL)


def _mode(part: Floats, whole: Floats) -> Mode:
    centre = part if part.size else whole
    return Mode(float(centre.mean()), int(part.size), part.size / whole.size)


def _best_split(rows: Floats) -> tuple[Floats, Floats]:
    """Of sorted rows `(R, n)`: explained proportion of variance, size of the lower group; 0 and n without variance."""
    count = rows.shape[1]
    total = rows.var(axis=1) * count
    if count < 2:
        return np.zeros(len(rows)), np.full(len(rows), float(count))
    lower = np.arange(1, count)
    left = rows.cumsum(axis=1)[:, :-1]
    gap = left / lower - (rows.sum(axis=1, keepdims=True) - left) / (count - lower)
    between = lower * (count - lower) / count * gap**2  # (R, n - 1)
    varied = total > 1e-15
    explained = np.where(varied, between.max(axis=1) / np.where(varied, total, 1.0), 0.0)
    return explained, np.where(varied, between.argmax(axis=1) + 1.0, float(count))


@lru_cache(maxsize=64)
def _hard_cases(count: int) -> dict[int, list[Floats]]:
    """By size of the lower group: the statistic under each hard case that splits so at least once in ten."""
    rng, found = np.random.default_rng(0), dict[int, list[Floats]]()
    for on_the_end in np.arange(0, 1, 0.05):
        draws = np.where(rng.random((_DRAWS, count)) < on_the_end, 1.0, rng.random((_DRAWS, count)))
        explained, sizes = _best_split(np.sort(draws, axis=1))
        for size in range(1, count):
            case = explained[sizes == size]
            if len(case) >= _DRAWS / 10:
                found.setdefault(size, []).append(case)
    return found
