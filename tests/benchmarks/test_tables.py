"""Markdown tables from made up figures."""

from pathlib import Path

from benchmarks.cases import GRID

from benchmarks import store, tables
from tests.benchmarks.made_up import grid_row, grid_rows, section

LATENCY = {"job": "latency", "cell": "GRU", "longhold": {"quiet": [0.001, 0.002], "busy": [0.0015, 0.004]}}
TORCH = {"torch": {"quiet": [0.002, 0.003], "busy": [0.01, 0.02]}, "longhold_slowdown": 1.5, "torch_slowdown": 5.0}
SIZES = {"batch": 8, "hidden": 16, "steps": 32}


def columns(table: str) -> set[int]:
    return {line.count("|") for line in table.splitlines() if line.startswith("|")}


def test_only_sections_that_are_there_are_shown(tmp_path: Path) -> None:
    store.put(tmp_path / "x.json", "grid", section(grid_rows()))
    text = tables.render(tmp_path / "x.json")
    assert text.startswith("Made Up <1>, 2 threads, avx2, torch 9.9, longhold 0.0 at abc, 2026-01-02 03:04 UTC, load")
    assert "tokens/s" not in text


def test_figures_of_the_quick_form_are_marked() -> None:
    assert "say nothing" in tables.header({**section([]), "quick": True})
    assert "say nothing" not in tables.header(section([]))


def test_grid() -> None:
    cases = [c for c in GRID if c.cell == "GRU" and not c.ids]
    rows = [grid_row(c, 9.0 if c.hidden == 512 else 4.0, forward=0.5 if c.ragged else 3.0) for c in cases]
    ratios, shares = tables.grid([*rows, {"case": "z", "missing": "no ids"}]).split("\n\n")
    assert "| GRU, padded | 4.00 | 4.70 | 4.00 | 3.00 | 3.00 | 40 | 0 |" in ratios  # (4^4 9)^(1/5) = 4.70
    assert "| GRU, ragged | 4.00 | 4.70 | 4.00 | 0.50 | 0.50 | 40 | 40 |" in ratios
    assert len(ratios.splitlines()) == 4
    assert "| GRU | 90% | 90% | 90% | 90% |" in shares
    assert columns(ratios) == {9}
    assert columns(shares) == {6}


def test_tutorial() -> None:
    rates = {"longhold": 60_000.0, "torch": 40_000.0, "scratch": 10_000.0}
    text = tables.tutorial([{"hidden": 256, "tokens_per_second": rates, "limit_tokens_per_second": 75_000.0}])
    assert "| the same loop with nn.LSTM | 40,000 | 1.50 |" in text
    assert "| limit: the ceiling over the products of a token | 75,000 | 0.80 |" in text


def test_generation() -> None:
    rates = {"longhold": 40_000.0, "layer": 1_000.0, "cell": 2_000.0}
    writing = {"writing": "lstm", "hidden": 256, "characters_per_second": rates}
    stepping = {"stepping": "LSTM", "size": 64, "microseconds": {"stream.run": 1.5, "torch cell": 30.0}}
    text = tables.generation([writing, stepping])
    assert "| LSTM of 256 | 40,000 | 2,000 | 20.00 |" in text
    assert "| LSTM, I = H = 64 | 1.50 |  | 30.00 |  |" in text


def test_others_leaves_a_gap_for_who_cannot() -> None:
    first = {"cell": "LSTM", **SIZES, "training": False, "seconds": {"torch": 0.002, "jax": 0.004}, "missing": {}}
    second = {**first, "training": True, "seconds": {"torch": 0.006}, "missing": {"jax": "no"}}
    text = tables.others([first, second])
    assert "| LSTM B8 H16 T32 forward | 2 | 4 |" in text
    assert "| LSTM B8 H16 T32 training | 6 |  |" in text


def test_extras_memory_and_threads() -> None:
    extra = {"extra": "layer norm", "cell": "LSTM", **SIZES, "relative": 1.4, "against_torch": 7.0}
    text = tables.extras([extra, {**extra, "extra": "ids", "missing": "no"}])
    assert "| layer norm (LSTM, B 8, H 16, T 32) | 1.40 | 7.00 |" in text
    assert "| ids (LSTM, B 8, H 16, T 32) | not there | not there |" in text
    job = {"job": "training", "cell": "LSTM", "steps": 1000, "inputs": 2, "hidden": 3, "backend": "cpu"}
    memory = tables.memory([{**job, "peak": 2.5e8}, {**job, "job": "layer", "growth": 1e5}, {**job, "equal": True}])
    assert "| LSTM training, T 1,000, I 2, H 3, cpu | 250 |" in memory
    assert "| LSTM layer, T 1,000, I 2, H 3, cpu | +0.1 |" in memory
    assert len(memory.splitlines()) == 4
    assert "| GRU, torch | 2 | 10 | 5.00 |" in tables.threads([{**LATENCY, **TORCH}, {"job": "count"}])
