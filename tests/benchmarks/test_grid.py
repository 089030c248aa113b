"""The grid's rows and what is made of them."""

import itertools

import pytest
from benchmarks.cases import GRID, Case
from benchmarks.timing import QUICK, Budget

from benchmarks import grid
from tests.benchmarks.made_up import grid_row, grid_rows

CASE = Case("LSTM", batch=8, hidden=128, steps=35, ragged=True)


def samples(ours: float, packed: float, padded: float) -> dict[str, list[float]]:
    found = {"sgemm": 2 * 1024**3 / 100e9}  # a ceiling of 100 GFLOP/s
    for name, seconds in {"longhold": ours, "torch packed": packed, "torch": padded}.items():
        found |= {f"{name} training": seconds, f"{name} forward": seconds / 4}
    return {name: [seconds] * 3 for name, seconds in found.items()}


def test_the_ratio_is_to_the_faster_of_torchs_ways() -> None:
    row = grid.summarised(CASE, samples(ours=0.002, packed=0.006, padded=0.009))
    assert row["training_ratio"] == pytest.approx(3.0)
    assert row["training_best"] == "torch packed"
    row = grid.summarised(CASE, samples(ours=0.002, packed=0.006, padded=0.003))
    assert row["forward_ratio"] == pytest.approx(1.5)
    assert row["forward_best"] == "torch"


def test_the_share_of_the_ceiling_counts_valid_steps() -> None:
    row = grid.summarised(CASE, samples(ours=0.01, packed=1, padded=1))
    valid = int(CASE.lengths().sum())
    assert row["ceiling_gflops"] == pytest.approx(100)
    assert row["training_of_ceiling"] == pytest.approx(valid * 2 * 4 * 128 * 256 * 3 / 0.01 / 100e9)
    assert row["forward_of_ceiling"] == pytest.approx(valid * 2 * 4 * 128 * 256 / 0.0025 / 100e9)


def test_a_row_fails_by_its_interval_once_it_has_one() -> None:
    assert grid.failed(grid_row(CASE, 0.9)) == ["training"]
    assert grid.failed(grid_row(CASE, 0.9, 0.5)) == ["training", "forward"]
    assert grid.failed(grid_row(CASE, 0.96)) == []
    assert grid.failed(grid_row(CASE, 0.9, training_interval=(0.85, 0.97), forward_interval=(1, 2))) == []
    assert grid.failed(grid_row(CASE, 0.9, training_interval=(0.85, 0.94), forward_interval=(1, 2))) == ["training"]
    assert grid.failed({"case": "x", "missing": "ids"}) == []


def test_a_case_below_the_floor_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    found = itertools.chain(
        [samples(ours=2, packed=1, padded=1)], itertools.repeat(samples(ours=1, packed=1, padded=1))
    )
    budgets: list[Budget] = []

    def measured(calls: object, budget: Budget) -> dict[str, list[float]]:
        budgets.append(budget)
        return next(found)

    monkeypatch.setattr(grid, "interleaved", measured)
    row = grid.measure(Case("LSTM", 2, 8, 5), QUICK, again=True)
    assert len(budgets) == 2
    assert budgets[1].rounds > QUICK.rounds
    assert row["training_ratio"] == pytest.approx(1.0)
    assert row["training_interval"] == pytest.approx((1.0, 1.0))
    assert row["backend"] in {"torch", "cpu"}
    budgets.clear()
    assert "training_interval" not in grid.measure(Case("LSTM", 2, 8, 5), QUICK, again=True)
    assert len(budgets) == 1


def test_the_bars_are_those_of_the_issue() -> None:
    bars = {bar.name: bar for bar in grid.bars(grid_rows(5.0))}
    assert len(bars) == 1 + 4 + 6
    assert all(bar.reached for bar in bars.values())
    rows = [grid_row(c, 1.0 if c.hidden == 512 else (2.0, 8.0)[c.ids], share=c.hidden / 512) for c in GRID]
    bars = {bar.name: bar for bar in grid.bars(rows)}
    assert bars["cases that are below 0.95 with 95 % confidence"].reached
    assert not grid.bars([*rows, grid_row(CASE, 0.5)])[0].reached
    assert bars["GRU, H <= 256, geometric mean"].value == pytest.approx(4.0)  # 512 is left out
    assert bars["LSTM padded, H <= 256, geometric mean"].target == 1.6
    assert bars["RNN, H 128, B >= 8, fraction of the ceiling, geometric mean"].value == pytest.approx(0.25)
    assert bars["RNN, H >= 256, B >= 32, fraction of the ceiling, geometric mean"].value == pytest.approx(0.5**0.5)


def test_a_bar_without_cases_is_not_there() -> None:
    assert all(bar.reached is None for bar in grid.bars([]))


def test_the_summary_names_what_fails_and_what_is_missing() -> None:
    rows = [*grid_rows(2.0, GRID[:4]), grid_row(CASE, 0.5), {"case": "y", "missing": "no ids"}]
    rows.append({"control": "z", "training_ratio": 0.97, "forward_ratio": 1.04})
    lines = grid.summary(rows)
    assert "1 cases not there: no ids" in lines
    assert "torch against torch: 0.97x to 1.04x in 2 pairs" in lines
    assert "1 of 5 cases fail the floor of 0.95, 0 were measured again" in lines
    assert f"    {CASE.name} (training)" in lines
    assert [grid.line(row) for row in rows]


def test_a_control_times_torch_alone() -> None:
    row = grid.control(Case("GRU", 2, 3, 4), QUICK)
    assert row.keys() == {"control", "training_ratio", "forward_ratio"}
    assert row["training_ratio"] > 0
