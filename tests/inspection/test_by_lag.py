"""Decay laws recovered from curves that follow them, and told apart from those that do not."""

import math

import pytest
import torch

from longhold.inspection.by_lag import fit_decay, norms_by_lag

LAGS = list(range(1, 41))


def test_an_exponential_is_recovered() -> None:
    found = fit_decay(LAGS, [3 * math.exp(-lag / 7) for lag in LAGS])
    assert found is not None
    assert found.tau == pytest.approx(7)
    assert found.rate == pytest.approx(-1 / 7)
    assert found.error == pytest.approx(0, abs=1e-9)
    assert found.exponential
    assert str(found) == "falls by a factor e in 7 steps"


def test_a_power_law_is_not_taken_for_one() -> None:
    found = fit_decay(LAGS, [lag**-1.5 for lag in LAGS])
    assert found is not None
    assert not found.exponential
    assert found.power_error == pytest.approx(0, abs=1e-9)
    assert "not exponentially" in str(found)


def test_neither_is_a_cliff_nor_two_time_scales_far_apart() -> None:
    cliff = fit_decay(LAGS, [1.0 if lag < 30 else 1e-9 for lag in LAGS])
    mixed = fit_decay(range(1, 201), [math.exp(-lag / 2) + 1e-6 for lag in range(1, 201)])
    assert cliff is not None
    assert mixed is not None
    assert not cliff.exponential
    assert not mixed.exponential


def test_a_level_norm_has_no_time_constant_and_a_rising_one_grows() -> None:
    level = fit_decay(LAGS, [2.0] * 40)
    rising = fit_decay(LAGS, [1.1**lag for lag in LAGS])
    assert level is not None
    assert rising is not None
    assert level.exponential
    assert str(level) == "stays level"
    assert (rising.rate, rising.tau, rising.exponential) == (pytest.approx(math.log(1.1)), math.inf, True)
    assert "grows by 0.0953 nats per step" in str(rising)


def test_zeros_and_lag_0_are_left_out_and_two_lags_are_too_few() -> None:
    found = fit_decay([0, 1, 2, 3, 4], [99.0, math.exp(-1), math.exp(-2), math.exp(-3), 0.0])
    assert found is not None
    assert found.tau == pytest.approx(1)
    assert fit_decay([0, 1, 2, 3], [1.0, 1.0, 1.0, 0.0]) is None


def test_statistics_are_over_samples() -> None:
    found = norms_by_lag([1, 2], torch.tensor([[1.0, 4.0, 16.0], [0.0, 1.0, 2.0]]))
    assert found.mean == (7.0, 1.0)
    assert found.geometric_mean == (pytest.approx(4.0), 0.0)
    assert [row[2] for row in found.quantiles] == [4.0, 1.0]
    assert found.quantiles[1] == pytest.approx((0.1, 0.5, 1.0, 1.5, 1.9))
    assert (found.samples, found.decay) == (3, None)
    assert str(found) == "4 at lag 1, 0 at lag 2"
