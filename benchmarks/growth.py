"""How cost grows over steps, units, rows and threads, one of them at a time."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace

import torch

from benchmarks.cases import GATES, Case
from benchmarks.contenders import contenders
from benchmarks.section import Section
from benchmarks.store import Row
from benchmarks.timing import QUICK, Budget, interleaved, medians

MIDDLE = Case("LSTM", batch=16, hidden=128, steps=64)
"""The size from which each walk leaves in one direction."""

WALKS: dict[str, tuple[int, ...]] = {
    "steps": (1, 4, 16, 64, 256, 1024, 4096),
    "hidden": (16, 32, 64, 128, 256, 512, 1024),
    "batch": (1, 2, 4, 8, 16, 32, 64, 128, 256),
}


def rows(quick: bool) -> Iterator[Row]:
    """A row for each cell, direction and value; padded features, forward and backward."""
    torch.manual_seed(0)
    middle = replace(MIDDLE, batch=2, hidden=8, steps=5) if quick else MIDDLE
    budget = QUICK if quick else Budget()
    everywhere = torch.get_num_threads()
    for cell in GATES:
        start = replace(middle, cell=cell)
        for over, values in WALKS.items():
            for value in values[:2] if quick else values:
                yield measure(over, value, Case(**{**asdict(start), over: value}), budget)
        # Enough work for every thread, so that it is the threads that are seen
        wide = start if quick else replace(start, batch=64, hidden=256)
        for threads in range(1, min(everywhere, os.cpu_count() or 1) + 1):
            torch.set_num_threads(threads)
            yield measure("threads", threads, wide, budget)
        torch.set_num_threads(everywhere)


def measure(over: str, value: int, case: Case, budget: Budget) -> Row:
    """Seconds of one call of each, forward and backward."""
    calls = {name: one.training for name, one in contenders(case).items()}
    sizes = {name: size for name, size in asdict(case).items() if name in ("cell", "batch", "hidden", "steps")}
    return {"over": over, "value": value, **sizes, "seconds": medians(interleaved(calls, budget))}


def line(row: Row) -> str:
    """A point of a curve."""
    times = row["seconds"]
    return (
        f"{row['cell']:4} over {row['over']:7} {row['value']:5,}: longhold {1e3 * times['longhold']:9.3f} ms, "
        f"torch {1e3 * times['torch']:9.3f} ms, {times['torch'] / times['longhold']:5.2f}x"
    )


def summary(rows: Sequence[Row]) -> list[str]:
    """Item 12 of issue 3: plots, which `python -m benchmarks plots` draws from these rows."""
    least = min(rows, key=lambda row: row["seconds"]["torch"] / row["seconds"]["longhold"])
    return [f"{len(rows)} points; the least against torch is {line(least)}"]


SECTION = Section("How cost grows over steps, units, rows and threads", rows, line, summary)
