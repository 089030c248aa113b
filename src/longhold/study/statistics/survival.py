"""Steps until a seed solves, where a seed that had not solved when its budget ended only says `later than that`."""

import math
import warnings
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from longhold.errors import InputError
from longhold.study.statistics.estimates import CONFIDENCE, Estimate, Floats, Interval, fraction, sample
from longhold.study.statistics.samples import RESAMPLES, permutation_test


@final
@dataclass(frozen=True)
class Times:
    """One time per seed, seen or censored."""

    values: Floats
    """`(n,)` the time at which each seed solved, or was last looked at."""
    seen: NDArray[np.bool_]
    """`(n,)` whether it solved then; false: censored."""

    def __post_init__(self) -> None:
        if self.values.shape != self.seen.shape:
            raise InputError(f"{self.values.size} times and {self.seen.size} marks: expected one mark for each time")
        if self.values.min() < 0:
            raise InputError(f"time {self.values.min():g}: expected 0 or more")

    @property
    def reach(self) -> float:
        """How far the Kaplan-Meier curve is known: to the last time if that is censored, else everywhere."""
        last = self.values.max()
        return math.inf if self.seen[self.values == last].all() else float(last)

    def censored_data(self) -> stats.CensoredData:
        """As scipy reads it."""
        return stats.CensoredData(uncensored=self.values[self.seen], right=self.values[~self.seen])


@final
@dataclass(frozen=True)
class Survival:
    """The Kaplan-Meier curve (1958, JASA 53) of a group of seeds and its median."""

    times: Floats
    """`(k,)` the times of the group, rising."""
    unsolved: Floats
    """`(k,)` the proportion of seeds that need longer than each."""
    median: Estimate
    """The first time by which half have solved; infinite where the curve stays above one half."""
    seeds: int
    """Seeds."""
    solved: int
    """Those not censored."""


def times(values: ArrayLike, seen: ArrayLike) -> Times:
    """Times with marks, checked.

    Raises:
        InputError: there are none, their numbers differ, or a time is negative or not finite.
    """
    return Times(sample(values, "times"), np.asarray(seen, dtype=bool))


def survival(group: Times, confidence: float = CONFIDENCE) -> Survival:
    """The Kaplan-Meier curve; its median with the interval of Brookmeyer and Crowley (1982, Biometrics 38(1)).

    That interval holds the times at which the log-log (exponential Greenwood) band of the curve contains one half.
    Where the curve has come to 0 that band is undefined; its upper edge is then the exact limit (Clopper and Pearson
    1934) of a proportion of 0 among the seeds still at risk, so that ten seeds that all solve at once have an interval
    of one time.
    """
    curve = stats.ecdf(group.censored_data()).sf
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # the band is undefined where the curve is 1 or 0
        band: Any = curve.confidence_interval(fraction(confidence, "confidence"), method="log-log")
    at, unsolved = curve.quantiles, curve.probabilities
    low = np.where(unsolved > 0, band.low.evaluate(at), 0.0)
    at_risk = int((group.values == at[-1]).sum())
    none_left = stats.binomtest(0, at_risk).proportion_ci(confidence, method="exact").high
    high = np.where(unsolved > 0, band.high.evaluate(at), none_left)
    ends = Interval(_first_below_half(at, low), _first_below_half(at, high), confidence)
    median = Estimate(_first_below_half(at, unsolved), ends)
    return Survival(at, unsolved, median, len(group.values), int(group.seen.sum()))


def restricted_times(group: Times, limit: float) -> Floats:
    """`(n,)` a figure per seed whose mean is the restricted mean: the mean of min(T, limit) under Kaplan-Meier.

    These are jackknife pseudo-observations (Andersen, Hansen and Klein 2004, Lifetime Data Analysis 10(4)),
    n m - (n - 1) m_i, where m_i is the restricted mean without seed i. Where nothing is censored before the limit they
    are min(T, limit) itself. As one figure per seed they go where any other figure per seed goes.

    Raises:
        InputError: the limit is not positive, or beyond `group.reach`, where the curve says nothing.
    """
    if not 0 < limit <= group.reach:
        raise InputError(f"limit={limit:g}: expected a time above 0 and not beyond {group.reach:g}")
    if (group.seen | (group.values >= limit)).all():
        return np.minimum(group.values, limit)
    count = len(group.values)
    others = [
        _restricted_mean(np.delete(group.values, seed), np.delete(group.seen, seed), limit) for seed in range(count)
    ]
    figures: Floats = count * _restricted_mean(group.values, group.seen, limit) - (count - 1) * np.array(others)
    return figures


def log_rank_scores(group: Times) -> Floats:
    r"""`(n,)` a score per seed whose sum over a subgroup is its observed minus its expected solvings.

    \(s_i = \delta_i - \hat H(t_i)\), with the Nelson-Aalen hazard of the whole group: the numerator of the log-rank
    statistic, one seed at a time (Peto and Peto 1972, JRSS A 135). High scores solved soon.
    """
    at_risk = (group.values[None, :] >= group.values[:, None]).sum(axis=1)
    jumps = np.where(group.seen, 1 / at_risk, 0.0)
    hazard = np.where(group.values[None, :] <= group.values[:, None], jumps[None, :], 0.0).sum(axis=1)
    scores: Floats = group.seen - hazard
    return scores


def log_rank_z(a: Times, b: Times) -> float:
    """The log-rank statistic (Mantel 1966), normal for many seeds; positive where a solves sooner, 0 if nobody does."""
    if not (a.seen.any() or b.seen.any()):
        return 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        found = float(stats.logrank(a.censored_data(), b.censored_data()).statistic)
    return found if math.isfinite(found) else 0.0


def log_rank_test(a: Times, b: Times, resamples: int = RESAMPLES, seed: int = 0) -> float:
    """The two-sided p-value of the log-rank test, its scores permuted over seeds.

    The normal approximation is for many seeds; permuting the scores keeps the level with ten (Neuhaus 1993, Annals of
    Statistics 21(4)). It needs both sides censored alike, as they are under one budget.
    """
    scores = log_rank_scores(Times(np.concatenate([a.values, b.values]), np.concatenate([a.seen, b.seen])))
    pair = (scores[: len(a.values)], scores[len(a.values) :])
    return permutation_test([pair], resamples=resamples, seed=seed)


def _first_below_half(at: Floats, proportion: Floats) -> float:
    reached = np.flatnonzero(proportion <= 0.5 + 1e-12)
    return float(at[reached[0]]) if reached.size else math.inf


def _restricted_mean(values: Floats, seen: NDArray[np.bool_], limit: float) -> float:
    curve = stats.ecdf(Times(values, seen).censored_data()).sf
    inside = curve.quantiles < limit
    edges = np.concatenate([[0.0], curve.quantiles[inside], [limit]])
    heights = np.concatenate([[1.0], curve.probabilities[inside]])
    return float(np.diff(edges) @ heights)
