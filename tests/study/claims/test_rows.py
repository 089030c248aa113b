import pytest

from longhold.errors import InputError
from longhold.study.claims.rows import runs
from tests.study.claims.rows_made_up import row
from tests.study.columns import row_of


def test_what_varies_is_not_part_of_the_task_and_may_be_named() -> None:
    given = row("lstm uniform", 0, None, task={"name": "mqar", "pairs": 16, "keys": 64}, vary="pairs", level=16)
    found = runs([row_of(given)])[0]
    assert (found.task, found.vary, found.level) == ("mqar(keys=64)", "pairs", 16)
    assert found.has("pairs", 16)
    assert not found.has("pairs", 8)
    assert found.has("steps", 1500)
    assert not found.has("nothing", 0)


def test_a_row_that_occurs_twice_is_refused() -> None:
    with pytest.raises(InputError, match=r"row [0-9a-f]{32} occurs twice"):
        runs([row_of(row("gru uniform", 0)), row_of(row("gru uniform", 0, solved=False))])


def test_steps_are_censored_where_a_run_did_not_solve() -> None:
    def at(**more: object) -> tuple[float, bool]:
        return runs([row_of({**row("lstm uniform", 0), **more})])[0].solved_at

    assert at() == (600, True)
    assert at(solved=False, solved_step=None, steps_used=1200) == (1200, False)
    assert at(error="the loss became non-finite", steps_used=30) == (1500, False)


def test_recall_by_lag_comes_in_order() -> None:
    tests = [{"lag": lag, "score": 0, "recall": lag / 100} for lag in (64, 8, 32)]
    tests.append({"lag": None, "score": 0, "recall": 1.0})
    assert runs([row_of(row("lstm uniform", 0, by_lag=tests))])[0].by_lag == [(8, 0.08), (32, 0.32), (64, 0.64)]


def test_a_field_that_is_left_open_is_not_told() -> None:
    task = {"name": "agreement", "attractors": None, "nonce": False, "fillers": 0}
    (run,) = runs([row_of(row("lstm uniform", 0, None, task=task))])
    assert run.task == "agreement(fillers=0, nonce=False)"
    assert run.has("attractors", False) is False
