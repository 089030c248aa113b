import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from io import StringIO

import pytest

from longhold.errors import InputError
from longhold.study.worker import serve
from longhold.study.workers import Job, Workers
from longhold.training.presets import available_cores
from tests.study.tiny import spec

RUN = spec(steps=2).model_dump(mode="json")
LONG = spec(lag=200, steps=100_000)


def alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def test_at_least_one_core_and_one_worker():
    assert available_cores() >= 1
    with pytest.raises(InputError, match="workers=0"):
        Workers(0)


def test_a_worker_answers_each_line_and_survives_an_error():
    jobs = [
        {"name": "trial", "argument": RUN},
        {"name": "nonsense", "argument": {}},
        {"name": "trial", "argument": RUN},
    ]
    answers = StringIO()
    serve(StringIO("".join(json.dumps(job) + "\n" for job in jobs)), answers)
    first, second, third = map(json.loads, answers.getvalue().splitlines())
    assert first["result"]["steps_used"] == 2
    assert "nonsense" in second["error"]
    assert third["result"]["score"] == first["result"]["score"]


def answer(workers: Workers, job: Job) -> object:
    workers.submit(job)
    return workers.collect()


@pytest.mark.slow
def test_results_come_with_their_ticket_an_error_is_told_and_none_stays_alive():
    with Workers(2) as workers:
        ids = [process.pid for process in workers._processes]
        tickets = [workers.submit(Job("trial", RUN)) for _ in range(3)]
        results = dict(workers.collect() for _ in tickets)
        assert sorted(results) == tickets
        with pytest.raises(RuntimeError, match="nonsense"):
            answer(workers, Job("nonsense", {}))
        workers._processes[0].kill()
        workers._processes[1].kill()
        with pytest.raises(RuntimeError, match="ended without a word"):
            answer(workers, Job("trial", RUN))
    assert not any(map(alive, ids))


PROGRAM = """
import faulthandler, json, sys
from longhold.study.workers import Job, Workers
faulthandler.dump_traceback_later(40)
with Workers(2) as workers:
    print(*(process.pid for process in workers._processes), flush=True)
    for _ in range(2):
        workers.submit(Job("trial", json.loads(sys.argv[1])))
    workers.collect()
"""


def complaints_after_ctrl_c(program: "subprocess.Popen[str]") -> str:
    """What the program says when it ends; a program that does not is killed, and says where it stood.

    Python drops a KeyboardInterrupt that falls into a finalizer or a callback. A person then presses again.
    """
    for _ in range(3):
        program.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return program.communicate(timeout=20)[1]
    program.kill()
    raise AssertionError(f"Ctrl-C did not end the program: {program.communicate()[1]}")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_ctrl_c_ends_every_worker():
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, LONG.model_dump_json()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        ids = [int(word) for word in program.stdout.readline().split()]
        time.sleep(1.0)
        complaints = complaints_after_ctrl_c(program)
    assert len(ids) == 2
    assert "KeyboardInterrupt" in complaints
    assert not any(map(alive, ids))
