"""Threads: none is added, results repeat bit for bit, and what a busy neighbour does to latency."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from benchmarks.cases import GATES
from benchmarks.children import in_child
from benchmarks.section import Bar, Section, sizes
from benchmarks.store import Row


def rows(quick: bool) -> Iterator[Row]:
    """Counts and repeats for one thread and for all; latencies quiet, then beside a process that never waits."""
    cores = os.cpu_count() or 1
    sizes = {"batch": 2, "hidden": 8, "steps": 5} if quick else {"batch": 8, "hidden": 128, "steps": 35}
    for cell in ("LSTM",) if quick else GATES:
        for threads in sorted({1, cores}):
            for job in ("count", "repeat"):
                yield _child(job, cell, threads, 20, sizes)
        quiet = _child("latency", cell, cores, 5 if quick else 400, sizes)
        with neighbour():
            busy = _child("latency", cell, cores, 5 if quick else 400, sizes)
        yield beside(quiet, busy)


def _child(job: str, cell: str, threads: int, calls: int, sizes: dict[str, int]) -> Row:
    return in_child("benchmarks.threads_child", {"job": job, "cell": cell, "threads": threads, "calls": calls, **sizes})


@contextmanager
def neighbour() -> Iterator[None]:
    """A process that keeps one core busy."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def beside(quiet: Row, busy: Row) -> Row:
    """Median and 95th percentile of both layers, quiet and busy."""
    if "missing" in quiet or "missing" in busy:
        return quiet if "missing" in quiet else busy
    row: Row = {name: value for name, value in quiet.items() if name != "seconds"}
    for name in ("torch", "longhold"):
        figures: dict[str, Any] = {}
        for state, found in (("quiet", quiet), ("busy", busy)):
            figures[state] = [float(value) for value in np.percentile(found["seconds"][name], (50, 95))]
        row[name] = figures
        row[f"{name}_slowdown"] = figures["busy"][0] / figures["quiet"][0]
    return row


def line(row: Row) -> str:
    """What was counted, compared or timed."""
    name = f"{sizes(row)}, {row['threads']} threads"
    if "missing" in row:
        return f"{name}, {row['job']}: not there: {row['missing']}"
    if row["job"] == "count":
        return f"{name}: the process has {row['before']} threads before longhold runs, {row['after']} after"
    if row["job"] == "repeat":
        return f"{name}: {'bit-equal' if row['equal'] else 'NOT bit-equal'} in {row['calls']} calls"
    parts = []
    for who in ("longhold", "torch"):
        (quiet, late), (busy, busy_late) = row[who]["quiet"], row[who]["busy"]
        parts.append(
            f"{who} {1e3 * quiet:.2f} ms quiet (95 % {1e3 * late:.2f}), {1e3 * busy:.2f} ms busy "
            f"(95 % {1e3 * busy_late:.2f}): {row[f'{who}_slowdown']:.1f}x"
        )
    return f"{name}, a busy neighbour: {'; '.join(parts)}"


def summary(rows: Sequence[Row]) -> list[str]:
    """Item 11 of issue 3."""
    return [str(bar) for bar in bars(rows)]


def bars(rows: Sequence[Row]) -> list[Bar]:
    """No thread added, every call the same bits, and no worse beside a neighbour than torch is."""
    there = [row for row in rows if "missing" not in row]
    added = [row["after"] - row["before"] for row in there if row["job"] == "count"]
    equal = [row["equal"] for row in there if row["job"] == "repeat"]
    worst = [row["longhold_slowdown"] / row["torch_slowdown"] for row in there if row["job"] == "latency"]
    return [
        Bar("threads added", max(added, default=None), 0, "{:.0f}", at_most=True),
        Bar("repeats bit-equal", float(all(equal)) if equal else None, 1, "{:.0f}"),
        Bar("slowdown by a neighbour over torch's slowdown", max(worst, default=None), 1.5, at_most=True),
    ]


SECTION = Section("Threads, repeats and a busy neighbour", rows, line, summary)
