"""The queue: one request after the other, stopped when told, and one job beside them."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor

import pytest

from longhold.errors import InputError
from longhold.web.task_queue import LONGEST_QUEUE, Busy, Job, Stop, Stopped, TaskQueue


def in_a_loop(main: Callable[[], Coroutine[object, object, object]]) -> object:
    """`asyncio.run` in a thread of its own: Playwright leaves a loop running in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(main())).result()


def ended(job: Job) -> Job:
    for _ in range(1000):
        if job.state != "running":
            return job
        time.sleep(0.005)
    raise AssertionError("the job does not end")


def test_requests_have_their_turn_one_at_a_time() -> None:
    busy = threading.Lock()

    def work(stop: Stop) -> str:
        assert busy.acquire(blocking=False), "two at once"
        time.sleep(0.001)
        busy.release()
        return threading.current_thread().name

    async def main() -> list[str]:
        queue = TaskQueue()
        return await asyncio.gather(*(queue.run(work) for _ in range(LONGEST_QUEUE)))

    names = in_a_loop(main)
    assert threading.current_thread().name not in names


def test_too_many_requests_are_refused_and_later_ones_are_not() -> None:
    async def main() -> None:
        queue = TaskQueue()
        running = [queue.run(lambda stop: time.sleep(0.001)) for _ in range(LONGEST_QUEUE + 2)]
        answers = await asyncio.gather(*running, return_exceptions=True)
        assert [type(answer) for answer in answers] == [type(None)] * LONGEST_QUEUE + [Busy] * 2
        assert await queue.run(lambda stop: 5) == 5

    in_a_loop(main)


def test_the_request_at_work_is_stopped_and_the_next_goes_on() -> None:
    started = threading.Event()

    def endless(stop: Stop) -> None:
        started.set()
        while True:
            time.sleep(0.001)
            stop.check()

    async def main() -> None:
        queue = TaskQueue()
        first = asyncio.create_task(queue.run(endless))
        second = asyncio.create_task(queue.run(lambda stop: "next"))
        await asyncio.to_thread(started.wait)
        queue.stop()
        with pytest.raises(Stopped):
            await first
        assert await second == "next"

    in_a_loop(main)


def test_a_request_that_fails_gives_its_turn_back() -> None:
    async def main() -> None:
        queue = TaskQueue()
        with pytest.raises(ZeroDivisionError):
            await queue.run(lambda stop: 1 // 0)
        assert await queue.run(lambda stop: 5) == 5

    in_a_loop(main)


def test_a_job_is_alone_until_it_ends() -> None:
    queue = TaskQueue()
    go = threading.Event()

    def work(job: Job) -> None:
        go.wait()
        job.text += "done so far"

    job = queue.start("write", work)
    with pytest.raises(InputError, match="one job at a time"):
        queue.start("write", work)
    go.set()
    assert ended(job).text == "done so far"
    assert job.state == "done"
    assert ended(queue.start("write", work)).state == "done"


def test_a_job_that_fails_says_why_as_far_as_a_person_may_know(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(threading, "excepthook", seen.append)

    def wrong(job: Job) -> None:
        raise InputError("this cannot be used")

    def broken(job: Job) -> None:
        raise KeyError("detail")

    queue = TaskQueue()
    job = ended(queue.start("write", wrong))
    assert (job.state, job.error) == ("failed", "this cannot be used")
    job = ended(queue.start("write", broken))
    assert job.state == "failed"
    assert "detail" not in job.error
    time.sleep(0.05)
    assert len(seen) == 1, "the terminal is told"


def test_stopping_an_idle_queue_does_nothing() -> None:
    TaskQueue().stop()
