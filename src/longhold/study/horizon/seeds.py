"""Horizons of one seed each, from the recall of one model tested at several lags."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from longhold.inspection.h50 import Horizon, h50
from longhold.study.statistics import CONFIDENCE, Estimate, Survival, Times, survival, times


@final
@dataclass(frozen=True)
class SeedHorizons:
    """Every seed's horizon, and their common curve."""

    seeds: Mapping[int, Horizon]
    """Each seed with its horizon by the H50 rule, censored where recall never falls below one half."""
    longest: int
    """The longest lag that was tested."""
    together: Survival
    """The Kaplan-Meier curve of the seeds' horizons, a horizon beyond the grid being censored there."""

    @property
    def median(self) -> Estimate:
        """Over seeds, with its interval; infinite: beyond the grid."""
        return self.together.median

    @property
    def nonmonotone(self) -> tuple[int, ...]:
        """Seeds whose recall rises again at longer lags by more than chance allows, Bonferroni over the seeds."""
        level = (1 - CONFIDENCE) / len(self.seeds)
        return tuple(
            seed for seed, one in sorted(self.seeds.items()) if one.p_value is not None and one.p_value < level
        )

    def __str__(self) -> str:
        ends = self.median.interval
        value, low, high = (describe(end, self.longest) for end in (self.median.value, ends.low, ends.high))
        return f"{value} ({low} to {high})"


def describe(value: float, longest: int) -> str:
    """A horizon as it is printed: `90` or `>= 512`."""
    return f">= {longest}" if math.isinf(value) else f"{value:.0f}"


def seed_horizons(
    recall: Mapping[int, Sequence[tuple[int, float]]],
    *,
    trials: int | None = None,
    chance: float = 0.0,
    confidence: float = CONFIDENCE,
) -> SeedHorizons:
    """The horizon of every seed and their median.

    Args:
        recall: each seed with (lag in steps, recall) of its model, the lags rising.
        trials: test sequences at each lag, where the score is a proportion of right answers; None: no test for recall
            that rises again, and no interval within a seed.
        chance: the accuracy of guessing; read only with `trials`.
        confidence: of the intervals.

    Raises:
        InputError: there is no seed, or what `longhold.inspection.h50` refuses.
    """
    found = {
        seed: h50(
            [lag for lag, _ in curve],
            [value for _, value in curve],
            trials=trials,
            chance=chance,
            confidence=confidence,
        )
        for seed, curve in recall.items()
    }
    longest = max((lag for curve in recall.values() for lag, _ in curve), default=0)
    return SeedHorizons(found, longest, survival(horizon_times(list(found.values())), confidence))


def horizon_times(horizons: Sequence[Horizon]) -> Times:
    """Horizons as times that may be censored.

    Raises:
        InputError: there is none.
    """
    return times([one.value for one in horizons], np.array([not one.censored for one in horizons], dtype=bool))
