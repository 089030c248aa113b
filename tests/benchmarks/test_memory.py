"""Peak memory: the jobs at sizes that show in megabytes, and what is reported of them."""

from typing import Any

import pytest
from benchmarks.children import in_child
from benchmarks.store import Row

from benchmarks import memory, memory_child


def job(name: str, **changes: Any) -> Row:
    specification = {"cell": "LSTM", "steps": 4000, "hidden": 64, "inputs": 64, "backend": "automatic", "every": 0}
    return memory_child.measured(job=name, **{**specification, **changes})


def alone(name: str, **changes: Any) -> Row:
    """In a process of its own, where nothing that was freed before is used again."""
    specification = {"cell": "LSTM", "steps": 4000, "hidden": 64, "inputs": 64, "backend": "automatic", "every": 0}
    return in_child("benchmarks.memory_child", {"job": name, **specification, **changes})


def test_the_peak_holds_what_training_must_hold() -> None:
    row = alone("training")
    assert row["tensors"] == 4 * 4000 * 64 * 4
    assert row["peak"] > row["tensors"]
    assert "peak" in job("training", inputs=28)


def test_the_named_backend_is_used() -> None:
    small, large = alone("training", backend="torch", steps=100), alone("training", backend="reference", steps=2000)
    assert large["peak"] > small["peak"]
    assert "unknown backend" in job("training", backend="gpu")["missing"]


def test_chunks_are_flat_and_finite() -> None:
    row = job("layer", steps=2000, every=20)
    assert len(row["resident"]) == 10
    assert row["finite"] is True
    assert row["growth"] < 5_000_000


def test_what_is_not_there_is_said() -> None:
    for name in ("stream", "checkpointed", "bits"):
        row = job(name, every=20, steps=400, backend="cpu")
        assert "missing" in row or row.get("equal", True)


def rows(**changes: Any) -> list[Row]:
    shared = {"backend": "automatic", "cell": "GRU", "inputs": 8, "hidden": 8, "every": 0}
    return [
        {"job": "training", "steps": 1000, **shared, "peak": 9e8, "tensors": 1},
        {"job": "training", "steps": 1000, **shared, "peak": changes.get("worst", 7e8), "tensors": 1},
        {"job": "training", "steps": 100, **shared, "backend": "reference", "peak": 9e9, "tensors": 1},
        {"job": "bits", "steps": 50, **shared, "equal": changes.get("equal", True)},
        {"job": "layer", "steps": 9000, **shared, "growth": 1e5},
        {"job": "stream", "steps": 9000, **shared, "missing": "no stream"},
    ]


def test_the_worst_cell_counts_and_only_by_automatic_choice() -> None:
    bars = memory.bars(rows())
    assert [bar.reached for bar in bars] == [True, None, True, True, None]
    assert bars[0].value == pytest.approx(900)
    bars = memory.bars(rows(worst=1.2e9, equal=False))
    assert [bar.reached for bar in bars] == [False, None, False, True, None]


def test_every_row_has_a_line() -> None:
    lines = [memory.line(row) for row in rows(equal=False)]
    assert lines[0].endswith("peak 900 MB above import, 0 MB of it input, output and their gradients")
    assert lines[3].endswith("NOT bit-equal")
    assert lines[5].endswith("not there: no stream")
