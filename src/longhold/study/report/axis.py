"""A linear scale whose ticks a person would choose."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class Axis:
    """A linear scale with its ticks."""

    low: float
    """Value at the beginning."""
    high: float
    """Value at the end."""
    ticks: tuple[float, ...]
    """Values with a line and a number."""

    def fraction(self, value: float) -> float:
        """How far along a value lies, from 0 to 1."""
        return (value - self.low) / (self.high - self.low)


def axis_from_zero(values: Iterable[float], wanted: int = 5) -> Axis:
    """An axis from 0 over values of at least 0, whose ticks are 1, 2 or 5 times a power of ten apart.

    Example:
        >>> axis_from_zero([2.1, 4.4]).ticks
        (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)
    """
    high = max(values) or 1.0
    raw = high / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    ticks = tuple(round(i * step, 10) for i in range(math.ceil(high / step - 1e-9) + 1))
    return Axis(ticks[0], ticks[-1], ticks)
