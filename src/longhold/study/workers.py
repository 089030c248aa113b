"""Worker processes for independent runs: one thread each, JSON in, JSON out.

Every worker is `python -m longhold.study.worker`, so a caller needs no `if __name__ == "__main__"` guard, and a
worker's thread count is settled before it imports torch.
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

from longhold.errors import InputError

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Job:
    """One call for a worker."""

    name: str
    """Which of the functions in `longhold.study.worker` is called."""
    argument: dict[str, Any]
    """What it is called with, as JSON has it."""


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@final
class Workers:
    """A set of worker processes, to be used as a context manager; leaving it ends every one of them.

    A worker whose parent was killed sees its input end and stops after the run in hand. Terminal signals reach the
    parent only.

    Example:
        >>> with Workers(2) as workers:
        ...     for index, result in workers.map(jobs):  # doctest: +SKIP
        ...         print(index, result)
    """

    def __init__(self, count: int) -> None:
        if count < 1:
            raise InputError(f"workers={count}: expected at least 1")
        self.count = count
        """How many processes."""
        self._processes: list[subprocess.Popen[str]] = []
        self._threads: list[threading.Thread] = []
        self._changing = threading.Lock()
        self._left = False
        self._complaints = tempfile.TemporaryFile(mode="w+", encoding="utf-8", errors="replace")  # noqa: SIM115

    def __enter__(self) -> Self:
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH")) if p)
        environment = {**os.environ, **dict.fromkeys(_THREADS, "1"), "PYTHONPATH": path}
        for _ in range(self.count):
            self._processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "longhold.study.worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._complaints,
                    env=environment,
                    encoding="utf-8",
                    start_new_session=True,
                )
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changing:
            self._left = True
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
        for thread in self._threads:
            thread.join()
        for process in self._processes:
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):  # what was still to be written has no reader
                    assert pipe is not None
                    pipe.close()
        self._complaints.close()

    def map(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Any]]:
        """Start the jobs in the given order and yield `(index, result)` in the order in which they end.

        Raises:
            RuntimeError: when a job raised or a worker died, with what it said.
        """
        waiting: queue.SimpleQueue[tuple[int, Job]] = queue.SimpleQueue()
        done: queue.Queue[tuple[int, dict[str, Any]]] = queue.Queue()
        for numbered in enumerate(jobs):
            waiting.put(numbered)
        with self._changing:  # leaving joins every thread, so none may begin meanwhile
            if self._left:
                raise RuntimeError("the workers were ended before their jobs began")
            for process in self._processes:
                thread = threading.Thread(target=_serve, args=(process, waiting, done), daemon=True)
                thread.start()
                self._threads.append(thread)
        for _ in jobs:
            index, answer = done.get()
            if "error" in answer:
                raise RuntimeError(f"job {jobs[index].name} failed in a worker: {answer['error'] or self._tail()}")
            yield index, answer["result"]

    def _tail(self) -> str:
        self._complaints.seek(0)
        return self._complaints.read()[-2000:] or "the process ended without a word"


def _serve(
    process: subprocess.Popen[str],
    waiting: "queue.SimpleQueue[tuple[int, Job]]",
    done: "queue.Queue[tuple[int, dict[str, Any]]]",
) -> None:
    """Feed one worker until no job is left or it ends."""
    assert process.stdin is not None
    assert process.stdout is not None
    while True:
        try:
            index, job = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            process.stdin.write(json.dumps({"name": job.name, "argument": job.argument}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except (OSError, ValueError):  # a pipe that broke, or was closed, because the process ended
            line = ""
        done.put((index, json.loads(line) if line else {"error": ""}))
        if not line:
            return
