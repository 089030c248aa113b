"""The H50 rule against cases worked by hand, and its interval and test by simulation."""

import numpy as np
import pytest
from scipy.stats import norm

from longhold.errors import InputError
from longhold.inspection import h50
from longhold.inspection.h50 import rising_p_value

GRID = [1, 2, 4, 8, 16]


def test_a_cliff_is_found_exactly_where_it_stands() -> None:
    for held in range(len(GRID) + 1):
        found = h50(GRID, [1.0] * held + [0.0] * (len(GRID) - held))
        assert found.value == ([0, *GRID])[held]
        assert found.censored == (held == len(GRID))
        assert found.below == ([*GRID, None])[held]


@pytest.mark.parametrize(
    ("recall", "value"),
    [
        ([1.0, 0.9, 0.5, 0.49, 0.1], 4),  # one half is held
        ([0.49, 1.0, 0.0, 0.0, 0.0], 2),  # pooled with the next, the first lag holds: (0.49 + 1) / 2 >= 0.5
        ([0.2, 0.6, 0.0, 0.0, 0.0], 0),  # (0.2 + 0.6) / 2 < 0.5
        ([1.0, 0.2, 0.7, 0.3, 0.0], 1),  # (0.2 + 0.7) / 2 < 0.5, though lag 4 alone is above
        ([1.0, 0.4, 0.7, 0.3, 0.0], 4),
    ],
)
def test_the_rule_reads_the_isotonic_fit(recall: list[float], value: int) -> None:
    assert h50(GRID, recall).value == value


def test_a_model_that_lapses_everywhere_is_not_reported_as_remembering_nothing() -> None:
    recall = (0.8 - 0.125) / 0.875
    found = h50(GRID, [recall] * len(GRID), trials=1000, chance=0.125)
    assert (found.value, found.censored, found.low) == (16, True, 16)
    assert str(found).startswith(">= 16 steps")


def test_beyond_the_grid_is_told_as_at_least() -> None:
    assert str(h50([32], [1.0])) == ">= 32 steps"
    assert str(h50([3, 5], [1.0, 0.0], trials=1000)) == "3 steps (3 to 3; below half from lag 5)"


def test_the_upper_end_of_a_guessing_model_is_below_one_lag() -> None:
    generator = np.random.default_rng(5)
    ends = []
    for _ in range(200):
        accuracy = generator.binomial(1000, 0.125, size=len(GRID)) / 1000
        ends.append(h50(GRID, list((accuracy - 0.125) / 0.875), trials=1000, chance=0.125, resamples=200).high)
    assert sum(end == 0 for end in ends) >= 190


@pytest.mark.slow
def test_the_interval_holds_the_horizon_of_an_endless_test() -> None:
    lags = list(range(1, 21))
    truth = 1 / (1 + np.exp((np.array(lags) - 10.4) / 1.5))  # recall 0.57 at lag 10 and 0.40 at lag 11
    generator = np.random.default_rng(6)
    held = []
    for _ in range(200):
        found = h50(lags, list(generator.binomial(300, truth) / 300), trials=300, resamples=300)
        assert found.low is not None
        assert found.high is not None
        held.append(found.low <= 10 <= found.high)
    assert sum(held) >= 184  # 95 % of 200 is 190, two standard errors are 6


def test_a_level_recall_is_called_nonmonotone_no_oftener_than_the_level() -> None:
    generator = np.random.default_rng(7)
    for share in (0.5, 0.97):
        found = [rising_p_value(generator.binomial(1000, share, size=8) / 1000, 1000) for _ in range(1000)]
        assert 0.03 <= np.mean(np.array(found) < 0.05) <= 0.07  # least favourable: the level is used up, not passed


def test_a_falling_recall_is_called_nonmonotone_less_often_and_a_rise_always() -> None:
    generator = np.random.default_rng(8)
    falling = np.linspace(0.95, 0.2, 8)
    found = [rising_p_value(generator.binomial(1000, falling) / 1000, 1000) for _ in range(300)]
    assert np.mean(np.array(found) < 0.05) <= 0.02
    risen = h50(GRID, [1.0, 0.3, 0.5, 0.2, 0.1], trials=1000)
    assert risen.nonmonotone
    assert "rises again" in str(risen)
    assert h50(GRID, [1.0, 0.9, 0.5, 0.2, 0.1], trials=1000).p_value == 1
    assert h50(GRID, [1.0, 0.9, 0.5, 0.2, 0.1]).nonmonotone is None


def test_the_distribution_of_two_levels_is_half_a_point_mass_and_half_a_chi_square() -> None:
    p_value = rising_p_value(np.array([0.5, 0.55]), 400)
    z = 2 * np.sqrt(400.5) * np.diff(np.arcsin(np.sqrt((np.array([200, 220]) + 0.375) / 400.75)))[0]
    assert p_value == pytest.approx(norm.sf(z / np.sqrt(2)), rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lags": []}, "lags []"),
        ({"lags": [0, 1], "recall": [1, 1]}, "lags [0, 1]"),
        ({"lags": [2, 2], "recall": [1, 1]}, "lags [2, 2]"),
        ({"lags": [1, 2]}, "3 recalls for 2 lags"),
        ({"recall": [1.0, float("nan"), 0.0]}, "nan"),
        ({"recall": [1.2, 1.0, 0.0]}, "at most 1"),
        ({"trials": 0}, "trials=0"),
        ({"trials": 9, "chance": 1.0}, "chance=1.0"),
        ({"trials": 9, "confidence": 1.0}, "confidence=1.0"),
        ({"trials": 9, "recall": [1.0, 0.5, -0.1]}, "recall -0.1 at chance 0"),
    ],
)
def test_what_cannot_be_judged_is_said_in_one_line(arguments: dict, message: str) -> None:
    with pytest.raises(InputError) as caught:
        h50(**{"lags": [1, 2, 3], "recall": [1.0, 0.5, 0.0], **arguments})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
