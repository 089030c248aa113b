"""The trained horizon: a fresh model at every lag, and the lag at which half of the seeds no longer solve it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from longhold.errors import InputError
from longhold.inspection.h50 import rising_p_value
from longhold.study.horizon.levels import skipped
from longhold.study.statistics import CONFIDENCE, DRAWS, Estimate, Interval, Proportion
from longhold.study.statistics.estimates import Floats, fraction

HALF = 0.5
"""The proportion of solving seeds at which the horizon is read."""

Solved = NDArray[np.bool_]


@final
@dataclass(frozen=True)
class Outcomes:
    """Which seeds solved which lags: one model for each entry."""

    lags: tuple[int, ...]
    """`K` lags in steps, rising."""
    solved: Solved
    """`(n, K)`: whether each seed solved each lag."""
    stopped: int = 0
    """Entries that were not run and count as not solved, since the seed had failed at two shorter lags in a row."""
    incomplete: tuple[int, ...] = ()
    """Seeds left out for lack of a row at some lag."""


@final
@dataclass(frozen=True)
class TrainedHorizon:
    """Where the proportion of seeds that solve crosses one half."""

    horizon: Estimate
    """In steps. An end of the interval, or the value, beyond the grid is 0 (below it) or infinite (above it)."""
    lags: tuple[int, ...]
    """The grid."""
    proportions: tuple[Proportion, ...]
    """Seeds that solved, lag by lag."""
    rising_p_value: float
    """Of the hypothesis that the proportion of solving seeds never rises with the lag."""

    @property
    def left_censored(self) -> bool:
        """Fewer than half solve the shortest lag: the horizon is below it, which is not to say 0."""
        return self.horizon.value == 0

    @property
    def right_censored(self) -> bool:
        """Half or more solve even the longest lag: the horizon is at least that."""
        return math.isinf(self.horizon.value)

    @property
    def nonmonotone(self) -> bool:
        """The proportion rises again at longer lags by more than chance allows, so one number is not enough."""
        return self.rising_p_value < 1 - self.horizon.interval.confidence

    def __str__(self) -> str:
        ends = self.horizon.interval
        low, high = (describe(end, self.lags) for end in (ends.low, ends.high))
        return f"{describe(self.horizon.value, self.lags)} ({low} to {high})"


def describe(value: float, lags: tuple[int, ...]) -> str:
    """A horizon as it is printed: `90`, `>= 512` or `< 16`."""
    if math.isinf(value):
        return f">= {lags[-1]}"
    return f"< {lags[0]}" if value < lags[0] else f"{value:.0f}"


def outcomes(solved: Mapping[int, Mapping[int, bool]]) -> Outcomes:
    """The table of a group of seeds, from `solved[seed][lag]`.

    A study may stop after two failed lags. A seed that has no row at the longest lags and did not solve the two longest
    that it has counts as not solving the rest. A seed with any other gap is left out.

    Raises:
        InputError: no seed has a row at every lag.
    """
    lags = tuple(sorted({lag for one in solved.values() for lag in one}))
    rows, stopped, incomplete = [], 0, []
    for seed, known in sorted(solved.items()):
        left_out = skipped(known, lags)
        if len(known) + len(left_out) < len(lags):
            incomplete.append(seed)
            continue
        stopped += len(left_out)
        rows.append([known.get(lag, False) for lag in lags])
    if not rows:
        raise InputError(f"no seed has a row at every lag of {list(lags)}: expected at least one")
    return Outcomes(lags, np.array(rows, dtype=bool), stopped, tuple(incomplete))


def trained_horizon(
    group: Outcomes, confidence: float = CONFIDENCE, resamples: int = DRAWS, seed: int = 0
) -> TrainedHorizon:
    """The lag at which p(L), the proportion of seeds that solve lag L, crosses one half.

    p is made falling by isotonic regression and interpolated linearly in log2 L between the last lag at which at least
    half solve and the next. No curve is fitted and nothing extrapolated: a horizon off the grid is censored.

    The interval is by bootstrap over whole seeds, drawn from the seeds and two pseudo-seeds of half a seed's weight, of
    which one solves every lag and one none (compare `with_pseudo_seeds`): if all seeds solve one lag and none the next,
    the seeds alone would give an interval without width. At 10 seeds it covers 95 to 98 % where the seeds alone give 90
    to 96 %.
    """
    tail = (1 - fraction(confidence, "confidence")) / 2
    draws = bootstrapped(group, resamples, seed)
    low, high = np.quantile(draws, [tail, 1 - tail], method="inverted_cdf")
    proportions = group.solved.mean(axis=0)
    return TrainedHorizon(
        Estimate(crossing(group.lags, group.solved), Interval(float(low), float(high), confidence)),
        group.lags,
        tuple(Proportion(int(count), len(group.solved)) for count in group.solved.sum(axis=0)),
        rising_p_value(proportions, len(group.solved)),
    )


def crossing(lags: tuple[int, ...], solved: Solved) -> float:
    """The horizon of one table `(n, K)`, in steps; 0 below the grid, infinite beyond it."""
    return float(crossings(lags, solved.sum(axis=0)[None], len(solved))[0])


def bootstrapped(group: Outcomes, resamples: int = DRAWS, seed: int = 0) -> Floats:
    """`(resamples,)` horizons of seeds drawn again; see `trained_horizon`."""
    lags, count = group.lags, len(group.solved)
    doubled = np.repeat(group.solved, 2, axis=0)  # so that a pseudo-seed counts half
    more = np.vstack([doubled, np.ones((1, len(lags)), dtype=bool), np.zeros((1, len(lags)), dtype=bool)])
    picked = np.random.default_rng(seed).integers(len(more), size=(resamples, count))
    return crossings(lags, more[picked].sum(axis=1), count)


def crossings(lags: tuple[int, ...], counts: NDArray[np.int64], seeds: int) -> Floats:
    """`(R,)` horizons from `(R, K)` counts of solving seeds."""
    falling = isotonic(counts / seeds)
    held = (falling >= HALF - 1e-12).sum(axis=1)  # of a falling curve these are the first
    last = np.clip(held, 1, len(lags) - 1)
    rows, octaves = np.arange(len(counts)), np.log2(lags)
    above, below = falling[rows, last - 1], falling[rows, last % len(lags)]
    part = ((above - HALF) / np.where(above > below, above - below, 1.0)).clip(0, 1)
    inside = 2 ** (octaves[last - 1] + part * (octaves[last % len(lags)] - octaves[last - 1]))
    horizons: Floats = np.select([held == 0, held == len(lags)], [0.0, np.inf], inside)
    return horizons


def isotonic(rows: Floats) -> Floats:
    r"""`(R, K)` the least-squares sequences that never rise, of many rows at once.

    \(g_i = \min_{a \le i} \max_{b \ge i} \mathrm{mean}(y_a \ldots y_b)\) (Robertson, Wright and Dykstra 1988, section
    1.4): what `scipy.optimize.isotonic_regression` gives for one row, without a call for each of thousands of draws.
    """
    size = rows.shape[1]
    sums = np.concatenate([np.zeros((len(rows), 1)), rows.cumsum(axis=1)], axis=1)
    means = np.full((size, size, len(rows)), -np.inf)  # (first, last, R)
    for first in range(size):
        for last in range(first, size):
            means[first, last] = (sums[:, last + 1] - sums[:, first]) / (last + 1 - first)
    best = np.maximum.accumulate(means[:, ::-1], axis=1)[:, ::-1]  # the largest with at least this last
    levels = [best[: place + 1, place].min(axis=0) for place in range(size)]
    return np.stack(levels, axis=1)
