import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from longhold.errors import InputError
from longhold.study.execution.cost import measure
from longhold.study.execution.executor import StudyProgress, pool_named, run_study, status
from longhold.study.execution.workers import Workers
from longhold.study.plan.agenda import agenda
from longhold.study.plan.plan import Plan
from longhold.study.report import render_markdown, study_document
from longhold.study.report.document import Folded
from longhold.study.rows.row import Row
from longhold.study.rows.store import Store
from longhold.study.trial.trial import run_trial
from tests.study.tiny import RECALL, Here, experiment, plan, row

ROOT = Path(__file__).parents[3]

MIXED = plan(
    experiment(steps=60, stop_at="off", seeds=[0, 1, 2]),
    experiment(
        name="tuned",
        arms={"rnn": ["orthogonal"]},
        lr=None,
        tuning={"grid": [1e-3, 4e-3, 16e-3, 64e-3, 256e-3], "seeds": [70], "level": 2, "widen": 1},
        seeds=[3],
    ),
)
"""Ladders, a told prior, tuning with widening: at most 18 and 9 runs of about a tenth of a second."""


def results(store: Path) -> list[dict[str, object]]:
    with Store(store) as rows:
        return [made.result() for made in rows.rows("tiny", stage=None)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """The rows of the study, run by itself."""
    path = tmp_path_factory.mktemp("whole") / "study.sqlite"
    with Store(path) as store:
        assert run_study(MIXED, store, Here()).left == 0
    return results(path)


def test_rows_are_those_of_the_runs_by_themselves(whole: list[dict[str, object]]) -> None:
    assert len(whole) > 12
    for values in (whole[0], whole[-1]):
        assert run_trial(Row.from_json(_measured(values)).spec).result() == values
    assert {values["stage"] for values in whole} == {"tuning", "result"}


def _measured(values: dict[str, object]) -> dict[str, object]:
    return {**values, "tokens_per_second": 1.0, "seconds": 1.0, "core_seconds": 1.0, "machine": "", "versions": {}}


def test_an_interrupted_study_goes_on_where_it_stopped(tmp_path: Path, whole: list[dict[str, object]]) -> None:
    path, seen = tmp_path / "study.sqlite", []
    for _ in range(30):
        pool = Here(stop_after=3)
        with contextlib.suppress(KeyboardInterrupt), Store(path) as store:
            run_study(MIXED, store, pool)
            break
        seen.append(len(results(path)))
    assert seen[:3] == [3, 6, 9]
    assert results(path) == whole


def test_progress_counts_down_to_nothing(tmp_path: Path) -> None:
    told: list[StudyProgress] = []
    with Store(tmp_path / "study.sqlite") as store:
        end = run_study(plan(), store, Here(), on_progress=told.append)
        assert (told[0].done, told[0].left, told[0].running, told[0].row) == (0, 12, 2, None)
        assert (told[-1].done, told[-1].left, told[-1].running) == (end.done, 0, 0)
        assert told[-1].seconds_left == 0
        assert all(before.left > after.left for before, after in itertools.pairwise(told))
        assert all(progress.seconds_left is not None and progress.seconds_left > 0 for progress in told[:-1])
        assert [progress.row for progress in told[1:]] != sorted(store.rows(), key=lambda made: made.digest)
        assert {progress.row.digest for progress in told[1:]} == {made.digest for made in store.rows()}
        again = run_study(plan(), store, Here())
    assert (again.done, again.left) == (end.done, 0)


def test_the_longest_begin_first_and_tuning_before_all(tmp_path: Path) -> None:
    pool = Here()
    with Store(tmp_path / "study.sqlite") as store:
        run_study(MIXED, store, pool)
    begun = [values for values in pool.submitted if "stage" in values]
    trials = begun[-len(results(tmp_path / "study.sqlite")) :]
    assert [values["stage"] for values in trials[:5]] == ["tuning"] * 5
    free = plan(experiment(protocol={**experiment()["protocol"], "lags": [1, 800], "stop_after": None}, steps=3))
    pool = Here()
    with Store(tmp_path / "free.sqlite") as store:
        run_study(free, store, pool)
    assert [values["level"] for values in pool.submitted[-8:]] == [800] * 4 + [1] * 4


def test_a_study_stops_when_its_time_is_over(tmp_path: Path) -> None:
    with Store(tmp_path / "study.sqlite") as store, Workers(1) as pool:
        long = plan(experiment(steps=100_000, stop_at="off", arms={"lstm": ["uniform"]}, seeds=[0]))
        end = run_study(long, store, pool, seconds=4.0)
    assert end.left > 0


def test_a_study_beyond_its_budget_does_not_begin(tmp_path: Path) -> None:
    with Store(tmp_path / "study.sqlite") as store, pytest.raises(InputError, match="over its budget of 0"):
        run_study(plan().with_core_seconds(1e-6), store, Here())
    assert results(tmp_path / "study.sqlite") == []


def test_no_run_begins_after_its_time_and_those_in_hand_are_finished(tmp_path: Path) -> None:
    with Store(tmp_path / "study.sqlite") as store:
        none = run_study(plan(), store, Here(), begin_within=0.0)
        assert (none.done, none.left) == (0, 12)
        late = Here()
        late.collect = _slowly(late.collect)  # type: ignore[method-assign]
        some = run_study(plan(), store, late, begin_within=0.3, costs=measure(agenda(plan(), {}).specs(), Here()))
        assert some.done == len(late.submitted) == 2
        assert not late.jobs
        assert run_study(plan(), store, Here(), begin_within=60.0).left == 0


def _slowly(collect: Callable[..., tuple[int, Any]]) -> Callable[..., tuple[int, Any]]:
    def slow(timeout: float | None = None) -> tuple[int, Any]:
        time.sleep(0.31)
        return collect(timeout)

    return slow


def test_costs_that_are_known_are_not_measured_again(tmp_path: Path) -> None:
    costs, pool = measure(agenda(plan(), {}).specs(), Here()), Here()
    with Store(tmp_path / "study.sqlite") as store:
        end = run_study(plan(), store, pool, costs=costs)
    assert len(pool.submitted) == end.done


def test_status_tells_from_rows_alone(tmp_path: Path) -> None:
    with Store(tmp_path / "study.sqlite") as store:
        first = agenda(plan(), {}).ready[0].spec
        store.write(row(first, core_seconds=2.0))
        progress, left = status(plan(), store)
    assert (progress.done, progress.left) == (1, 11)
    assert progress.seconds_left == pytest.approx(22.0)
    assert left.done[0].digest == first.digest


PROGRAM = """
import json, sys
from longhold.study.execution.executor import pool_named, run_study
from longhold.study.plan.plan import Plan
from longhold.study.rows.store import Store
from longhold.study.report import render_markdown, study_document
from longhold.study.report.document import Folded
plan = Plan(**json.loads(sys.argv[1]))
with Store(sys.argv[2]) as store, pool_named(sys.argv[3], 2) as pool:
    run_study(plan, store, pool, on_progress=lambda progress: print(progress.done, flush=True))
"""

LIVES = """
import json, os, sys
from longhold.study.execution.executor import run_study
from longhold.study.plan.plan import Plan
from longhold.study.rows.store import Store
from longhold.study.report import render_markdown, study_document
from longhold.study.report.document import Folded
from tests.study.tiny import Here
plan = Plan(**json.loads(sys.argv[1]))
for _ in sys.stdin:
    child = os.fork()
    if not child:
        print(os.getpid(), flush=True)
        with Store(sys.argv[2]) as store:
            run_study(plan, store, Here(), on_progress=lambda progress: print(progress.done, flush=True))
        os._exit(0)
    print("ended", os.waitpid(child, 0)[1], flush=True)
"""
"""A process that has everything imported and lives many times, as a child that may be killed."""


def program(study: Plan, store: Path, name: str = "local", code: str = PROGRAM) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", code, study.model_dump_json(), str(store), name]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=ROOT)


def children(process_id: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process_id)], capture_output=True, text=True, check=False
    )
    return [int(word) for word in listed.stdout.split()]


def is_gone(process_id: int) -> bool:
    for _ in range(100):
        try:
            os.kill(process_id, 0)
        except ProcessLookupError:
            return True
        stat = Path(f"/proc/{process_id}/stat")
        if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks and sends a POSIX signal")
def test_a_study_killed_ten_times_ends_with_the_same_rows(tmp_path: Path, whole: list[dict[str, object]]) -> None:
    """Killed at random moments, in the middle of runs and of writes; nothing but runs in hand is lost."""
    path, moments, counts = tmp_path / "study.sqlite", random.Random(5), []
    with program(MIXED, path, code=LIVES) as lives:
        assert lives.stdin is not None
        assert lives.stdout is not None
        for _ in range(10):
            lives.stdin.write("live\n")
            lives.stdin.flush()
            child, kept = int(lives.stdout.readline()), int(lives.stdout.readline())
            assert [kept] == counts[-1:] or not counts
            if moments.random() < 0.6:
                lives.stdout.readline()
            time.sleep(moments.uniform(0, 0.03))
            os.kill(child, signal.SIGKILL)
            assert next(line for line in lives.stdout if line.startswith("ended")) == "ended 9\n"
            with Store(path) as store:
                counts.append(len(status(MIXED, store)[1].done))
        last, complaints = lives.communicate("live\n", timeout=120)
    assert last.endswith("ended 0\n"), complaints
    assert 0 < counts[-1] < len(whole)
    assert results(path) == whole


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_whatever_ends_a_study_ends_every_worker_at_once(tmp_path: Path, stop: signal.Signals) -> None:
    long = plan(experiment(steps=10**6, stop_at="off"), core_seconds=1e9)
    with program(long, tmp_path / "study.sqlite") as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "0\n"
        helpers = children(running.pid)
        time.sleep(0.5)
        running.send_signal(stop)
        complaints = running.communicate(timeout=20)[1]
    assert ("KeyboardInterrupt" in complaints) == (stop is signal.SIGINT)
    assert len(helpers) == 2
    assert all(map(is_gone, helpers))
    assert results(tmp_path / "study.sqlite") == []


def test_what_cannot_be_started_is_refused() -> None:
    with pytest.raises(InputError, match="cloud"):
        pool_named("cloud")
    with pytest.raises(InputError, match="workers=0"):
        pool_named("local", 0)
    assert pool_named("local").count >= 1


@pytest.mark.slow
@pytest.mark.timeout(1200)  # Ray starts several processes that load torch
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'longhold[ray]'")
def test_two_ray_workers_give_the_same_rows(tmp_path: Path, whole: list[dict[str, object]]) -> None:
    running = program(MIXED, tmp_path / "study.sqlite", "ray")
    complaints = running.communicate(timeout=1100)[1]
    assert running.returncode == 0, complaints
    assert results(tmp_path / "study.sqlite") == whole


def test_without_ray_one_line_says_so(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['ray'] = None\n"
        "from longhold.errors import InputError\n"
        "from longhold.study.execution.executor import pool_named\n"
        "try: pool_named('ray')\n"
        "except InputError as error: print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "executor 'ray': Ray is not installed, expected pip install 'longhold[ray]'\n"


def test_ray_is_imported_only_when_asked() -> None:
    code = "import sys, longhold.study.execution.executor; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


TIMED = plan(
    experiment(
        protocol={"name": "trained", "task": RECALL, "lags": [1, 3]},
        arms={"lstm": ["uniform"]},
        seeds=[0],
        truncations=[2, "full"],
        steps=None,
        training_seconds=0.03,
        timing={"seeds": [70, 71], "steps": 4},
        stop_at="off",
    )
)


def test_at_equal_time_rows_say_the_steps_and_the_timing_that_they_follow_from(tmp_path: Path) -> None:
    with Store(tmp_path / "s.sqlite") as store:
        run_study(TIMED, store, Here())
        rows = store.rows("tiny", stage=None)
    timed = [made for made in rows if made.spec.stage == "timing"]
    reported = [made for made in rows if made.spec.stage == "result"]
    assert len(timed) == 2 * 2 * 2
    assert len({made.spec.arm for made in reported}) == 2
    for made in reported:
        steps = [
            one.step_seconds for one in timed if (one.spec.arm, one.spec.level) == (made.spec.arm, made.spec.level)
        ]
        assert made.spec.step_seconds == pytest.approx(min(steps), rel=1e-3)
        assert made.steps_used == made.spec.steps == max(1, int(0.03 / made.spec.step_seconds))
    assert run_trial(reported[0].spec).result() == reported[0].result()
    told = render_markdown(study_document(rows, TIMED, ""))
    assert "4 reported, 0 of tuning, 8 of timing" in told


SEARCHED = plan(
    experiment(
        protocol={"name": "trained", "task": RECALL, "lags": [1]},
        arms={"lstm": ["uniform"], "gru": ["uniform"]},
        seeds=[0],
        lr=None,
        search={"trials": 3, "seeds": [90], "level": 1, "lr": [1e-3, 1e-1], "embedding_size": [2, 4]},
    )
)


def test_a_search_that_was_interrupted_ends_with_the_same_rows(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="optuna is not installed")
    for name, stops in (("whole", ()), ("broken", (1, 2, 4))):
        with Store(tmp_path / name) as store:
            for stop in stops:
                with pytest.raises(KeyboardInterrupt):
                    run_study(SEARCHED, store, Here(stop))
            assert run_study(SEARCHED, store, Here()).left == 0
    assert results(tmp_path / "whole") == results(tmp_path / "broken")
    with Store(tmp_path / "whole") as store:
        rows = store.rows("tiny", stage=None)
    assert {(made.spec.arm, made.spec.trial) for made in rows if made.spec.stage == "tuning"} == {
        (arm, trial) for arm in ("lstm uniform", "gru uniform") for trial in range(3)
    }
    tables = [block for section in study_document(rows, SEARCHED, "").sections
              for block in section.blocks if isinstance(block, Folded)]  # fmt: skip
    assert [(len(table.brief.rows), len(table.whole.rows)) for table in tables][-1] == (2, 6)
