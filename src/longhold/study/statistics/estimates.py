"""What every estimate is made of: a value, an interval, and the rules that hold for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from longhold.errors import InputError

LEAST_SEEDS = 10
"""Seeds that each side of a comparison needs; with fewer a result is indicative and nothing is claimed."""

CONFIDENCE = 0.95
"""The confidence of every interval unless another is given."""

POWER = 0.8
"""The probability with which a difference called detectable would have been seen."""

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Interval:
    """A confidence interval; an end that the data do not reach is infinite."""

    low: float
    """The lower end."""
    high: float
    """The upper end."""
    confidence: float = CONFIDENCE
    """The proportion of repetitions in which such an interval is meant to hold the truth."""

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __neg__(self) -> "Interval":
        return Interval(-self.high, -self.low, self.confidence)


@final
@dataclass(frozen=True)
class Estimate:
    """A number with its interval."""

    value: float
    """The point estimate."""
    interval: Interval
    """Where the truth may lie."""

    def __neg__(self) -> "Estimate":
        return Estimate(-self.value, -self.interval)


def indicative(*seeds: int) -> bool:
    """Whether some side has fewer than `LEAST_SEEDS` seeds, so that nothing may be claimed.

    Example:
        >>> indicative(10, 12), indicative(10, 3)
        (False, True)
    """
    return min(seeds) < LEAST_SEEDS


def sample(values: ArrayLike, name: str = "values") -> Floats:
    """One figure per seed as a checked array `(n,)`.

    Raises:
        InputError: it is empty, not one-dimensional, or not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"{name} of shape {array.shape}: expected one figure for each of at least one seed")
    if not np.isfinite(array).all():
        raise InputError(f"{name}={array[~np.isfinite(array)][0]}: expected finite figures")
    return array


def with_pseudo_seeds(samples: Sequence[Floats], bounds: tuple[float, float] = (0.0, 1.0)) -> list[Floats]:
    """Each sample with two seeds more: one at the lowest and one at the highest figure seen in any of them.

    Runs that solve or fail give samples without spread, on which a bootstrap or a t interval has no width although a
    failure may just not have been seen. Two pseudo-seeds are what Agresti and Caffo (2000, The American Statistician
    54(4)) add to each of two binomial samples; on figures of 0 and 1 this is their rule.

    Args:
        samples: one array of seeds' figures each.
        bounds: what stands for lowest and highest where all figures are the same.
    """
    seen = np.concatenate(list(samples))
    ends = [seen.min(), seen.max()] if np.ptp(seen) > 0 else list(bounds)
    return [np.append(one, ends) for one in samples]


def fraction(value: float, name: str) -> float:
    """A checked number strictly between 0 and 1.

    Raises:
        InputError: it is not.
    """
    if not 0 < value < 1:
        raise InputError(f"{name}={value}: expected a number between 0 and 1")
    return value
