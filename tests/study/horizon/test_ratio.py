import math

import numpy as np
import pytest

from longhold.errors import InputError
from longhold.study.horizon import Outcomes, horizon_ratio
from tests.study.horizon.test_trained import LAGS, group


def test_four_times_as_long() -> None:
    found = horizon_ratio(group([10, 10, 10, 10, 0, 0]), group([10, 10, 0, 0, 0, 0]))
    assert found.octaves.value == pytest.approx(2)
    assert 2 in found.octaves.interval
    assert found.p_value < 0.001
    assert (found.bound, found.blind) == (False, False)
    assert found.detectable() < 1


def test_swapping_turns_the_ratio_round() -> None:
    a, b = group([10, 10, 9, 6, 2, 0]), group([10, 7, 3, 1, 0, 0])
    assert horizon_ratio(b, a).octaves.value == -horizon_ratio(a, b).octaves.value
    assert horizon_ratio(b, a).p_value == pytest.approx(horizon_ratio(a, b).p_value, abs=0.01)


def test_a_horizon_beyond_the_grid_gives_a_bound() -> None:
    found = horizon_ratio(group([10] * 6), group([10, 10, 0, 0, 0, 0]))
    assert found.octaves.value == pytest.approx(math.log2(512 / math.sqrt(32 * 64)))
    assert found.bound
    assert found.equivalent(100) == 1  # nobody knows


def test_complete_separation_is_seen() -> None:
    """Ten seeds that solve everything against ten that solve nothing: no deal of the seeds is more extreme."""
    assert horizon_ratio(group([10] * 6), group([0] * 6)).p_value < 1e-3
    assert horizon_ratio(group([0] * 6), group([10] * 5 + [9])).p_value < 1e-3


def test_a_test_that_points_the_other_way_claims_nothing() -> None:
    far, near = group([5, 5, 5, 5, 5, 5]), group([10, 10, 10, 4, 4, 4])
    found = horizon_ratio(far, near)
    assert found.octaves.value > 0  # half of the seeds solve even the longest lag
    assert found.p_value == 1  # though the others hold more octaves


def test_two_horizons_beyond_the_grid_are_not_compared() -> None:
    for counts in ([10] * 6, [0] * 6):
        found = horizon_ratio(group(counts), group(counts))
        assert found.blind
        assert found.detectable() == math.inf
        assert found.equivalent(1) == 1


def test_equal_horizons_well_within_the_margin_are_equivalent() -> None:
    cliff = group([10, 10, 10, 0, 0, 0])
    assert horizon_ratio(cliff, cliff).equivalent(1.0) < 0.01
    assert horizon_ratio(group([9, 7, 5, 3, 2, 1]), group([9, 7, 5, 3, 2, 1])).equivalent(0.1) > 0.4


def test_a_group_that_stopped_earlier_is_compared_on_the_longer_grid() -> None:
    short = group([10, 10, 0, 0], lags=LAGS[:4])
    found, whole = (horizon_ratio(group([10] * 5 + [0]), one) for one in (short, group([10, 10, 0, 0, 0, 0])))
    assert found.octaves == whole.octaves
    assert found.p_value == whole.p_value


def test_lags_run_for_one_side_only_are_refused() -> None:
    with pytest.raises(InputError, match=r"lags \[512\] were run for one side only"):
        horizon_ratio(group([10] * 6), group([10] * 5, lags=LAGS[:5]))
    with pytest.raises(InputError, match=r"lags \[32, 128, 256, 512\]"):
        horizon_ratio(group([10] * 6), group([10, 0], lags=(16, 64)))


def test_the_permutation_test_keeps_its_level() -> None:
    rng, shares = np.random.default_rng(0), np.array([1, 0.9, 0.7, 0.4, 0.2, 0.1])
    hits, covered, repeats = 0, 0, 300
    for _ in range(repeats):
        a, b = (Outcomes(LAGS, rng.random((10, 6)) < shares) for _ in range(2))
        found = horizon_ratio(a, b, resamples=199, draws=299)
        hits += found.p_value <= 0.05
        covered += 0 in found.octaves.interval
    assert hits / repeats <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / repeats)
    assert covered / repeats > 0.93 - 3 * np.sqrt(0.05 * 0.95 / repeats)
