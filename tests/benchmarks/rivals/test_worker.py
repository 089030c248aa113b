"""A worker answers line by line, whatever its framework does."""

import io
import json
from typing import Any

import pytest

from benchmarks.rivals import worker

CASE = {"cell": "GRU", "batch": 2, "hidden": 4, "steps": 3, "threads": 1}


def answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *questions: dict[str, Any]
) -> list[Any]:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(json.dumps(question) + "\n" for question in questions)))
    worker.main("torch")
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_case_is_prepared_and_sampled(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = answers(monkeypatch, capsys, {**CASE, "training": True}, {}, {**CASE, "training": False}, {})
    assert [list(answer) for answer in found] == [["ready"], ["seconds"], ["ready"], ["seconds"]]
    assert all(value > 0 for answer in found for value in answer.values())


def test_what_goes_wrong_is_an_answer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = answers(monkeypatch, capsys, {}, {**CASE, "cell": "Transformer2", "training": False})
    assert found[0] == {"missing": "no case was prepared"}
    assert found[1]["missing"].startswith("AttributeError")
