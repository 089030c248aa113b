"""Integers held in float64: the unit, rounding, and the three functions as tables.

Every number is an integer below 2^53 in magnitude, so float64 holds it, and sums and products of such numbers, without
rounding. Then the order of a sum, the number of threads and the vector unit of a processor change nothing, and a number
of JavaScript is the same number. Tables stand in for sigmoid, tanh and exp, whose last bits differ between libraries.
See docs/math/integer.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import cache
from typing import Final, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from longhold.errors import InputError

Integers: TypeAlias = NDArray[np.float64]
"""Integers in float64."""

UNIT: Final = 2.0**16
"""What stands for 1 in states, gates, pre-activations and logits."""

EXACT: Final = 2.0**53
"""From here on float64 no longer holds every integer."""

TOTAL: Final = 2**24
"""What the frequencies of a step add up to."""

STEP: Final = 2.0**9
"""Distance of two entries of a table, in units of 1 / UNIT: 128 entries for 1."""

REACH: Final = {"sigmoid": 12, "tanh": 12, "exp": 18}
"""Where each table ends; beyond, its last entry holds."""


@final
@dataclass(frozen=True)
class Tables:
    """The functions at 0, 1/128, 2/128 ..., rounded to integers, each int32 with one entry more than its reach.

    Their values are the mathematical ones, rounded half to even from 60 digits of decimal arithmetic (`exp(-k / 128)`
    as a power of `exp(-1 / 128)`), so they are the same wherever they are made.
    """

    sigmoid: NDArray[np.int32]
    """sigmoid(x) for x >= 0, in units of 1 / UNIT"""
    tanh: NDArray[np.int32]
    """tanh(x) for x >= 0, in units of 1 / UNIT"""
    exp: NDArray[np.int32]
    """exp(-x) for x >= 0, in units of 1 / TOTAL"""


@cache
def make_tables() -> Tables:
    """The tables that a model gets when it is quantized; read-only."""
    context = Context(prec=60, rounding=ROUND_HALF_EVEN)
    one = Decimal(1)
    ratio = context.exp(context.divide(Decimal(-int(STEP)), Decimal(int(UNIT))))
    falling = [one]
    while len(falling) < max(REACH.values()) * int(UNIT / STEP) + 2:
        falling.append(context.multiply(falling[-1], ratio))

    def sigmoid(e: Decimal) -> Decimal:
        return context.divide(one, context.add(one, e))

    def tanh(e: Decimal) -> Decimal:
        square = context.multiply(e, e)
        return context.divide(context.subtract(one, square), context.add(one, square))

    def table(name: str, function: Callable[[Decimal], Decimal], unit: float) -> NDArray[np.int32]:
        values = map(function, falling[: REACH[name] * int(UNIT / STEP) + 2])
        scaled = [int(context.to_integral_value(context.multiply(value, Decimal(int(unit))))) for value in values]
        entries = np.array(scaled, dtype=np.int32)
        entries.setflags(write=False)
        return entries

    return Tables(
        sigmoid=table("sigmoid", sigmoid, UNIT),
        tanh=table("tanh", tanh, UNIT),
        exp=table("exp", context.plus, TOTAL),
    )


@final
class Function:
    """One table as a function on numbers `>= 0`, linear between two entries:

    f(a) = T[i] + floor(((T[i+1] - T[i]) * r + 256) / 512)      a <- min(a, reach), i = floor(a / 512), r = a - 512 i
    """

    def __init__(self, table: NDArray[np.int32]) -> None:
        self._entries = table.astype(np.float64)
        self._slopes = np.append(np.diff(self._entries), 0.0)
        self._last = float(len(table) - 2) * STEP

    def __call__(self, a: Integers) -> Integers:
        position = np.minimum(a, self._last) / STEP
        index = position.astype(np.int32)
        return self._entries[index] + np.floor(self._slopes[index] * (position - index) + 0.5)


def rounded(numerators: Integers, unit: float) -> Integers:
    """`floor((n + unit / 2) / unit)` for a power of two: back to units of 1 / UNIT after a product."""
    return np.floor(numerators / unit + 0.5)


def require_exact(bound: float, what: str) -> None:
    """`InputError` unless every number up to `bound` in magnitude is exact."""
    if not bound < EXACT:
        raise InputError(
            f"{what} can reach {bound:.3g}, expected less than 2^53, which is what can be computed exactly"
        )
