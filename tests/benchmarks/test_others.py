"""Other frameworks, measured in turn."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks.rivals.worker import FRAMEWORKS
from benchmarks.store import Row

from benchmarks import others

CASE = {"cell": "RNN", "batch": 2, "hidden": 4, "steps": 3, "threads": 1}


def test_a_worker_process_answers_and_ends() -> None:
    with others.Worker("torch", 1) as worker:
        assert worker.ask({**CASE, "training": False}).keys() == {"ready"}
        assert worker.ask({})["seconds"] > 0
        process = worker._process
    assert process is not None
    assert process.poll() is not None


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_framework_runs_every_cell_where_it_is_installed(framework: str) -> None:
    if not others.python_of(framework).exists():
        pytest.skip("there is no .venv-others here: make .venv-others")
    with others.Worker(framework, 1) as worker:
        for cell in ("RNN", "GRU", "LSTM"):
            for training in (False, True):
                answer = worker.ask({**CASE, "cell": cell, "training": training})
                infers_only = framework == "onnxruntime" and training
                assert list(answer) == ["missing" if infers_only else "ready"], answer


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(others, "python_of", lambda framework: Path("/no/such/python"))
    with others.Worker("jax", 1) as worker:
        assert worker.ask(CASE) == {"missing": "not installed: make .venv-others"}


def test_a_process_that_ends_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    start = subprocess.Popen

    def ends(command: list[str], **rest: Any) -> subprocess.Popen[str]:
        return start([sys.executable, "-c", "raise SystemExit(3)"], **rest)

    monkeypatch.setattr(others.subprocess, "Popen", ends)
    with others.Worker("torch", 1) as worker:
        assert worker.ask(CASE) == {"missing": "its process ended with 3"}


class Told:
    """A worker whose answers are known."""

    def __init__(self, framework: str, *answers: Row) -> None:
        self.framework, self.answers = framework, list(answers)

    def ask(self, question: dict[str, Any]) -> Row:
        return self.answers.pop(0)


def test_medians_of_those_who_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(others, "_PAUSE", 0.0)
    able = Told("longhold", {"ready": 1}, *({"seconds": seconds} for seconds in (1.0, 5.0, 2.0)))
    faster = Told("jax", {"ready": 1}, *({"seconds": 0.5} for _ in range(3)))
    unable = Told("onnxruntime", {"missing": "it only infers"})
    dies = Told("keras", {"ready": 1}, {"seconds": 1.0}, *({"missing": "ended"} for _ in range(2)))
    row = others.measure([able, faster, unable, dies], {**CASE, "training": True}, rounds=3)  # type: ignore[list-item]
    assert row["seconds"] == {"longhold": 2.0, "jax": 0.5}
    assert row["missing"] == {"onnxruntime": "it only infers", "keras": "ended"}
    assert "longhold 2000.00, jax 500.00 (0.2x)" in others.line(row)
    assert others.summary([row]) == [
        "1 figures are faster than longhold's",
        "    jax in RNN B2 H4 T3 training: 4.00x longhold",
    ]
