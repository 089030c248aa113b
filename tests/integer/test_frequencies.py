"""Softmax in integers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from longhold.errors import InputError
from longhold.integer.fixed import TOTAL, UNIT, make_tables
from longhold.integer.frequencies import Frequencies
from tests.integer.slow import Slow

TABLES = make_tables()
EXTREMES = [
    [[0.0]],
    [[5.0, 5.0]],
    [[0.0] * 4096],
    [[2.0**40, 0.0, -(2.0**40)]],
    [[-3.0, 7.0, 7.0, -(2.0**30)]],
]


def slow(logits: list[float], temperature: int, allowed: list[bool] | None = None) -> list[int]:
    oracle = Slow.__new__(Slow)
    oracle.tables = {"exp": TABLES.exp.tolist()}
    oracle.model = cast(Any, SimpleNamespace())
    return oracle.frequencies([int(y) for y in logits], temperature, allowed)


@pytest.mark.parametrize("temperature", [1, 7, 99, 100, 101, 333, 1000])
def test_they_are_whole_positive_and_as_stated(temperature: int) -> None:
    generator = np.random.default_rng(temperature)
    rows = [generator.normal(0, 4 * UNIT, (3, V)).round() for V in (2, 7, 300, 4356)]
    for logits in [*rows, *map(np.array, EXTREMES)]:
        found = Frequencies(TABLES)(logits, temperature)
        assert (found.sum(1) == TOTAL).all()
        assert found.min() >= 1
        assert found.tolist() == [slow(row, temperature) for row in logits.tolist()]


@pytest.mark.parametrize("temperature", [50, 100, 170])
def test_they_are_near_the_softmax(temperature: int) -> None:
    logits = np.random.default_rng(0).normal(0, 3 * UNIT, (20, 500)).round()
    real = logits / UNIT * 100 / temperature
    expected = np.exp(real - real.max(1, keepdims=True))
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(Frequencies(TABLES)(logits, temperature) / TOTAL, expected, rtol=2e-5, atol=5e-5)


def test_at_zero_the_first_of_the_likeliest_has_everything_but_one_each() -> None:
    found = Frequencies(TABLES)(np.array([[1.0, 9.0, 9.0, 2.0]]), 0)
    assert found.tolist() == [[1, TOTAL - 3, 1, 1]]


@pytest.mark.parametrize("temperature", [-1, 1001, 0.8, True and 100.0])
def test_a_temperature_that_is_no_number_of_hundredths_is_refused(temperature: Any) -> None:
    with pytest.raises(InputError, match="expected whole hundredths from 0 to 1000"):
        Frequencies(TABLES)(np.array([[1.0, 2.0]]), temperature)


@pytest.mark.parametrize("temperature", [1, 99, 100, 333])
def test_what_may_not_come_has_one_and_the_rest_is_as_stated(temperature: int) -> None:
    generator = np.random.default_rng(temperature)
    for V in (2, 7, 300, 4356):
        logits = generator.normal(0, 4 * UNIT, (3, V)).round()
        allowed = generator.random((3, V)) < 0.3
        allowed[:, V // 2] = True
        found = Frequencies(TABLES)(logits, temperature, allowed)
        assert (found.sum(1) == TOTAL).all()
        assert (found[~allowed] == 1).all()
        assert found.tolist() == [
            slow(*row) for row in zip(logits.tolist(), [temperature] * 3, allowed.tolist(), strict=True)
        ]
        one_for_all = Frequencies(TABLES)(logits, temperature, allowed[0])
        assert one_for_all.tolist() == Frequencies(TABLES)(logits, temperature, np.tile(allowed[0], (3, 1))).tolist()
        all_of_them = Frequencies(TABLES)(logits, temperature, np.ones((3, V), dtype=bool))
        assert all_of_them.tolist() == Frequencies(TABLES)(logits, temperature).tolist()


def test_at_zero_the_first_of_the_likeliest_that_may_come_has_everything() -> None:
    found = Frequencies(TABLES)(np.array([[1.0, 9.0, 2.0, 2.0]]), 0, np.array([True, False, True, True]))
    assert found.tolist() == [[1, 1, TOTAL - 3, 1]]


def test_something_must_be_allowed() -> None:
    with pytest.raises(InputError, match="no token is allowed"):
        Frequencies(TABLES)(np.array([[1.0, 2.0]]), 100, np.array([False, False]))
