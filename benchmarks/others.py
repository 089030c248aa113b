"""Other users' choices: ONNX Runtime, JAX's scan, Flax and Keras on JAX, beside torch.nn and longhold.

Each framework lives in a process of its own, bound to the same processors, and one works at a time, so that their
samples are interleaved as everywhere else. `make .venv-others` installs them; what is missing is reported.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

from benchmarks.cases import GATES
from benchmarks.machine import ROOT
from benchmarks.rivals.worker import FRAMEWORKS
from benchmarks.section import Section, direction, sizes
from benchmarks.store import Row
from benchmarks.timing import medians

SIZES = ((1, 128, 100), (8, 128, 35), (32, 256, 35))
"""Rows, units, steps; I = H."""

_OWN = ("torch", "longhold")
_PAUSE = 0.05  # seconds in which the threads of the framework before go to sleep


def python_of(framework: str) -> Path:
    """The interpreter that has the framework."""
    return Path(sys.executable) if framework in _OWN else ROOT / ".venv-others" / "bin" / "python"


@final
class Worker:
    """A process that holds one framework; it answers line by line."""

    def __init__(self, framework: str, threads: int) -> None:
        self.framework, self.threads = framework, threads
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        python = python_of(self.framework)
        if not python.exists():
            return self
        cores = sorted(os.sched_getaffinity(0))[: self.threads]
        count = str(self.threads)
        self._process = subprocess.Popen(
            [str(python), "-W", "ignore", "-m", "benchmarks.rivals.worker", self.framework],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": count, "JAX_PLATFORMS": "cpu", "KERAS_BACKEND": "jax"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        os.sched_setaffinity(self._process.pid, cores)
        return self

    def ask(self, question: dict[str, Any]) -> Row:
        """The answer, or why there is none."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return {"missing": "not installed: make .venv-others"}
        try:
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        return json.loads(answer) if answer else {"missing": f"its process ended with {process.wait()}"}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            with suppress(BrokenPipeError):  # a question that it did not live to read
                self._process.communicate()


def rows(quick: bool) -> Iterator[Row]:
    """A row for each cell, size and direction."""
    import torch

    threads, rounds = torch.get_num_threads(), 2 if quick else 9
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(name, threads)) for name in FRAMEWORKS]
        for cell in ("LSTM",) if quick else tuple(GATES)[::-1]:
            for batch, hidden, steps in ((2, 8, 5),) if quick else SIZES:
                for training in (False, True):
                    case = {"cell": cell, "batch": batch, "hidden": hidden, "steps": steps, "training": training}
                    yield measure(workers, {**case, "threads": threads}, rounds)


def measure(workers: Sequence[Worker], case: dict[str, Any], rounds: int) -> Row:
    """Medians of every framework that can do the case, and for the others why not."""
    prepared = {worker.framework: worker.ask(case) for worker in workers}
    missing = {name: answer["missing"] for name, answer in prepared.items() if "missing" in answer}
    able = [worker for worker in workers if worker.framework not in missing]
    samples: dict[str, list[float]] = {worker.framework: [] for worker in able}
    for round_ in range(rounds):
        for worker in able[:: 1 if round_ % 2 == 0 else -1]:
            time.sleep(_PAUSE)
            answer = worker.ask({})
            if "missing" in answer:
                missing[worker.framework] = answer["missing"]
            else:
                samples[worker.framework].append(answer["seconds"])
    complete = {name: values for name, values in samples.items() if name not in missing}
    return {**case, "seconds": medians(complete), "missing": missing}


def line(row: Row) -> str:
    """Milliseconds of every framework, and how many times longhold's."""
    times = row["seconds"]
    ours = times.get("longhold")
    figures = [
        f"{name} {1e3 * seconds:.2f}" + (f" ({seconds / ours:.1f}x)" if ours and name != "longhold" else "")
        for name, seconds in times.items()
    ]
    name = f"{sizes(row)} {direction(row)}"
    absent = "".join(f"; {who} not there: {why}" for who, why in row["missing"].items())
    return f"{name}, ms: {', '.join(figures)}{absent}"


def summary(rows: Sequence[Row]) -> list[str]:
    """Item 6 of issue 3: a table, and whoever is faster is named."""
    faster = [
        f"    {name} in {sizes(row)} {direction(row)}: {row['seconds']['longhold'] / seconds:.2f}x longhold"
        for row in rows
        for name, seconds in row["seconds"].items()
        if "longhold" in row["seconds"] and seconds < row["seconds"]["longhold"]
    ]
    return [f"{len(faster)} figures are faster than longhold's", *faster]


SECTION = Section("Other users' choices", rows, line, summary)
