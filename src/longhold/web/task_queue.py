"""The queue: one piece of work at a time, in a thread of its own, that can be stopped."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeVar, final

from longhold.errors import InputError

T = TypeVar("T")

LONGEST_QUEUE = 64
"""Requests that may wait."""

JobState = Literal["running", "done", "stopped", "failed"]


@final
class Busy(InputError):
    """Too many requests wait."""


@final
class Stopped(Exception):
    """The work was stopped on request."""


@final
class Stop:
    """A flag that the work looks at between its steps."""

    def __init__(self) -> None:
        self._requested = threading.Event()

    def request(self) -> None:
        """Have the work stop at its next look."""
        self._requested.set()

    def check(self) -> None:
        """Raise `Stopped` where that was requested."""
        if self._requested.is_set():
            raise Stopped


@final
@dataclass
class Job:
    """Long work that runs on while the page asks how far it is."""

    kind: str
    """what is done"""
    state: JobState = "running"
    """where it is"""
    text: str = ""
    """what it has written so far"""
    error: str = ""
    """the line for the person, where it failed"""
    stop: Stop = field(default_factory=Stop)
    """ends it"""


@final
class TaskQueue:
    """Runs requests one after the other, and beside them at most one job."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._current: Stop | None = None
        self.job: Job | None = None

    async def run(self, work: Callable[[Stop], T]) -> T:
        """What `work` returns, once it had its turn.

        Raises:
            Busy: too many are waiting.
            Stopped: it was stopped on request.
        """
        if self._waiting >= LONGEST_QUEUE:
            raise Busy(f"{self._waiting} requests are waiting: try again in a moment")
        self._waiting += 1
        try:
            async with self._turn:
                self._current = stop = Stop()
                return await asyncio.to_thread(work, stop)
        finally:
            self._waiting -= 1

    def start(self, kind: str, work: Callable[[Job], None]) -> Job:
        """Begin a job in a thread of its own; `work` looks at `job.stop` and adds to `job.text`.

        Raises:
            InputError: one is running.
        """
        if self.job is not None and self.job.state == "running":
            raise InputError("one job at a time: stop the one that is running first")
        self.job = job = Job(kind)
        threading.Thread(target=_run, args=(job, work), daemon=True, name=f"longhold {kind}").start()
        return job

    def stop(self) -> None:
        """Stop the request at work and the job; those waiting stay."""
        if self._current is not None:
            self._current.request()
        if self.job is not None:
            self.job.stop.request()


def _run(job: Job, work: Callable[[Job], None]) -> None:
    try:
        work(job)
        job.state = "done"
    except Stopped:
        job.state = "stopped"
    except InputError as error:
        job.error, job.state = str(error), "failed"
    except BaseException:
        job.error, job.state = "the server failed; its terminal says why", "failed"
        raise
