"""One figure per seed, two groups of seeds: is there a difference, how large is it, could it be none?

Everything here takes `strata`: pairs `(a, b)` of samples, one pair per task, so that seeds are only ever exchanged or
compared within their task. A comparison on one task is a single pair. Strata have equal weight, whatever their seeds.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from statsmodels.stats.power import TTestIndPower

from longhold.errors import InputError
from longhold.study.statistics.estimates import (
    CONFIDENCE,
    POWER,
    Estimate,
    Floats,
    Interval,
    fraction,
    sample,
    with_pseudo_seeds,
)

RESAMPLES = 9999
"""Permutations; where there are fewer, all are used and the p-value is exact."""

DRAWS = 1999
"""Bootstrap draws."""

Strata = Sequence[tuple[ArrayLike, ArrayLike]]
"""Pairs of samples, one figure per seed: those of the first side and those of the second, for each task."""

_Pairs = list[tuple[Floats, Floats]]

Location = Callable[..., Floats]
"""What is compared: `numpy.mean` or `numpy.median`, called as `location(figures, axis=axis)`."""


@final
@dataclass(frozen=True)
class Superiority:
    """How often a seed of the first side beats one of the second, a tie counting half."""

    probability: Estimate
    """Of superiority: P(a > b) + P(a = b) / 2."""


def permutation_test(strata: Strata, location: Location = np.mean, resamples: int = RESAMPLES, seed: int = 0) -> float:
    """The two-sided p-value of a permutation test on seeds: that both sides' figures come from one distribution.

    The statistic is location(a) - location(b), averaged over the strata; the p-value is twice the smaller tail. Seeds
    are unpaired: the same seed number gives two cells nothing in common. Few splits are all looked at, by scipy, which
    knows no strata; where there are many, draws are taken at once.

    Args:
        strata: see `Strata`.
        location: `numpy.mean` or `numpy.median`.
        resamples: permutations drawn where there are more than these.
        seed: of the drawn permutations, so that the same rows give the same p-value.

    Raises:
        InputError: a sample is empty or holds what is not finite, or there are no strata.
    """
    pairs, rng = _checked(strata), np.random.default_rng(seed)
    if len(pairs) == 1 and math.comb(sum(map(len, pairs[0])), len(pairs[0][0])) <= resamples:
        found = stats.permutation_test(
            pairs[0],
            lambda a, b, axis: location(a, axis=axis) - location(b, axis=axis),
            vectorized=True,
            n_resamples=resamples,
        )
        return float(found.pvalue)
    observed, drawn = 0.0, np.zeros(resamples)
    for a, b in pairs:
        shuffled = rng.permuted(np.tile(np.concatenate([a, b]), (resamples, 1)), axis=1)
        drawn += location(shuffled[:, : len(a)], axis=1) - location(shuffled[:, len(a) :], axis=1)
        observed += float(location(a, axis=0) - location(b, axis=0))
    slack = 1e-12 * max(1.0, abs(observed))
    tail = min(int((drawn >= observed - slack).sum()), int((drawn <= observed + slack).sum()))
    return min(1.0, 2 * (tail + 1) / (resamples + 1))


def mean_difference(
    strata: Strata, confidence: float = CONFIDENCE, bounds: tuple[float, float] = (0.0, 1.0)
) -> Estimate:
    """Mean of a minus mean of b, averaged over the strata, with Welch's t interval on samples with two pseudo-seeds.

    The interval covers 95 % of the time, a little more on figures with one mode; where neither side shows a failure
    that happens in few seeds, the width is that of the spread seen.

    Args:
        strata: see `Strata`.
        confidence: of the interval.
        bounds: lowest and highest possible figure; see `with_pseudo_seeds`.
    """
    pairs = _checked(strata)
    centre, error, freedom = _welch(_widened(pairs, bounds))
    half = error * float(stats.t.isf((1 - fraction(confidence, "confidence")) / 2, freedom))
    value = math.fsum(a.mean() - b.mean() for a, b in pairs) / len(pairs)
    return Estimate(float(value), Interval(min(centre - half, value), max(centre + half, value), confidence))


def equivalent_means(strata: Strata, margin: float, bounds: tuple[float, float] = (0.0, 1.0)) -> float:
    """The p-value of two one-sided t tests (Schuirmann 1987); small: the means differ by less than `margin`.

    The tests are Welch's, on samples with two pseudo-seeds each, here at the lowest and the highest possible figure:
    that no seed in ten failed does not say that none of the next ten will. Where runs solve or fail, ask
    `equivalent_proportions` too, which is exact, and take the larger p-value.

    Raises:
        InputError: the margin is not positive.
    """
    if not margin > 0:
        raise InputError(f"margin={margin}: expected a positive difference")
    samples = [(np.append(a, bounds), np.append(b, bounds)) for a, b in _checked(strata)]
    centre, error, freedom = _welch(samples)
    return float(max(stats.t.sf((centre + margin) / error, freedom), stats.t.cdf((centre - margin) / error, freedom)))


def detectable_mean_difference(
    strata: Strata,
    level: float = 1 - CONFIDENCE,
    power: float = POWER,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> float:
    """The smallest difference of means that would have been seen, with the spread that was seen.

    By the power of the t test, which on as many seeds is that of the permutation test.
    """
    fraction(level, "level")
    _, error, freedom = _welch(_widened(_checked(strata), bounds))
    seeds = freedom / 2 + 1  # of two equal groups with as many degrees of freedom
    effect = TTestIndPower().solve_power(nobs1=seeds, alpha=level, power=fraction(power, "power"), ratio=1.0)
    return float(effect) * error * math.sqrt(seeds / 2)


def superiority(strata: Strata, confidence: float = CONFIDENCE, resamples: int = DRAWS, seed: int = 0) -> Superiority:
    """The probability of superiority, averaged over the strata, with a percentile bootstrap interval over seeds.

    As many seeds as there are are drawn from samples with two pseudo-seeds each (see `with_pseudo_seeds`): drawn from
    the seeds alone, complete separation would have no width, and at 10 seeds the interval would hold the truth 85 to
    94 % of the time instead of 94 to 99 %. scipy's bootstrap cannot draw fewer than it is given.
    """
    pairs, rng = _checked(strata), np.random.default_rng(seed)
    drawn = []
    for pair in pairs:
        for known, more in zip(pair, with_pseudo_seeds(pair), strict=True):
            drawn.append(more[rng.integers(len(more), size=(resamples, len(known)))])
    tail = (1 - fraction(confidence, "confidence")) / 2
    low, high = np.quantile(_superiority(*drawn), [tail, 1 - tail])
    value = float(_superiority(*[one for pair in pairs for one in pair]))
    return Superiority(Estimate(value, Interval(float(low), float(high), confidence)))


def _superiority(*samples: Floats) -> Floats:
    beaten = [
        np.sign(a[..., :, None] - b[..., None, :]).mean(axis=(-2, -1))
        for a, b in zip(samples[::2], samples[1::2], strict=True)
    ]
    proportion: Floats = 0.5 + 0.5 * np.mean(beaten, axis=0)
    return proportion


def _checked(strata: Strata) -> _Pairs:
    if not strata:
        raise InputError("no strata: expected a pair of samples for at least one task")
    return [(sample(a, "a"), sample(b, "b")) for a, b in strata]


def _widened(pairs: _Pairs, bounds: tuple[float, float]) -> _Pairs:
    return [(a, b) for a, b in (with_pseudo_seeds(pair, bounds) for pair in pairs)]


def _welch(samples: _Pairs) -> tuple[float, float, float]:
    """Centre, standard error and Satterthwaite's degrees of freedom of the averaged difference."""
    parts = np.array([one.var(ddof=1) / len(one) for pair in samples for one in pair])
    freedom = np.array([len(one) - 1 for pair in samples for one in pair])
    centre = math.fsum(a.mean() - b.mean() for a, b in samples) / len(samples)
    satterthwaite = parts.sum() ** 2 / (parts**2 / freedom).sum()
    return centre, float(np.sqrt(parts.sum())) / len(samples), float(satterthwaite)
