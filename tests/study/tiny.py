"""Specifications and plans small enough for tests, and rows that nobody ran."""

from typing import Any

from longhold.study.execution.worker import FUNCTIONS
from longhold.study.execution.workers import Job, Pool
from longhold.study.plan.plan import Plan
from longhold.study.rows.row import Row
from longhold.study.rows.spec import TrialSpec
from longhold.tasks import task_from_json

RECALL = {"name": "recall", "symbols": 4, "distractors": 3}


def spec(**changes: Any) -> TrialSpec:
    """An LSTM that holds one of four symbols over three steps, in a second or less."""
    task = {**RECALL, "lag": changes.pop("lag", 3)}
    values: dict[str, Any] = {
        "plan": "tiny",
        "experiment": "hold",
        "protocol": "trained",
        "cell": "lstm",
        "init": "uniform",
        "hidden_size": 12,
        "task": task,
        "tests": (task,),
        "vary": "lag",
        "level": task["lag"],
        "lr": 0.02,
        "batch_size": 32,
        "steps": 150,
        "seed": 0,
        "test_sequences": 1000,
    }
    return TrialSpec(**{**values, **changes})


def experiment(**changes: Any) -> dict[str, Any]:
    """The values of an experiment: two arms, three lags, a level sequence."""
    values: dict[str, Any] = {
        "name": "hold",
        "protocol": {"name": "trained", "task": RECALL, "lags": [1, 2, 3], "stop_after": 2},
        "arms": {"lstm": ["uniform"], "gru": ["chrono"]},
        "seeds": [0, 1],
        "hidden_size": 6,
        "lr": 0.02,
        "batch_size": 16,
        "steps": 12,
        "test_sequences": 1000,
    }
    return {**values, **changes}


def plan(*experiments: dict[str, Any], **changes: Any) -> Plan:
    """A plan of some seconds."""
    values: dict[str, Any] = {
        "name": "tiny",
        "question": "Does it run?",
        "core_seconds": 1000,
        "experiments": experiments or (experiment(),),
    }
    return Plan(**{**values, **changes})


def row(of: TrialSpec, *, solved: bool = True, **changes: Any) -> Row:
    """A row as a run of `of` could have left it."""
    task = task_from_json(of.task)
    recall = 0.95 if solved else 0.1
    values: dict[str, Any] = {
        "hidden_size": 12,
        "parameters": 900,
        "state_bytes": 96,
        "flops_per_token": 1800,
        "steps_used": of.steps,
        "solved": solved,
        "solved_step": of.steps if solved else None,
        "score": task.chance + recall * (task.perfect - task.chance),
        "chance": task.chance,
        "recall": recall,
        "unit": task.unit,
        "lag": task.lag,
        "by_lag": (),
        "control": (),
        "curve": ((of.steps, 0.5, recall),),
        "tokens_per_second": 1e5,
        "seconds": 2.0,
        "core_seconds": 1.5,
        "machine": "Linux x86_64, made up, 2 cores",
        "versions": {"python": "3", "torch": "2", "longhold": "0"},
        "error": None,
        "spec": of,
    }
    return Row(**{**values, "test_sequences": of.test_sequences, "step_seconds": of.step_seconds, **changes})


class Here(Pool):
    """Runs each job in this process when it is collected, the last one first."""

    count = 2

    def __init__(self, stop_after: int = 10**9) -> None:
        self.jobs: dict[int, Job] = {}
        self.submitted: list[dict[str, object]] = []
        self._left = stop_after

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace) -> None:
        pass

    def submit(self, job: Job) -> int:
        ticket = len(self.submitted)
        self.submitted.append(job.argument)
        self.jobs[ticket] = job
        assert job.name == "step_time" or len(self.jobs) <= self.count
        return ticket

    def collect(self, timeout=None):
        ticket, job = self.jobs.popitem()
        if job.name == "trial":
            self._left -= 1
            if self._left < 0:
                raise KeyboardInterrupt
        return ticket, FUNCTIONS[job.name](job.argument)
