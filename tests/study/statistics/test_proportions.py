import itertools
from math import comb

import numpy as np
import pytest
from scipy import stats

from longhold.errors import InputError
from longhold.study.statistics import (
    Proportion,
    detectable_proportion_difference,
    equivalent_proportions,
    proportion_difference,
)


def chances(seeds: int, share: float) -> list[float]:
    """Binomial probabilities written out."""
    return [comb(seeds, k) * share**k * (1 - share) ** (seeds - k) for k in range(seeds + 1)]


def test_wilson_by_hand() -> None:
    # 8 of 10: (8 + z^2/2) / (10 + z^2) +- z / (10 + z^2) sqrt(10 * 0.8 * 0.2 + z^2 / 4)
    z = 1.959964
    centre, half = (8 + z**2 / 2) / (10 + z**2), z / (10 + z**2) * (10 * 0.16 + z**2 / 4) ** 0.5
    found = Proportion(8, 10).estimate()
    assert found.value == 0.8
    assert found.interval.low == pytest.approx(centre - half, abs=1e-6)
    assert found.interval.high == pytest.approx(centre + half, abs=1e-6)


@pytest.mark.parametrize(("solved", "ends"), [(0, (0.0, 0.2775)), (10, (0.7225, 1.0))])
def test_wilson_stays_within_shares_and_has_width_where_all_or_none_solved(
    solved: int, ends: tuple[float, float]
) -> None:
    found = Proportion(solved, 10).estimate().interval
    assert (found.low, found.high) == pytest.approx(ends, abs=1e-4)


@pytest.mark.parametrize("seeds", [10, 30])
def test_wilson_covers_on_average_over_all_shares(seeds: int) -> None:
    shares = np.linspace(0.005, 0.995, 199)
    intervals = [Proportion(solved, seeds).estimate().interval for solved in range(seeds + 1)]
    covered = [sum(p for p, known in zip(chances(seeds, q), intervals, strict=True) if q in known) for q in shares]
    assert 0.93 < np.mean(covered) < 0.97


@pytest.mark.parametrize(("a", "b"), [((5, 5), (0, 5)), ((4, 5), (1, 7)), ((2, 3), (2, 6)), ((0, 4), (3, 3))])
@pytest.mark.parametrize("difference", [0.0, -0.3, 0.25])
def test_the_exact_tail_equals_a_brute_force_over_tables(
    a: tuple[int, int], b: tuple[int, int], difference: float
) -> None:
    """Through the equivalence test, whose p-value is the larger of two tails, and the test of no difference."""

    def statistic(x: int, y: int, n: int, m: int, d: float) -> float:
        p, q = (x + 1) / (n + 2), (y + 1) / (m + 2)
        return (p - q - d) / (p * (1 - p) / (n + 2) + q * (1 - q) / (m + 2)) ** 0.5

    def tail(x: int, n: int, y: int, m: int, d: float) -> float:
        seen, worst = statistic(x, y, n, m, d), 0.0
        for q in np.linspace(max(0.0, -d), min(1.0, 1 - d), 201):
            left, right = chances(n, min(max(q + d, 0.0), 1.0)), chances(m, q)
            tables = itertools.product(range(n + 1), range(m + 1))
            worst = max(worst, sum(left[i] * right[j] for i, j in tables if statistic(i, j, n, m, d) >= seen - 1e-9))
        return worst

    if difference == 0:
        expected = min(1.0, 2 * min(tail(*a, *b, 0.0), tail(*b, *a, 0.0)))
        assert proportion_difference(Proportion(*a), Proportion(*b)).p_value == pytest.approx(expected, abs=1e-9)
    else:
        margin = abs(difference)
        expected = max(tail(*a, *b, -margin), tail(*b, *a, -margin))
        assert equivalent_proportions(Proportion(*a), Proportion(*b), margin) == pytest.approx(expected, abs=1e-9)


def test_the_test_agrees_with_scipys_exact_unconditional_test_where_it_matters() -> None:
    """Another statistic orders the tables a little otherwise; clear tables must be clear for both."""
    for a, b in itertools.product(range(11), repeat=2):
        ours = proportion_difference(Proportion(a, 10), Proportion(b, 10)).p_value
        barnard = stats.barnard_exact([[a, b], [10 - a, 10 - b]]).pvalue if 0 < a + b < 20 else 1.0
        assert (ours < 0.05) == (barnard < 0.05), (a, b)
        assert not (ours < 0.01) or barnard < 0.02


@pytest.mark.parametrize(("n", "m"), [(10, 10), (10, 12)])
def test_the_test_the_interval_and_the_equivalence_test_keep_their_levels_exactly(n: int, m: int) -> None:
    tables = list(itertools.product(range(n + 1), range(m + 1)))
    found = {(i, j): proportion_difference(Proportion(i, n), Proportion(j, m)) for i, j in tables}
    for p, q in itertools.product(np.linspace(0.02, 0.98, 13), repeat=2):
        left, right = chances(n, p), chances(m, q)
        covered = sum(left[i] * right[j] for i, j in tables if p - q in found[i, j].difference.interval)
        assert covered >= 0.95
    for p in np.linspace(0, 1, 41):
        left, right = chances(n, p), chances(m, p)
        assert sum(left[i] * right[j] for i, j in tables if found[i, j].p_value < 0.05) <= 0.05
    equal = {(i, j): equivalent_proportions(Proportion(i, n), Proportion(j, m), 0.4) < 0.05 for i, j in tables}
    assert any(equal.values())
    for q in np.linspace(0, 0.6, 41):  # the first share is larger by just the margin
        left, right = chances(n, q + 0.4), chances(m, q)
        assert sum(left[i] * right[j] for i, j in tables if equal[i, j]) <= 0.05
    for known in found.values():
        assert (known.p_value < 0.05) == (0 not in known.difference.interval)


def test_swapping_the_shares_turns_the_difference_round() -> None:
    one, other = (
        proportion_difference(Proportion(9, 10), Proportion(2, 13)),
        proportion_difference(Proportion(2, 13), Proportion(9, 10)),
    )
    assert one.p_value == other.p_value
    assert -one.difference == other.difference


def test_ten_seeds_cannot_show_that_two_shares_are_within_a_fifth() -> None:
    """If one share is 0.8 and the other 1, all of both solve with probability 0.8^10 = 0.107."""
    assert equivalent_proportions(Proportion(10, 10), Proportion(10, 10), 0.2) == pytest.approx(0.8**10, abs=1e-6)
    assert equivalent_proportions(Proportion(30, 30), Proportion(30, 30), 0.2) == pytest.approx(0.8**30, abs=1e-6)


def test_the_detectable_difference_is_seen_four_times_in_five_and_a_smaller_one_is_not() -> None:
    least = detectable_proportion_difference(10, 10)
    rng = np.random.default_rng(0)

    def power(difference: float) -> float:
        pairs = rng.binomial(10, [0.5 + difference / 2, 0.5 - difference / 2], (2000, 2)).tolist()
        return float(
            np.mean([proportion_difference(Proportion(a, 10), Proportion(b, 10)).p_value <= 0.05 for a, b in pairs])
        )

    assert power(least) > 0.77
    assert power(least - 0.1) < 0.77
    assert detectable_proportion_difference(10, 10, level=0.001) > least > detectable_proportion_difference(30, 30)
    assert detectable_proportion_difference(2, 2) == np.inf


def test_what_cannot_be_is_refused() -> None:
    for wrong in ((1, 0), (-1, 3), (4, 3)):
        with pytest.raises(InputError, match=f"{wrong[0]} of {wrong[1]} seeds"):
            Proportion(*wrong)
    with pytest.raises(InputError, match=r"margin=1\.5"):
        equivalent_proportions(Proportion(1, 2), Proportion(1, 2), 1.5)
    with pytest.raises(InputError, match="confidence=0"):
        proportion_difference(Proportion(1, 2), Proportion(1, 2), 0)
