"""How many times as long one trained horizon is as another."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.stats import norm

from longhold.errors import InputError
from longhold.study.horizon.trained import HALF, Outcomes, bootstrapped, crossing
from longhold.study.statistics import CONFIDENCE, DRAWS, POWER, RESAMPLES, Estimate, Interval, permutation_test
from longhold.study.statistics.estimates import Floats, fraction


@final
@dataclass(frozen=True)
class HorizonRatio:
    """Two trained horizons on one grid of lags. Horizons off the grid are set to its ends."""

    octaves: Estimate
    """log2 of the first horizon over the second, both restricted to the grid."""
    p_value: float
    """Of the permutation test on seeds, two-sided; 1 if its statistic and `octaves` point in opposite directions."""
    bound: bool
    """One horizon is off the grid on its side, so the ratio is at least as far from 1 as the one given."""
    blind: bool
    """Both are off the grid on the same side: nothing is known about their ratio."""
    draws: Floats
    """`(R,)` bootstrap draws of `octaves`."""

    def equivalent(self, octaves: float) -> float:
        """The p-value of two one-sided bootstrap tests; small: the horizons differ by less than so many octaves."""
        if self.bound or self.blind:
            return 1.0
        outside = max(int((self.draws >= octaves).sum()), int((self.draws <= -octaves).sum()))
        return min(1.0, (1 + outside) / (1 + len(self.draws)))

    def detectable(self, level: float = 1 - CONFIDENCE, power: float = POWER) -> float:
        """The smallest ratio, in octaves, that would have been seen with the spread that was seen."""
        if self.blind:
            return math.inf
        return float(norm.isf(fraction(level, "level") / 2) + norm.ppf(power)) * float(self.draws.std(ddof=1))


def horizon_ratio(
    a: Outcomes,
    b: Outcomes,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    draws: int = DRAWS,
    seed: int = 0,
) -> HorizonRatio:
    """Compare two trained horizons; see `trained_horizon` for each.

    The permutation test exchanges whole seeds, with all their lags, between the groups. Its statistic is the difference
    in octaves held: the area under p(L) over log2 L, which is the mean over seeds of a figure of each seed. `octaves`
    itself would not do: of ten seeds that solve every lag and ten that solve none, distributed at random, one group has
    the larger half unless there is a tie, so two of three assignments are as extreme as the truth. The interval is by
    bootstrap over the seeds of each group. Where one group stopped earlier than the other, having fallen below one
    half, its seeds count as not solving the lags that they skipped.

    Raises:
        InputError: a group has no row at lags of the other, though at its own longest lag half of its seeds solve.
    """
    lags = tuple(sorted({*a.lags, *b.lags}))
    solved_a, solved_b = _on_grid(a, lags), _on_grid(b, lags)
    one, other = crossing(lags, solved_a), crossing(lags, solved_b)
    octaves = float(_restricted(np.array([one]), lags)[0] - _restricted(np.array([other]), lags)[0])
    drawn = _restricted(bootstrapped(Outcomes(lags, solved_a), draws, 2 * seed), lags) - _restricted(
        bootstrapped(Outcomes(lags, solved_b), draws, 2 * seed + 1), lags
    )
    tail = (1 - fraction(confidence, "confidence")) / 2
    low, high = (float(end) for end in np.quantile(drawn, [tail, 1 - tail]))
    off_one, off_other = _off(one), _off(other)
    return HorizonRatio(
        Estimate(octaves, Interval(low, high, confidence)),
        _permuted(lags, solved_a, solved_b, octaves, resamples, seed),
        bound=off_one != off_other,
        blind=off_one == off_other != 0,
        draws=drawn,
    )


def _permuted(lags: tuple[int, ...], a: np.ndarray, b: np.ndarray, octaves: float, resamples: int, seed: int) -> float:
    held_a, held_b = _octaves_held(lags, a), _octaves_held(lags, b)
    if octaves * (held_a.mean() - held_b.mean()) < 0:
        return 1.0
    return permutation_test([(held_a, held_b)], resamples=resamples, seed=seed)


def _octaves_held(lags: tuple[int, ...], solved: np.ndarray) -> Floats:
    """For each seed the octaves of lag that it solves: each lag stands for half the way to its neighbours."""
    wide = np.diff(np.log2(lags))
    weights = (np.append(wide, 0) + np.insert(wide, 0, 0)) / 2 if len(lags) > 1 else np.ones(1)
    held: Floats = solved @ weights
    return held


def _on_grid(group: Outcomes, lags: tuple[int, ...]) -> np.ndarray:
    missing = set(lags) - set(group.lags)
    if missing and (min(missing) < group.lags[-1] or group.solved[:, -1].mean() >= HALF):
        raise InputError(f"lags {sorted(missing)} were run for one side only: expected the same lags for both")
    skipped = np.zeros((len(group.solved), len(missing)), dtype=bool)
    return np.hstack([group.solved, skipped])


def _restricted(horizons: Floats, lags: tuple[int, ...]) -> Floats:
    octaves: Floats = np.log2(np.clip(horizons, lags[0], lags[-1]))
    return octaves


def _off(horizon: float) -> int:
    return -1 if horizon == 0 else int(math.isinf(horizon))
