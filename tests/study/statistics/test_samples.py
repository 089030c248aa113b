import itertools
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.weightstats import CompareMeans, ttost_ind

from longhold.errors import InputError
from longhold.study.statistics import (
    detectable_mean_difference,
    equivalent_means,
    mean_difference,
    permutation_test,
    superiority,
)

Array = NDArray[np.float64]
RNG = np.random.default_rng(7)


def all_splits(a: list[float], b: list[float], location: Callable[[list[float]], float]) -> float:
    """The two-sided permutation p-value by looking at every split: twice the smaller tail."""
    everyone = a + b
    seen = location(a) - location(b)
    drawn = []
    for chosen in itertools.combinations(range(len(everyone)), len(a)):
        rest = [value for place, value in enumerate(everyone) if place not in chosen]
        drawn.append(location([everyone[place] for place in chosen]) - location(rest))
    tails = np.mean(np.array(drawn) >= seen - 1e-9), np.mean(np.array(drawn) <= seen + 1e-9)
    return min(1.0, 2 * float(min(tails)))


@pytest.mark.parametrize("location", [np.mean, np.median])
@pytest.mark.parametrize("sizes", [(4, 4), (3, 5), (2, 6)])
def test_the_permutation_test_looks_at_every_split_where_there_are_few(
    location: Callable[..., float], sizes: tuple[int, int]
) -> None:
    a, b = (RNG.random(size).round(2).tolist() for size in sizes)
    assert permutation_test([(a, b)], location) == pytest.approx(all_splits(a, b, location), abs=1e-9)


def test_five_against_five_completely_apart_has_the_textbook_p_value() -> None:
    assert permutation_test([([1, 1, 1, 1, 1], [0, 0, 0, 0, 0])]) == pytest.approx(2 / 252)


def test_strata_are_permuted_within_themselves() -> None:
    strata = [([5.0, 6.1, 7.3], [4.0, 5.5, 5.2]), ([105.0, 107.4, 106.0], [104.1, 103.0, 106.5])]
    seen = sum(np.mean(a) - np.mean(b) for a, b in strata)
    parts = []
    for a, b in strata:
        everyone = a + b
        splits = itertools.combinations(range(6), 3)
        parts.append([2 * sum(everyone[i] for i in one) / 3 - sum(everyone) / 3 for one in splits])
    drawn = np.add.outer(*map(np.array, parts)).ravel()
    exact = 2 * min(np.mean(drawn >= seen - 1e-9), np.mean(drawn <= seen + 1e-9))
    assert permutation_test(strata, resamples=49_999) == pytest.approx(exact, abs=0.01)
    pooled = permutation_test([(strata[0][0] + strata[1][0], strata[0][1] + strata[1][1])])
    assert pooled > 5 * exact  # between tasks lies far more than between arms


def test_the_level_holds_on_runs_that_solve_or_fail() -> None:
    found = [
        permutation_test([((RNG.random(10) < 0.6).astype(float), (RNG.random(10) < 0.6).astype(float))], resamples=199)
        for _ in range(400)
    ]
    assert np.mean(np.array(found) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_the_same_rows_give_the_same_p_value() -> None:
    strata = [(RNG.random(12), RNG.random(12))] * 2
    assert permutation_test(strata, seed=3) == permutation_test(strata, seed=3)


def widened(a: Array, b: Array, ends: tuple[float, float]) -> tuple[Array, Array]:
    return np.append(a, ends), np.append(b, ends)


def test_the_mean_difference_is_welch_on_samples_with_two_pseudo_seeds() -> None:
    a, b = RNG.random(10), 0.5 * RNG.random(13)
    seen = np.concatenate([a, b])
    wide = widened(a, b, (seen.min(), seen.max()))
    low, high = CompareMeans.from_data(*wide).tconfint_diff(usevar="unequal")
    found = mean_difference([(a, b)])
    assert found.value == pytest.approx(a.mean() - b.mean())
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high))


def test_equivalence_is_two_one_sided_tests_on_samples_with_two_pseudo_seeds() -> None:
    a, b = 0.4 + 0.2 * RNG.random(15), 0.4 + 0.2 * RNG.random(11)
    expected = ttost_ind(*widened(a, b, (0.0, 1.0)), -0.3, 0.3, usevar="unequal")[0]
    assert equivalent_means([(a, b)], 0.3) == pytest.approx(float(expected))


def test_strata_of_means_average_and_their_errors_add_in_squares() -> None:
    pairs = [(RNG.random(10), RNG.random(10)), (RNG.random(14), RNG.random(12))]
    found = mean_difference(pairs)
    alone = [mean_difference([pair]) for pair in pairs]
    assert found.value == pytest.approx(np.mean([one.value for one in alone]))
    halves = [(one.interval.high - one.interval.low) / 2 for one in alone]
    together = (found.interval.high - found.interval.low) / 2
    assert together == pytest.approx(np.hypot(*halves) / 2, rel=0.05)  # the t quantiles differ a little


def solve_or_fail(share: float) -> Callable[[int], Array]:
    return lambda seeds: np.where(RNG.random(seeds) < share, RNG.beta(60, 1, seeds), RNG.beta(1, 60, seeds))


def lapsing(seeds: int) -> Array:
    return RNG.beta(40, 10, seeds)


@pytest.mark.parametrize(("seeds", "repeats"), [(10, 400), (20, 400)])
def test_intervals_of_mean_differences_cover_over_bimodal_figures_of_all_shares(seeds: int, repeats: int) -> None:
    hit = 0
    for _ in range(repeats):
        p, q = RNG.random(2)
        truth = p * 60 / 61 + (1 - p) / 61 - q * 60 / 61 - (1 - q) / 61
        hit += truth in mean_difference([(solve_or_fail(p)(seeds), solve_or_fail(q)(seeds))]).interval
    slack = 3 * np.sqrt(0.95 * 0.05 / repeats)
    assert 0.93 - slack < hit / repeats < 0.97 + slack


def test_all_seeds_alike_still_leave_an_interval() -> None:
    found = mean_difference([([1.0] * 10, [1.0] * 10)])
    assert found.interval.low < -0.1
    assert found.interval.high > 0.1
    assert equivalent_means([([1.0] * 10, [1.0] * 10)], 0.1) > 0.05


def test_equivalence_is_rarely_found_at_the_margin() -> None:
    found = [equivalent_means([(0.2 + lapsing(20), lapsing(20))], 0.2, bounds=(0.0, 1.2)) < 0.05 for _ in range(300)]
    assert np.mean(found) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)


def test_the_detectable_difference_is_seen_four_times_in_five() -> None:
    least = detectable_mean_difference([(lapsing(2000), lapsing(2000))], level=0.05)
    scale = np.sqrt(2000 / 20)  # of the standard error, from 2000 seeds to 20
    hits = [permutation_test([(lapsing(20) + least * scale, lapsing(20))], resamples=199) <= 0.05 for _ in range(300)]
    assert 0.7 < np.mean(hits) < 0.88


def test_superiority_by_hand() -> None:
    # 2 beats 1 and 0 and ties 2; 1 beats 0, ties 1, loses to 2; 0 ties 0, loses twice: wins 3, ties 3 of 9
    found = superiority([([0, 1, 2], [0, 1, 2])])
    assert found.probability.value == 0.5
    found = superiority([([3, 4, 2], [2, 1, 0])])
    assert found.probability.value == pytest.approx((8 + 0.5) / 9)


def test_superiority_is_mann_whitneys_u_over_the_pairs() -> None:
    a, b = RNG.random(11), RNG.random(9).round(1)
    assert superiority([(a, b)]).probability.value == pytest.approx(stats.mannwhitneyu(a, b).statistic / 99)


def test_complete_separation_leaves_an_interval() -> None:
    found = superiority([([1.0] * 10, [0.0] * 10)])
    assert found.probability.value == 1
    assert found.probability.interval.low < 0.975


@pytest.mark.parametrize("seeds", [10, 20])
def test_intervals_of_superiority_cover(seeds: int) -> None:
    repeats, hit = 400, 0
    for _ in range(repeats):
        p, q = RNG.random(2)
        truth = 0.5 + 0.5 * (p - q)  # within a mode both sides are alike
        hit += (
            truth
            in superiority([(solve_or_fail(p)(seeds), solve_or_fail(q)(seeds))], resamples=299).probability.interval
        )
    assert hit / repeats >= 0.93


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="no strata"):
        permutation_test([])
    with pytest.raises(InputError, match=r"b of shape \(0,\)"):
        permutation_test([([1.0], [])])
    with pytest.raises(InputError, match="a=nan"):
        mean_difference([([1.0, float("nan")], [1.0])])
    with pytest.raises(InputError, match="margin=0"):
        equivalent_means([([1.0], [1.0])], 0)
