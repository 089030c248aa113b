"""Worker processes for independent runs: one thread each, JSON in, JSON out.

Every worker is `python -m longhold.study.execution.worker`, so a caller needs no `if __name__ == "__main__"` guard, and
a worker's thread count is settled before it imports torch.
"""

import contextlib
import itertools
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, final

from longhold.errors import InputError
from longhold.study.text import texts

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Environment variables that settle how many threads a process computes with."""


@dataclass(frozen=True)
class Job:
    """One call for a worker."""

    name: str
    """Which of the functions in `longhold.study.execution.worker` is called."""
    argument: dict[str, Any]
    """What it is called with, as JSON has it."""


class Pool(ABC):
    """Processes that take jobs, wherever they are. A context manager; leaving it ends what is still running."""

    count: int
    """How many jobs run at a time."""
    is_local: bool = True
    """Whether they run on this machine, and so share its memory and files."""

    @abstractmethod
    def __enter__(self) -> Self:
        """Begin."""

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every job that is running."""

    @abstractmethod
    def submit(self, job: Job) -> int:
        """Put a job behind those that wait; its ticket."""

    @abstractmethod
    def collect(self, timeout: float | None = None) -> tuple[int, Any] | None:
        """Wait for a job to end: its ticket and its result; None after `timeout` seconds.

        Raises:
            InputError: the job cannot be done, or its process was killed, and so was the one that took its place.
            RuntimeError: the job raised or its process died of itself, with what it said.
        """


@final
class Workers(Pool):
    """A set of worker processes, to be used as a context manager; leaving it ends every one of them.

    Where one is killed from outside, another takes its place and its job once more.

    A worker whose parent was killed ends within a second or so. Terminal signals reach the parent only.

    Example:
        >>> with Workers(2) as workers:  # doctest: +SKIP
        ...     tickets = [workers.submit(job) for job in jobs]
        ...     results = dict(workers.collect() for _ in tickets)
    """

    def __init__(self, count: int) -> None:
        if count < 1:
            raise InputError(f"workers={count}: expected at least 1")
        self.count = count
        """How many processes."""
        self._processes: list[subprocess.Popen[str]] = []
        self._threads: list[threading.Thread] = []
        self._tickets = itertools.count()
        self._jobs: dict[int, Job] = {}
        self._waiting: _Waiting = queue.SimpleQueue()
        self._done: _Done = queue.Queue()
        self._changing = threading.Lock()
        self._left = False
        self._complaints: IO[str]

    def __enter__(self) -> Self:
        self._complaints = tempfile.TemporaryFile(mode="w+", encoding="utf-8", errors="replace")
        for _ in range(self.count):
            self._processes.append(_started(self._complaints))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changing:
            self._left = True
        for process in self._processes:
            process.kill()
        for _ in self._threads:
            self._waiting.put(None)
        for process in self._processes:
            process.wait()
        for thread in self._threads:
            thread.join()
        for process in self._processes:
            _close(process)
        self._complaints.close()

    def submit(self, job: Job) -> int:
        with self._changing:  # leaving joins every thread, so none may begin meanwhile
            if self._left:
                raise RuntimeError("the workers were ended before their jobs began")
            self._serve()
            ticket = next(self._tickets)
            self._jobs[ticket] = job
            self._waiting.put((ticket, job))
        return ticket

    def collect(self, timeout: float | None = None) -> tuple[int, Any] | None:
        try:
            ticket, answer = self._done.get(timeout=timeout)
        except queue.Empty:
            return None
        job = self._jobs.pop(ticket)
        if "refused" in answer:
            raise InputError(answer["refused"])
        if "error" in answer:
            raise RuntimeError(f"job {job.name} failed in a worker: {answer['error'] or self._tail()}")
        return ticket, answer["result"]

    def _serve(self) -> None:
        """A thread for each process, from the first job on."""
        for place in range(len(self._threads), len(self._processes)):
            thread = threading.Thread(target=self._feed, args=(place,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _feed(self, place: int) -> None:
        """Give one worker its jobs until the end is signed. A worker that died answers each with an error."""
        while (taken := self._waiting.get()) is not None:
            ticket, job = taken
            for _ in range(_TRIES):
                answer = _answer_of(self._processes[place], job)
                if "killed" not in answer or not self._replace(place):
                    break
            if "killed" in answer:
                answer = {"refused": f"{answer['killed']}; the rows so far are kept"}
            self._done.put((ticket, answer))

    def _replace(self, place: int) -> bool:
        """Another process in the place of one that ended; not where all are being ended."""
        with self._changing:
            if self._left:
                return False
            _close(self._processes[place])
            self._processes[place] = _started(self._complaints)
        return True

    def _tail(self) -> str:
        self._complaints.seek(0)
        return self._complaints.read()[-2000:] or "the process ended without a word"


_Waiting = queue.SimpleQueue[tuple[int, Job] | None]
_Done = queue.Queue[tuple[int, dict[str, Any]]]

_TRIES = 2
_FROM_OUTSIDE = ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT", "SIGXCPU")  # the others are of the process's own making


def _started(complaints: IO[str]) -> "subprocess.Popen[str]":
    root = str(Path(__file__).resolve().parents[3])
    path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH")) if p)
    return subprocess.Popen(
        [sys.executable, "-m", "longhold.study.execution.worker", str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        env={**os.environ, **dict.fromkeys(THREADS, "1"), **texts.environment(), "PYTHONPATH": path},
        encoding="utf-8",
        start_new_session=True,
    )


def _close(process: "subprocess.Popen[str]") -> None:
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):  # what was still to be written has no reader
            assert pipe is not None
            pipe.close()


def _answer_of(process: "subprocess.Popen[str]", job: Job) -> dict[str, Any]:
    """What a worker answers, or how it ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps({"name": job.name, "argument": job.argument}) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except (OSError, ValueError):  # a pipe that broke, or was closed, because the process ended
        line = ""
    if line.endswith("\n"):
        found: dict[str, Any] = json.loads(line)
        return found
    ended = -process.wait()
    name = signal.Signals(ended).name if ended in set(signal.Signals) else ""
    if name in _FROM_OUTSIDE:
        memory = ", as where memory runs out" if name == "SIGKILL" else ""
        return {"killed": f"worker processes were ended from outside, twice in one run ({name}{memory})"}
    return {"error": ""}
