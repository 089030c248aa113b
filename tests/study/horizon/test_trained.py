import math

import numpy as np
import pytest
from scipy.optimize import isotonic_regression

from longhold.errors import InputError
from longhold.study.horizon import Outcomes, outcomes, trained_horizon
from longhold.study.horizon.trained import crossing, isotonic

LAGS = (16, 32, 64, 128, 256, 512)


def group(counts: list[int], seeds: int = 10, lags: tuple[int, ...] = LAGS) -> Outcomes:
    """The first so many seeds solve each lag."""
    return Outcomes(lags, np.arange(seeds)[:, None] < np.array(counts)[None])


def truth(shares: list[float]) -> float:
    """The crossing of a falling curve, found on a fine grid of lags."""
    fine = np.linspace(np.log2(LAGS[0]), np.log2(LAGS[-1]), 200_001)
    curve = np.interp(fine, np.log2(LAGS), shares)
    return float(2 ** fine[np.flatnonzero(curve >= 0.5)[-1]])


def test_the_crossing_is_interpolated_in_log_lag() -> None:
    assert trained_horizon(group([10, 10, 10, 0, 0, 0])).horizon.value == pytest.approx(math.sqrt(64 * 128))
    # 8 of 10 at 64, 4 of 10 at 128: three quarters of the octave, 64 * 2^(3/4)
    assert trained_horizon(group([10, 10, 8, 4, 0, 0])).horizon.value == pytest.approx(64 * 2**0.75)


def test_shares_that_rise_are_levelled_first() -> None:
    # 4, 8 of 10 at lags 64, 128 become 6, 6; then 2 of 10: a quarter of the octave beyond 128
    found = trained_horizon(group([10, 10, 4, 8, 2, 0]))
    assert found.horizon.value == pytest.approx(128 * 2**0.25)


def test_just_half_still_counts() -> None:
    assert trained_horizon(group([10, 5, 5, 0, 0, 0])).horizon.value == pytest.approx(64)


def test_off_the_grid_is_censored_and_never_zero_in_words() -> None:
    long, short = trained_horizon(group([10] * 6)), trained_horizon(group([4, 2, 0, 0, 0, 0]))
    assert long.right_censored
    assert str(long).startswith(">= 512")
    assert short.left_censored
    assert str(short).startswith("< 16")
    assert (long.left_censored, short.right_censored) == (False, False)


def test_ends_of_the_interval_are_censored_by_themselves() -> None:
    found = trained_horizon(group([10, 10, 10, 10, 7, 6]))
    assert found.right_censored
    assert str(found).endswith("to >= 512)")
    assert found.horizon.interval.low < 512


def test_a_cliff_has_an_interval_with_width() -> None:
    found = trained_horizon(group([10, 10, 10, 0, 0, 0])).horizon
    assert 64 < found.interval.low < found.value - 2 < found.value + 2 < found.interval.high < 128


@pytest.mark.parametrize("seeds", [10, 20])
@pytest.mark.parametrize("together", [False, True])
def test_the_interval_covers(seeds: int, together: bool) -> None:
    """Over studies of all kinds: falling shares drawn anew; lags that agree within a seed or that do not."""
    rng, hit, repeats = np.random.default_rng(seeds + together), 0, 250
    for _ in range(repeats):
        shares = np.sort(rng.random(6))[::-1]
        shares[0], shares[-1] = max(shares[0], 0.6), min(shares[-1], 0.4)
        drawn = rng.random((seeds, 1 if together else 6)) < shares
        found = trained_horizon(Outcomes(LAGS, drawn), resamples=199)
        hit += truth(shares.tolist()) in found.horizon.interval
    slack = 3 * np.sqrt(0.95 * 0.05 / repeats)
    assert 0.93 - slack < hit / repeats < 0.97 + slack


def test_a_horizon_beyond_the_grid_is_covered_by_a_censored_end() -> None:
    rng, reached = np.random.default_rng(3), 0
    for _ in range(100):
        found = trained_horizon(Outcomes(LAGS, rng.random((10, 6)) < 0.9), resamples=199)
        reached += math.isinf(found.horizon.interval.high)
    assert reached >= 97


def test_models_at_chance_are_left_censored() -> None:
    rng, upper = np.random.default_rng(4), 0
    for _ in range(200):
        found = trained_horizon(Outcomes(LAGS, rng.random((10, 6)) < 0.001), resamples=199)
        upper += found.horizon.interval.high < LAGS[0]
    assert upper / 200 >= 0.95


def test_seeds_that_solve_again_at_longer_lags_are_flagged_and_level_ones_are_not() -> None:
    assert trained_horizon(group([10, 0, 0, 10, 10, 0])).nonmonotone
    rng = np.random.default_rng(5)
    flagged = [trained_horizon(Outcomes(LAGS, rng.random((10, 6)) < 0.5), resamples=19).nonmonotone for _ in range(500)]
    assert np.mean(flagged) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 500)


def test_a_study_that_stopped_after_two_failed_lags_counts_the_rest_as_not_solved() -> None:
    full = {seed: {16: True, 32: True, 64: False, 128: False, 256: False} for seed in range(5)}
    stopped = {seed: {16: True, 32: seed < 7, 64: False, 128: False} for seed in range(5, 10)}
    found = outcomes({**full, **stopped})
    assert found.lags == (16, 32, 64, 128, 256)
    assert found.stopped == 5
    assert found.incomplete == ()
    assert not found.solved[:, -1].any()
    assert crossing(found.lags, found.solved) == pytest.approx(32 * 2 ** (0.2 / 0.7))


def test_seeds_with_other_gaps_are_left_out() -> None:
    found = outcomes({0: {16: True, 32: True, 64: False}, 1: {16: True, 64: False}, 2: {16: True, 32: True}})
    assert found.incomplete == (1, 2)
    assert len(found.solved) == 1
    with pytest.raises(InputError, match="no seed has a row at every lag"):
        outcomes({1: {16: True}, 2: {32: True}})


def test_the_same_rows_give_the_same_interval() -> None:
    assert trained_horizon(group([9, 8, 7, 3, 1, 0])) == trained_horizon(group([9, 8, 7, 3, 1, 0]))


@pytest.mark.parametrize("size", [1, 2, 5, 9])
def test_many_isotonic_fits_at_once_are_scipys_one_by_one(size: int) -> None:
    rows = np.random.default_rng(size).random((50, size)).round(1)
    assert isotonic(rows) == pytest.approx(np.array([isotonic_regression(row, increasing=False).x for row in rows]))


def test_one_lag_alone_says_only_on_which_side_of_it() -> None:
    assert crossing((16,), np.ones((10, 1), dtype=bool)) == math.inf
    assert crossing((16,), np.zeros((10, 1), dtype=bool)) == 0
