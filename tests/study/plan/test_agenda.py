import collections
import itertools
import sys

import pytest

from longhold.errors import InputError
from longhold.study.plan.agenda import agenda
from longhold.study.plan.search import suggestion
from longhold.study.rows.row import Row
from longhold.study.rows.spec import TrialSpec
from tests.study.tiny import experiment, plan, row

LADDER = plan(experiment(protocol={**experiment()["protocol"], "lags": [1, 2, 3, 4, 5]}, arms={"lstm": ["chrono"]}))
GRID = [1e-3, 2e-3, 4e-3, 8e-3, 16e-3]
TUNED = plan(
    experiment(lr=None, tuning={"grid": GRID, "seeds": [90, 91], "level": 2, "widen": 2}, arms={"gru": ["uniform"]})
)


def after(study, solves) -> tuple[list[TrialSpec], dict[str, Row]]:
    """Everything that runs, in order, if `solves(spec)` tells what solves."""
    rows: dict[str, Row] = {}
    ran = []
    for _ in range(1000):
        left = agenda(study, rows)
        if not left.ready:
            assert not left.later
            return ran, rows
        made = left.ready[0].spec
        ran.append(made)
        rows[made.digest] = row(made, solved=solves(made))
    raise AssertionError("the study does not end")


def test_at_first_everything_is_ahead() -> None:
    left = agenda(plan(), {})
    assert [(item.spec.arm, item.spec.level, item.spec.seed) for item in left.ready] == [
        (arm, 1, seed) for arm in ("lstm uniform", "gru chrono (told the lag)") for seed in (0, 1)
    ]
    assert all([spec.level for spec in item.then] == [2, 3] for item in left.ready)
    assert left.runs == 2 * 3 * 2
    assert len({spec.digest for spec in left.specs()}) == 12
    assert left.done == ()


def test_a_told_prior_knows_the_length_of_its_own_task() -> None:
    ran, _ = after(LADDER, lambda spec: True)
    assert {(spec.level, spec.told) for spec in ran} == {(lag, lag + 2) for lag in (1, 2, 3, 4, 5)}


def test_two_failures_in_a_row_end_a_ladder_for_its_own_seed_only() -> None:
    ran, rows = after(LADDER, lambda spec: spec.seed == 1 or spec.level == 1)
    assert [spec.level for spec in ran if spec.seed == 0] == [1, 2, 3]
    assert [spec.level for spec in ran if spec.seed == 1] == [1, 2, 3, 4, 5]
    assert len(agenda(LADDER, rows).done) == 8


def test_a_failure_between_successes_does_not_end_it() -> None:
    ran, _ = after(LADDER, lambda spec: spec.level in (1, 3))
    assert [spec.level for spec in ran if spec.seed == 0] == [1, 2, 3, 4, 5]
    ran, _ = after(LADDER, lambda spec: spec.level == 2)
    assert [spec.level for spec in ran if spec.seed == 0] == [1, 2, 3, 4]


def test_without_a_stop_rule_all_levels_may_begin_at_once() -> None:
    free = plan(experiment(protocol={**experiment()["protocol"], "stop_after": None}))
    left = agenda(free, {})
    assert len(left.ready) == 12
    assert left.later == ()


def test_what_is_next_does_not_depend_on_the_order_of_rows() -> None:
    _, rows = after(LADDER, lambda spec: spec.level < 3)
    first = agenda(LADDER, rows)
    for order in itertools.islice(itertools.permutations(rows), 5):
        assert agenda(LADDER, {digest: rows[digest] for digest in order}) == first


def test_rows_that_the_plan_does_not_ask_for_play_no_part() -> None:
    left = agenda(plan(), {})
    stray = row(TrialSpec(**{**left.ready[0].spec.model_dump(), "lr": 0.5}))
    assert agenda(plan(), {stray.digest: stray}) == left


def test_tuning_comes_first_and_its_rate_is_used() -> None:
    ran, rows = after(TUNED, lambda spec: spec.lr == 4e-3 or spec.stage == "result")
    tuning, results = ran[:10], ran[10:]
    assert {(spec.lr, spec.seed, spec.level, spec.stage) for spec in tuning} == {
        (lr, seed, 2, "tuning") for lr in GRID for seed in (90, 91)
    }
    assert {(spec.lr, spec.stage) for spec in results} == {(4e-3, "result")}
    assert agenda(TUNED, rows).rates == {("hold", "gru uniform"): 4e-3}


def test_a_best_rate_at_an_edge_widens_the_grid() -> None:
    ran, rows = after(TUNED, lambda spec: spec.lr >= 16e-3 or spec.stage == "result")
    tried = sorted({spec.lr for spec in ran if spec.stage == "tuning"})
    assert tried == [*GRID, 32e-3]  # no better than 0.016, and the smaller of equals wins: an inner rate now
    assert agenda(TUNED, rows).rates == {("hold", "gru uniform"): 16e-3}
    ran, rows = after(TUNED, lambda spec: spec.stage == "result" or spec.lr == max(GRID) or spec.lr > 0.03)
    assert set(agenda(TUNED, rows).rates.values()) == {16e-3}
    ran, rows = after(TUNED, lambda spec: spec.stage == "result" or spec.lr <= 1e-3)
    assert sorted({spec.lr for spec in ran if spec.stage == "tuning"})[:2] == [0.25e-3, 0.5e-3]


def test_before_tuning_is_through_its_runs_stand_for_themselves() -> None:
    left = agenda(TUNED, {})
    assert len(left.ready) == 10
    assert len(left.later) == 6
    assert {spec.lr for spec in left.later} == {4e-3}


TIMED = plan(
    experiment(
        arms={"gru": ["uniform"], "lstm": ["uniform"]},
        steps=None,
        training_seconds=2.0,
        timing={"seeds": [70, 71], "steps": 9},
        lr=None,
        tuning={"grid": GRID, "seeds": [90], "level": 2},
    )
)


def paced(spec: TrialSpec, seconds: float) -> Row:
    return row(spec, solved=spec.stage != "timing", step_seconds=seconds)


def test_steps_follow_from_rows_that_were_timed_first() -> None:
    """The least of an arm's and level's step times counts; every later row says what its steps follow from."""
    left = agenda(TIMED, {})
    first = [item.spec for item in left.ready]
    assert {(spec.cell, spec.level, spec.seed) for spec in first} == set(
        itertools.product(("gru", "lstm"), (1, 2, 3), (70, 71))
    )
    assert {(spec.stage, spec.steps, spec.stop_at, spec.training_seconds) for spec in first} == {
        ("timing", 9, None, None)
    }
    assert len(left.later) == 2 * (5 + 2 * 3)
    took = {
        spec.digest: paced(spec, {"gru": 0.01, "lstm": 0.02}[spec.cell] * spec.level + 0.003 * (spec.seed - 70))
        for spec in first
    }
    rows = dict(took)
    while (left := agenda(TIMED, rows)).ready:
        rows.update({item.spec.digest: paced(item.spec, 5.0) for item in left.ready})
    rest = [one.spec for digest, one in rows.items() if digest not in took]
    assert left.runs == 0
    assert {spec.stage for spec in rest} == {"tuning", "result"}
    for spec in rest:
        step = {"gru": 0.01, "lstm": 0.02}[spec.cell] * spec.level
        assert (spec.training_seconds, spec.step_seconds, spec.steps) == (
            2.0,
            pytest.approx(step),
            int(2.0 / step + 1e-9),
        )


def test_another_machine_takes_the_steps_that_the_rows_bring_along() -> None:
    first = [item.spec for item in agenda(TIMED, {}).ready]
    slow, fast = ({one.digest: paced(one, seconds) for one in first} for seconds in (0.5, 0.05))
    steps = [{item.spec.steps for item in agenda(TIMED, rows).ready} for rows in (slow, fast)]
    assert steps == [{4}, {40}]
    assert len(agenda(TIMED, dict(list(slow.items())[:-1])).ready) == 1 + 5  # one to be timed; the other arm goes on


SEARCHED = plan(
    experiment(
        arms={"gru": ["uniform"], "lstm": ["uniform"]},
        lr=None,
        search={"trials": 4, "seeds": [90, 91], "level": 2, "lr": [1e-3, 1e-1], "clip_norm": [0.1, 10.0],
                "embedding_size": [4, 8]},
    )
)  # fmt: skip


def settings(ran: list[TrialSpec], cell: str) -> list[tuple[float, float, int]]:
    found = {spec.trial: (spec.lr, spec.clip_norm, spec.embedding_size) for spec in ran if spec.cell == cell}
    return [found[trial] for trial in sorted(found)]


def test_a_search_gives_every_arm_the_same_trials_and_the_best_is_used() -> None:
    pytest.importorskip("optuna", reason="optuna is not installed")
    ran, rows = after(SEARCHED, lambda spec: spec.trial in (2, None))
    tried = [spec for spec in ran if spec.stage == "tuning"]
    assert collections.Counter((spec.cell, spec.trial) for spec in tried) == {
        (cell, trial): 2 for cell in ("gru", "lstm") for trial in range(4)
    }
    assert settings(tried, "gru") == settings(tried, "lstm")
    assert len(set(settings(tried, "gru"))) == 4
    assert all(1e-3 <= lr <= 0.1 and 0.1 <= clip <= 10 and size in (4, 8) for lr, clip, size in settings(tried, "gru"))
    results = [spec for spec in ran if spec.stage == "result"]
    assert {(spec.lr, spec.clip_norm, spec.embedding_size) for spec in results} == {settings(tried, "gru")[2]}
    assert {spec.trial for spec in results} == {None}
    assert agenda(SEARCHED, rows).runs == 0


def test_a_search_goes_on_and_ends_from_rows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna", reason="optuna is not installed")
    ran, rows = after(SEARCHED, lambda spec: spec.trial in (2, None))
    tried = [spec for spec in ran if spec.stage == "tuning"]
    begun = {spec.digest: rows[spec.digest] for spec in tried if spec.trial < 2 and not (spec.trial == 1 and spec.seed)}
    left = agenda(SEARCHED, begun)
    assert {(item.spec.trial, item.spec.seed) for item in left.ready} == {(1, 90), (1, 91)}
    assert {item.spec.digest for item in left.ready} < {spec.digest for spec in tried}
    assert len(left.later) == 2 * (2 * 2 + 2 * 3)
    suggestion.cache_clear()
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert agenda(SEARCHED, rows).runs == 0
    with pytest.raises(InputError, match=r"pip install 'longhold\[tune\]'"):
        agenda(SEARCHED, {})
