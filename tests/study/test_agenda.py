import itertools

from longhold.study.agenda import agenda
from longhold.study.row import Row, TrialSpec
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
