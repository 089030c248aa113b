"""Tables, lookup, rounding."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from longhold.errors import InputError
from longhold.integer.fixed import REACH, TOTAL, UNIT, Function, make_tables, require_exact, rounded
from tests.integer.slow import lookup

FUNCTIONS = {
    "sigmoid": (lambda x: 1 / (1 + math.exp(-x)), UNIT),
    "tanh": (math.tanh, UNIT),
    "exp": (lambda x: math.exp(-x), TOTAL),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_entries_are_the_rounded_values(name: str) -> None:
    function, one = FUNCTIONS[name]
    table = getattr(make_tables(), name)
    assert table.dtype == np.int32
    assert len(table) == REACH[name] * 128 + 2
    for index, entry in enumerate(table.tolist()):
        assert abs(entry - function(index / 128) * one) < 0.5 + 1e-6


@pytest.mark.parametrize("name", FUNCTIONS)
def test_between_entries_it_is_the_stated_line_and_near_the_function(name: str) -> None:
    function, one = FUNCTIONS[name]
    table = getattr(make_tables(), name)
    ends = np.array([0, 1, 511, 512, 513, REACH[name] * UNIT - 1, REACH[name] * UNIT, REACH[name] * UNIT + 1, 2.0**45])
    a = np.concatenate([ends, np.random.default_rng(0).integers(0, REACH[name] * int(UNIT), 5000)]).astype(np.float64)
    found = Function(table)(a)
    assert found.tolist() == [lookup(table.tolist(), int(value)) for value in a]
    exact = np.array([function(value / UNIT) for value in a])
    assert np.abs(found / one - exact).max() < 1.6e-5
    order = np.argsort(a)
    slopes = np.diff(found[order])
    assert (slopes <= 0).all() if name == "exp" else (slopes >= 0).all()


def test_rounding_is_to_the_nearest_and_halves_go_up() -> None:
    numerators = [0, 1, 32767, 32768, 32769, -32767, -32768, -32769, 2**52 + 1, -(2**52) + 1, 98304]
    expected = [math.floor(Fraction(n, 65536) + Fraction(1, 2)) for n in numerators]
    assert rounded(np.array(numerators, dtype=np.float64), UNIT).tolist() == expected


def test_what_float64_does_not_hold_is_refused() -> None:
    require_exact(2.0**53 - 1, "a sum")
    for bound in (2.0**53, math.inf, math.nan):
        with pytest.raises(InputError, match=r"a sum can reach .*, expected less than 2\^53"):
            require_exact(bound, "a sum")
