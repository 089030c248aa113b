import itertools

import numpy as np
import pytest

from longhold.errors import InputError
from longhold.study.horizon import modes

RNG = np.random.default_rng(11)


def best_split(values: list[float]) -> int:
    """The size of the lower group, by trying all."""
    known = sorted(values)
    return min(range(1, len(known)), key=lambda k: np.var(known[:k]) * k + np.var(known[k:]) * (len(known) - k))


@pytest.mark.parametrize("seeds", [2, 3, 10, 17])
def test_the_split_is_the_best_of_all(seeds: int) -> None:
    for _ in range(20):
        values = RNG.random(seeds).tolist()
        found = modes(values)
        assert found.low.seeds == best_split(values)
        assert found.high.seeds == seeds - found.low.seeds


@pytest.mark.parametrize("solving", [3, 5, 7])
def test_a_mixture_of_solving_and_failing_seeds_is_bimodal_with_its_shares(solving: int) -> None:
    values = [0.99 + 0.002 * seed for seed in range(solving)] + [0.005 * seed for seed in range(10 - solving)]
    found = modes(values)
    assert found.bimodal
    assert found.high.fraction == solving / 10
    assert found.low.centre == pytest.approx(np.mean(values[solving:]))
    assert found.high.centre == pytest.approx(np.mean(values[:solving]))
    assert found.values == tuple(sorted(values))  # every seed is there


def test_mixtures_of_half_solving_seeds_are_found() -> None:
    found = []
    for _ in range(200):
        solve = RNG.random(20) < 0.5
        found.append(modes(np.where(solve, RNG.beta(60, 1, 20), RNG.normal(0, 0.03, 20)).tolist()).bimodal)
    assert np.mean(found) > 0.95


@pytest.mark.parametrize("seeds", [10, 20])
def test_one_mode_is_rarely_called_two(seeds: int) -> None:
    """Uniform, skewed, and most of the seeds at 1 with a tail: 400 groups of each."""
    kinds = [
        lambda n: RNG.random(n),
        lambda n: RNG.beta(8, 1, n),
        lambda n: RNG.beta(1, 0.5, n),
        lambda n: RNG.normal(0.5, 0.2, n),
        lambda n: np.where(RNG.random(n) < 0.7, 1.0, RNG.random(n)),
    ]
    for draw in kinds:
        share = np.mean([modes(draw(seeds).tolist()).bimodal for _ in range(400)])
        assert share <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_a_single_seed_apart_is_an_outlier() -> None:
    assert not modes([1.0] * 9 + [0.0]).bimodal


def test_modes_that_lie_close_together_are_one_result() -> None:
    assert not modes([0.9] * 5 + [1.0] * 5).bimodal


@pytest.mark.parametrize("values", [[0.5], [1.0, 1.0, 1.0], [0.2] * 10])
def test_without_spread_there_is_one_group(values: list[float]) -> None:
    found = modes(values)
    assert not found.bimodal
    assert found.low.seeds == len(values)
    assert found.low.centre == pytest.approx(values[0])
    assert found.high.seeds == 0


def test_order_does_not_matter() -> None:
    values = [0.0, 0.1, 0.9, 1.0]
    assert len({modes(list(order)) for order in itertools.permutations(values)}) == 1


def test_no_seeds_are_refused() -> None:
    with pytest.raises(InputError):
        modes([])
