import math

import numpy as np
import pytest
from scipy import stats

from longhold.errors import InputError
from longhold.study.statistics import (
    Times,
    log_rank_scores,
    log_rank_test,
    log_rank_z,
    restricted_times,
    survival,
    times,
)

# Weeks of remission under 6-mercaptopurine and placebo (Freireich et al. 1963, as in Cox and Oakes 1984, table 1.1).
DRUG = times([6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35], [True] * 9 + [False] * 12)
PLACEBO = times([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23], [True] * 21)


def test_the_curve_of_the_textbook() -> None:
    found = survival(DRUG)
    known = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}  # published, to three digits
    at = dict(zip(found.times.tolist(), found.unsolved.tolist(), strict=True))
    assert {time: round(at[time], 3) for time in known} == known
    assert found.median.value == 23
    assert survival(PLACEBO).median.value == 8
    assert (found.seeds, found.solved) == (21, 9)


def test_the_interval_of_the_median_is_that_of_other_software() -> None:
    """R's survfit(conf.type="log-log") gives 13 to NA and 4 to 11."""
    assert (survival(DRUG).median.interval.low, survival(DRUG).median.interval.high) == (13, math.inf)
    assert (survival(PLACEBO).median.interval.low, survival(PLACEBO).median.interval.high) == (4, 11)


def test_the_log_rank_statistic_of_the_textbook() -> None:
    assert log_rank_z(PLACEBO, DRUG) ** 2 == pytest.approx(16.79, abs=0.01)
    assert log_rank_z(PLACEBO, DRUG) > 0  # who had placebo relapsed sooner
    assert log_rank_test(PLACEBO, DRUG) < 0.001


def test_the_scores_sum_to_observed_minus_expected() -> None:
    everyone = Times(np.concatenate([PLACEBO.values, DRUG.values]), np.concatenate([PLACEBO.seen, DRUG.seen]))
    scores = log_rank_scores(everyone)
    assert scores.sum() == pytest.approx(0, abs=1e-12)
    assert scores[:21].sum() == pytest.approx(21 - 10.749, abs=0.001)  # expected under placebo: 10.75, published


def test_nobody_solving_is_no_difference() -> None:
    none = times([1000.0] * 10, [False] * 10)
    assert log_rank_z(none, none) == 0
    assert log_rank_test(none, none) == 1
    assert survival(none).median.value == math.inf
    assert survival(none).median.interval.low == math.inf


@pytest.mark.parametrize(("seeds", "high"), [(10, 600), (6, 600), (5, math.inf), (1, math.inf)])
def test_seeds_that_all_solve_at_once_have_an_interval_of_one_time_if_they_are_enough(seeds: int, high: float) -> None:
    """If half of all seeds needed longer, six that don't have a probability of 1/64; 2.5 % are allowed."""
    found = survival(times([600.0] * seeds, [True] * seeds)).median
    assert found.value == 600
    assert (found.interval.low, found.interval.high) == (600, high)


@pytest.mark.parametrize("early", [4, 8])
def test_the_last_seeds_to_solve_end_the_interval_only_if_they_are_enough(early: int) -> None:
    found = survival(times([100.0] * early + [600.0] * (14 - early), [True] * 14)).median
    assert found.interval.high == 600
    assert found.value == (600 if early < 7 else 100)


def test_medians_of_coarse_times_cover() -> None:
    rng, hit, repeats = np.random.default_rng(0), 0, 600
    for _ in range(repeats):
        drawn = np.ceil(2 * rng.exponential(size=8)) / 2
        hit += 1.0 in survival(times(drawn, np.ones(8, dtype=bool))).median.interval
    assert hit / repeats > 0.95


def test_restricted_times_are_the_smaller_of_time_and_limit_without_early_censoring() -> None:
    group = times([100, 250, 400, 400], [True, True, False, False])
    assert restricted_times(group, 300).tolist() == [100, 250, 300, 300]
    assert restricted_times(times([100, 250], [True, True]), 900).tolist() == [100, 250]


def test_restricted_times_with_early_censoring_by_hand() -> None:
    # 2 events at 1 and 3, censored at 2 and 4: S = 3/4 from 1, 3/8 from 3; mean up to 4: 1 + 2 * 3/4 + 1 * 3/8
    group = times([1, 2, 3, 4], [True, False, True, False])
    figures = restricted_times(group, 4)
    whole = 1 + 2 * 0.75 + 0.375
    without_first = 3 + 0.5  # 2 censored, 3 an event of two at risk
    assert figures[0] == pytest.approx(4 * whole - 3 * without_first)
    assert figures.mean() == pytest.approx(whole, abs=0.1)


@pytest.mark.parametrize(("seeds", "budget"), [(10, 1.0), (20, 2.0), (30, 1.0)])
def test_intervals_of_medians_cover(seeds: int, budget: float) -> None:
    rng, hit, repeats = np.random.default_rng(seeds), 0, 600
    for _ in range(repeats):
        drawn = rng.exponential(size=seeds)
        hit += math.log(2) in survival(times(np.minimum(drawn, budget), drawn <= budget)).median.interval
    slack = 3 * np.sqrt(0.95 * 0.05 / repeats)
    assert 0.93 - slack < hit / repeats < 0.97 + slack


def test_the_permuted_log_rank_keeps_its_level_with_heavy_censoring() -> None:
    rng, hits, repeats = np.random.default_rng(1), 0, 400
    for _ in range(repeats):
        drawn = rng.exponential(size=(2, 10))
        groups = [times(np.minimum(one, 0.7), one <= 0.7) for one in drawn]
        hits += log_rank_test(groups[0], groups[1], resamples=199) <= 0.05
    assert hits / repeats <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / repeats)


def test_the_permuted_p_value_is_close_to_the_normal_one_for_many_seeds() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.exponential(1.0, 200), rng.exponential(1.25, 200)
    groups = [times(np.minimum(known, 1.5), known <= 1.5) for known in (one, other)]
    normal = stats.logrank(groups[0].censored_data(), groups[1].censored_data()).pvalue
    assert log_rank_test(groups[0], groups[1]) == pytest.approx(float(normal), abs=0.015)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="2 times and 1 marks"):
        times([1, 2], [True])
    with pytest.raises(InputError, match="time -1"):
        times([-1], [True])
    with pytest.raises(InputError, match="times of shape"):
        times([], [])
    with pytest.raises(InputError, match="limit=5"):
        restricted_times(times([1, 4], [True, False]), 5)
