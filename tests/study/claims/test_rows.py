import json

import pytest

from longhold.errors import InputError
from longhold.study.claims.rows import runs
from tests.study.claims.rows_made_up import row


def test_a_task_may_be_json_text() -> None:
    given = row("lstm uniform", 0)
    written = {**given, "task": json.dumps(given["task"])}
    one, other = runs([given])[0], runs([written])[0]
    assert one.task == other.task == "recall(symbols=8)"
    assert one.fields == other.fields


def test_what_varies_is_not_part_of_the_task_and_may_be_named() -> None:
    given = row("lstm uniform", 0, None, task={"name": "mqar", "pairs": 16, "keys": 64}, vary="pairs", level=16)
    found = runs([given])[0]
    assert (found.task, found.vary, found.level) == ("mqar(keys=64)", "pairs", 16)
    assert found.has("pairs", 16)
    assert not found.has("pairs", 8)
    assert found.has("steps", 1500)
    assert not found.has("nothing", 0)


def test_ids_are_digests_or_made_of_what_tells_rows_apart() -> None:
    assert runs([row("a", 0, digest="abc")])[0].id == "abc"
    found = [run.id for run in runs([row("a", 0), row("a", 1), row("b", 0), row("a", 0, 16)])]
    assert len(set(found)) == 4
    assert runs([row("a", 0, solved=False)])[0].id == found[0]  # what came of it does not name it


def test_steps_are_censored_where_a_run_did_not_solve() -> None:
    def at(**more: object) -> tuple[float, bool]:
        return runs([{**row("a", 0), **more}])[0].solved_at

    assert at() == (600, True)
    assert at(solved=False, solved_step=None, steps_used=1200) == (1200, False)
    assert at(error="the loss became non-finite", steps_used=30) == (1500, False)


def test_recall_by_lag_comes_in_order() -> None:
    tests = [{"lag": lag, "score": 0, "recall": lag / 100} for lag in (64, 8, 32)]
    tests.append({"lag": None, "score": 0, "recall": 1.0})
    assert runs([row("a", 0, by_lag=tests)])[0].by_lag == [(8, 0.08), (32, 0.32), (64, 0.64)]


def test_what_is_missing_is_named() -> None:
    given = row("a", 0)
    del given["steps_used"]
    with pytest.raises(InputError, match="a row without 'steps_used'"):
        runs([given])


def test_a_field_that_is_left_open_is_not_told() -> None:
    task = {"name": "agreement", "attractors": None, "nonce": False, "fillers": 0}
    (run,) = runs([row("lstm uniform", 0, None, task=task)])
    assert run.task == "agreement(fillers=0, nonce=False)"
    assert run.has("attractors", False) is False
