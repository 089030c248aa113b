import pytest

from longhold.errors import InputError
from longhold.study.claims import StatedHorizon, horizons
from longhold.study.horizon import SeedHorizons, TrainedHorizon
from tests.study.claims.rows_made_up import row, rows
from tests.study.claims.test_judge import LAGS, A, B, clear_study, lagged


def by_name(given: list[dict[str, object]]) -> dict[tuple[str, str], StatedHorizon]:
    return {(one.protocol, one.side.arm): one for one in horizons(given)}


def test_each_protocol_and_arm_has_its_own_horizon_with_what_it_depends_on() -> None:
    found = by_name(clear_study())
    assert set(found) == {(protocol, arm) for protocol in ("trained", "extrapolated") for arm in (A, B)}
    assert isinstance(found["trained", A].horizon, TrainedHorizon)
    assert isinstance(found["extrapolated", A].horizon, SeedHorizons)
    assert "trained horizon of" in found["trained", A].text()
    for one in found.values():
        assert {run.protocol for run in one.side.runs} == {one.protocol}
        for told in ("symbols=8", "lag 16-256", "7,012 parameters", "hidden size 40", "1,500 steps", "rate 0.003"):
            assert told in one.text("en")
        assert one.protocol in one.text("en")
        assert "symbols=8" in one.text("zh")


def test_sizes_budgets_and_tasks_are_never_merged() -> None:
    made = clear_study()
    for change in ({"hidden_size": 80}, {"steps": 3000}, {"task": {"name": "recall", "symbols": 4}}):
        assert len(horizons(made + [{**one, **change} for one in made])) == 8


def test_every_seed_is_shown_and_a_mixture_is_bimodal() -> None:
    made = [one for lag in (16, 32) for one in rows(A, [lag == 16] * 5 + [True] * 5, lag)]
    found = by_name(made)["trained", A]
    assert found.recall_by_lag[32].bimodal
    assert len(found.recall_by_lag[32].values) == 10
    assert not found.recall_by_lag[16].bimodal
    assert "seeds fall into two modes at lag 32" in found.text("en")
    assert "在延迟 32 处种子分为两群" in found.text("zh")


def test_a_model_that_lapses_is_not_reported_zero_under_either_protocol() -> None:
    """80 % at every lag: never solved, and never below one half."""
    made = [row(A, seed, lag, False, 0.8) for lag in LAGS for seed in range(10)]
    for seed in range(10):
        tests = [{"lag": lag, "score": 0.8, "recall": 0.8} for lag in LAGS]
        made.append(row(A, seed, None, protocol="extrapolated", by_lag=tests))
    found = by_name(made)
    assert "< 16 steps" in found["trained", A].text()
    assert "median recall at lag 16 is 0.80" in found["trained", A].text()
    assert ">= 256 steps" in found["extrapolated", A].text()


def test_seeds_that_recall_again_are_named_where_scores_are_counted() -> None:
    dip = [{"lag": lag, "score": 0.0, "recall": value} for lag, value in zip(LAGS, (1, 0.1, 0.1, 0.9, 0), strict=True)]
    made = [lagged(A, seed, 64) for seed in range(10)]
    made[3] = {**made[3], "by_lag": dip}
    counted = [{**one, "unit": "accuracy"} for one in made]
    assert "recall rises again at longer lags in seed 3" in horizons(counted)[0].text()
    assert "rises again" not in horizons(made)[0].text()


def test_the_lags_named_are_those_tested_not_the_one_trained_at() -> None:
    made = [{**lagged(A, seed, 64), "lag": 8} for seed in range(10)]
    assert "lag 16-256 (" in horizons(made)[0].text()


def test_few_seeds_are_indicative() -> None:
    found = horizons(rows(A, [True] * 9, 16) + rows(A, [False] * 9, 32))[0]
    assert found.indicative
    assert "; indicative." in found.text("en")
    assert "；仅供参考。" in found.text("zh")


def test_a_run_that_failed_holds_nothing() -> None:
    lost = {"error": "the loss became non-finite", "by_lag": [], "recall": None, "solved": False}
    made = [lagged(A, seed, 64) for seed in range(4)] + [{**lagged(A, seed, 64), **lost} for seed in range(4, 10)]
    found = horizons(made)[0].horizon
    assert isinstance(found, SeedHorizons)
    assert [found.seeds[seed].value for seed in (0, 9)] == [64, 0]


def test_rows_without_a_horizon_are_passed_over() -> None:
    plain = rows(A, [True] * 10, None, protocol="plain")
    assert horizons([*plain, row(A, 0, None), {**row(A, 1), "stage": "tuning"}]) == []


def test_two_rows_for_a_seed_are_refused() -> None:
    with pytest.raises(InputError, match="several rows of"):
        horizons([row(A, 0), row(A, 0, lr=0.1)])
