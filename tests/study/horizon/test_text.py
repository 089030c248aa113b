"""Text horizons of seeds whose curves are known."""

import math

import numpy as np
import pytest

from longhold.errors import InputError
from longhold.study.horizon import text_horizon

LENGTHS = (1, 2, 4, 8, 16)


def test_curves_without_noise_have_a_horizon_without_width() -> None:
    one = np.tile([0.5, 0.2, 0.05, 0.009, 0.0], (6, 1))
    found = text_horizon(LENGTHS, [one, one], 0.01)
    assert (found.tokens.value, found.tokens.interval.low, found.tokens.interval.high) == (8, 8, 8)
    assert found.excess == pytest.approx((0.5, 0.2, 0.05, 0.009, 0.0))


def test_it_is_the_length_beyond_which_the_excess_stays_small() -> None:
    risen = np.tile([0.5, 0.005, 0.05, 0.0, 0.0], (4, 1))
    assert text_horizon(LENGTHS, [risen], 0.01).tokens.value == 8


def test_excess_at_the_longest_length_leaves_the_horizon_open() -> None:
    assert math.isinf(text_horizon(LENGTHS, [np.full((4, 5), 0.5)], 0.01).tokens.value)
    assert text_horizon(LENGTHS, [np.zeros((4, 5))], 0.01).tokens.value == 1


def test_seeds_that_differ_widen_the_interval() -> None:
    near, far = np.tile([0.3, 0.0, 0.0, 0.0, 0.0], (8, 1)), np.tile([0.3, 0.3, 0.3, 0.0, 0.0], (8, 1))
    found = text_horizon(LENGTHS, [near, near, near, far], 0.01)
    assert found.tokens.value == 8
    assert found.tokens.interval.low == 2


@pytest.mark.parametrize("excess", [[], [np.zeros((4, 3))], [np.zeros((4, 5)), np.zeros((3, 5))]])
def test_tables_of_other_shapes_are_refused(excess: list[np.ndarray]) -> None:
    with pytest.raises(InputError, match="shapes"):
        text_horizon(LENGTHS, excess, 0.01)
