r"""Shares of seeds that solve a task: how sure one is, and whether two differ.

Two proportions are compared exactly and unconditionally. For the hypothesis \(p_a - p_b \le d\), tables \((x_a, x_b)\)
are ordered by the statistic of Agresti and Caffo at \(d\),

    z = (pa' - pb' - d) / sqrt(pa' (1 - pa') / (na + 2) + pb' (1 - pb') / (nb + 2)),   p' = (x + 1) / (n + 2)

and the p-value is the largest probability, over all \((p_a, p_b)\) with \(p_a - p_b = d\), of a table at least as
extreme (Barnard 1947, Biometrika 34; Chan and Zhang 1999, Biometrics 55(4)). The test at d = 0, the interval (the d
that are not rejected) and the equivalence test (d at either margin) are one family and cannot disagree. Formulas for
large samples are not good enough here: at 10 seeds two one-sided tests by the same statistic and the normal
distribution find equivalence at a margin of 0.2 where there is none in up to 11 % of studies.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import final

import numpy as np
from scipy.stats import binom
from statsmodels.stats.proportion import proportion_confint

from longhold.errors import InputError
from longhold.study.statistics.estimates import CONFIDENCE, POWER, Estimate, Floats, Interval, fraction

_NUISANCE = 201  # values of p_b at which the probability of a tail is looked at
_HALVINGS = 16  # of the range of differences; four digits


@final
@dataclass(frozen=True)
class Proportion:
    """How many seeds solved."""

    solved: int
    """Seeds that did."""
    seeds: int
    """Of how many."""

    def __post_init__(self) -> None:
        if self.seeds < 1 or not 0 <= self.solved <= self.seeds:
            raise InputError(f"{self.solved} of {self.seeds} seeds: expected 0 to all of at least one")

    @property
    def value(self) -> float:
        """solved / seeds"""
        return self.solved / self.seeds

    def estimate(self, confidence: float = CONFIDENCE) -> Estimate:
        """The proportion with Wilson's interval (1927, JASA 22)."""
        alpha = 1 - fraction(confidence, "confidence")
        low, high = proportion_confint(self.solved, self.seeds, alpha=alpha, method="wilson")
        return Estimate(self.value, Interval(max(0.0, float(low)), min(1.0, float(high)), confidence))


@final
@dataclass(frozen=True)
class ProportionDifference:
    """How two proportions differ."""

    difference: Estimate
    """The first proportion minus the second, with its exact interval."""
    p_value: float
    """Exact and two-sided, of the hypothesis that they are equal: twice the smaller one-sided one."""


def proportion_difference(a: Proportion, b: Proportion, confidence: float = CONFIDENCE) -> ProportionDifference:
    """The difference a - b of two proportions, its interval and its test.

    The interval excludes 0 just where `p_value < 1 - confidence`, and covers the truth at least as often as it says.

    Example:
        >>> found = proportion_difference(Proportion(9, 10), Proportion(2, 10))
        >>> round(found.difference.value, 2), round(found.p_value, 4)
        (0.7, 0.0018)
    """
    tail = (1 - fraction(confidence, "confidence")) / 2
    low, high = _lower_end(a, b, tail), -_lower_end(b, a, tail)
    one_sided = min(_p_above(a, b, 0.0), _p_above(b, a, 0.0))
    return ProportionDifference(Estimate(a.value - b.value, Interval(low, high, confidence)), min(1.0, 2 * one_sided))


def equivalent_proportions(a: Proportion, b: Proportion, margin: float) -> float:
    """The p-value of two exact one-sided tests; small: the proportions differ by less than `margin`.

    Raises:
        InputError: the margin is not between 0 and 1.
    """
    fraction(margin, "margin")
    return max(_p_above(a, b, -margin), _p_above(b, a, -margin))


def detectable_proportion_difference(
    seeds_a: int, seeds_b: int, level: float = 1 - CONFIDENCE, power: float = POWER, around: float = 0.5
) -> float:
    """The smallest difference of proportions, to 0.01, that `proportion_difference` would see at this level and power.

    Args:
        seeds_a: seeds of the first proportion.
        seeds_b: seeds of the second proportion.
        level: the p-value below which a difference counts as seen.
        power: the probability of seeing it.
        around: what the two proportions average to, moved only where one of them would leave [0, 1]. Differences around
            0.5 are the hardest to see.

    Returns:
        The difference; infinite if not even proportions of 0 and 1 would be distinguished.
    """
    fraction(level, "level")
    above, below = _tails(seeds_a, seeds_b, 0.0), _tails(seeds_b, seeds_a, 0.0).T
    seen = 2 * np.minimum(above, below) <= level
    for difference in np.arange(1, 101) / 100:
        middle = min(max(around, difference / 2), 1 - difference / 2)
        of_a = _chances(seeds_a, middle + difference / 2)
        of_b = _chances(seeds_b, middle - difference / 2)
        if float(of_a @ seen @ of_b) >= power:
            return float(difference)
    return float("inf")


def _p_above(a: Proportion, b: Proportion, difference: float) -> float:
    """Of the hypothesis that proportion a exceeds proportion b by no more than `difference`."""
    return float(_tails(a.seeds, b.seeds, difference)[a.solved, b.solved])


@lru_cache(maxsize=65536)
def _lower_end(a: Proportion, b: Proportion, tail: float) -> float:
    if _p_above(a, b, -1.0) > tail:
        return -1.0
    low, high = -1.0, a.value - b.value
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if _p_above(a, b, middle) > tail else (middle, high)
    return low


@lru_cache(maxsize=256)
def _tails(seeds_a: int, seeds_b: int, difference: float) -> Floats:
    """`(seeds_a + 1, seeds_b + 1)`: the exact p-value of each table, of the hypothesis p_a - p_b <= difference."""
    x_a, x_b = np.meshgrid(np.arange(seeds_a + 1), np.arange(seeds_b + 1), indexing="ij")
    p_a, p_b = (x_a + 1) / (seeds_a + 2), (x_b + 1) / (seeds_b + 2)
    variance = p_a * (1 - p_a) / (seeds_a + 2) + p_b * (1 - p_b) / (seeds_b + 2)
    z = ((p_a - p_b - difference) / np.sqrt(variance)).round(9).ravel()  # rounded: equal tables are tied
    nuisance = np.linspace(max(0.0, -difference), min(1.0, 1 - difference), _NUISANCE)[:, None]
    of_a = _chances(seeds_a, (nuisance + difference).clip(0, 1))
    of_b = _chances(seeds_b, nuisance)
    order = np.argsort(-z, kind="stable")
    chance = (of_a[:, :, None] * of_b[:, None, :]).reshape(_NUISANCE, -1)[:, order].cumsum(axis=1)  # (nuisance, tables)
    last_tied = np.searchsorted(-z[order], -z, side="right") - 1
    worst: Floats = np.maximum.reduce(chance, axis=0)
    return worst[last_tied].clip(0, 1).reshape(x_a.shape)


def _chances(seeds: int, proportion: float | Floats) -> Floats:
    """`(..., seeds + 1)`: the probability that so many solve, for proportions `(..., 1)`."""
    return np.asarray(binom.pmf(np.arange(seeds + 1), seeds, proportion), dtype=np.float64)
