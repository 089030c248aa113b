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
from longhold.study.execution.worker import serve
from longhold.study.execution.workers import Job, Workers, _answer_of
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
        {"name": "trial", "argument": {**RUN, "hidden_size": 2**24}},
        {"name": "trial", "argument": RUN},
    ]
    answers = StringIO()
    serve(StringIO("".join(json.dumps(job) + "\n" for job in jobs)), answers)
    first, second, refused, third = map(json.loads, answers.getvalue().splitlines())
    assert first["result"]["steps_used"] == 2
    assert "nonsense" in second["error"]
    assert "of memory" in refused["refused"]
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
        with pytest.raises(InputError, match="lag=-1"):
            answer(workers, Job("trial", {**RUN, "task": {**RUN["task"], "lag": -1}}))
        for process in list(workers._processes):
            process.kill()
        after = [answer(workers, Job("trial", RUN)) for _ in range(2)]
        assert {found[1]["score"] for found in after} == {results[tickets[0]]["score"]}
        ids += [process.pid for process in workers._processes]
    assert not any(map(alive, ids))


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_a_run_whose_workers_are_killed_twice_is_given_up_in_one_line():
    with Workers(1) as workers:
        workers.submit(Job("trial", LONG.model_dump(mode="json")))
        first = workers._processes[0]
        first.kill()
        while workers._processes[0] is first:
            time.sleep(0.01)
        workers._processes[0].kill()
        with pytest.raises(
            InputError, match=r"ended from outside, twice .*SIGKILL, as where memory runs out"
        ) as caught:
            workers.collect()
        assert "\n" not in str(caught.value)
        assert answer(workers, Job("trial", RUN))[1]["steps_used"] == 2


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("sys.exit(3)", "error"),
        ("sys.exit(0)", "error"),
        ("print('{\"resu', end='', flush=True)", "error"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed"),
        ("print('{\"resu', end='', flush=True); os.kill(os.getpid(), signal.SIGTERM)", "killed"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "error"),
        ("print('{\"result\": 5}')", "result"),
    ],
)
def test_how_a_worker_ended_is_told_apart(program: str, told: str):
    command = [sys.executable, "-c", f"import os, signal, sys; sys.stdin.readline(); {program}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert list(_answer_of(process, Job("trial", {}))) == [told]


PROGRAM = """
import faulthandler, json, sys
from longhold.study.execution.workers import Job, Workers, _answer_of
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
