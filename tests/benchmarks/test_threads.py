"""Threads, repeats and latencies at small sizes."""

import subprocess

import pytest
import torch
from benchmarks.store import Row

from benchmarks import threads, threads_child
from longhold.kernels.extension import why_missing

SIZES = {"cell": "RNN", "batch": 2, "hidden": 8, "steps": 4, "threads": 1}

needs_extension = pytest.mark.skipif(why_missing() is not None, reason=str(why_missing()))


@needs_extension
def test_jobs_give_their_rows() -> None:
    count = threads_child.measure(job="count", calls=2, **SIZES)
    assert count["after"] == count["before"] >= 1
    assert threads_child.measure(job="repeat", calls=2, **SIZES) == {"equal": True}
    assert torch.get_num_threads() == 1


def test_latencies_come_call_by_call() -> None:
    found = threads_child.measure(job="latency", calls=3, **SIZES)["seconds"]
    assert {name: len(seconds) for name, seconds in found.items()} == {"torch": 3, "longhold": 3}
    assert min(map(min, found.values())) > 0


def test_the_neighbour_leaves_with_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def watched(command: list[str]) -> subprocess.Popen[bytes]:
        started.append(start(command))
        return started[0]

    monkeypatch.setattr(threads.subprocess, "Popen", watched)
    with threads.neighbour():
        assert started[0].poll() is None
    assert started[0].poll() is not None


def latency(longhold: float, torch_: float) -> Row:
    return {"job": "latency", **SIZES, "seconds": {"longhold": [longhold] * 9, "torch": [torch_] * 9}}


def test_slowdowns_are_by_medians() -> None:
    row = threads.beside(latency(0.001, 0.002), latency(0.003, 0.004))
    assert row["longhold_slowdown"] == pytest.approx(3)
    assert row["torch_slowdown"] == pytest.approx(2)
    assert "3.0x; torch 2.00 ms quiet" in threads.line(row)
    broken = {"job": "latency", **SIZES, "missing": "ended"}
    assert threads.beside(latency(1, 1), broken) is broken


def test_bars() -> None:
    rows = [
        {"job": "count", **SIZES, "before": 2, "after": 2},
        {"job": "count", **SIZES, "before": 2, "after": 3},
        {"job": "repeat", **SIZES, "equal": True},
        threads.beside(latency(0.001, 0.002), latency(0.003, 0.004)),
    ]
    assert [(bar.value, bar.reached) for bar in threads.bars(rows)] == [(1, False), (1.0, True), (1.5, True)]
    assert [bar.reached for bar in threads.bars([])] == [None, None, None]
    assert "2 threads before longhold runs, 3 after" in threads.line(rows[1])
