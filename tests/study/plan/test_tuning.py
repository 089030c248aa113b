import pytest

from longhold.errors import InputError
from longhold.study.plan.tuning import Tuning, best_rate, wider
from tests.study.tiny import row, spec


def runs(lr: float, *solved: bool, **changes):
    return [row(spec(lr=lr, seed=seed, stage="tuning"), solved=good, **changes) for seed, good in enumerate(solved)]


def test_most_seeds_then_fewest_steps_then_recall_then_the_smaller_rate() -> None:
    most = {0.1: runs(0.1, True, False), 0.2: runs(0.2, True, True), 0.3: runs(0.3, False, False)}
    assert best_rate(most) == 0.2
    fast = {0.1: runs(0.1, True, True), 0.2: runs(0.2, True, True, solved_step=20), 0.3: runs(0.3, False, False)}
    assert best_rate(fast) == 0.2
    close = {0.1: runs(0.1, False, recall=0.3), 0.2: runs(0.2, False, recall=0.8)}
    assert best_rate(close) == 0.2
    assert best_rate({0.1: runs(0.1, True), 0.2: runs(0.2, True)}) == 0.1


def test_a_run_that_failed_is_worse_than_guessing_and_took_all_its_steps() -> None:
    failed = runs(0.4, False, score=None, recall=None, steps_used=3, error="the loss became non-finite in step 3")
    assert best_rate({0.1: runs(0.1, False, recall=-0.05), 0.4: failed}) == 0.1


def test_a_grid_is_widened_at_its_edges_only_and_only_so_often() -> None:
    tuning = Tuning(grid=(1e-3, 1e-2, 1e-1, 1.0, 10.0), seeds=(7,), widen=1)
    assert wider(tuning, tuning.grid, 10.0) == 100.0
    assert wider(tuning, tuning.grid, 1e-3) == 1e-4
    assert wider(tuning, tuning.grid, 1e-2) is None
    assert wider(tuning, (*tuning.grid, 100.0), 100.0) is None


@pytest.mark.parametrize("grid", [(1e-3, 2e-3, 4e-3, 8e-3), (1, 2, 4, 8, 9), (5, 4, 3, 2, 1), (1, 1, 1, 1, 1), ()])
def test_what_is_no_grid_is_refused(grid: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="at least 5 rising rates"):
        Tuning(grid=grid, seeds=(1,))


def test_a_grid_of_round_numbers_is_even_enough() -> None:
    assert Tuning(grid=(3e-4, 1e-3, 3e-3, 1e-2, 3e-2), seeds=(1,)).factor == pytest.approx(10**0.5)
