"""The process that trains: its events, how it is stopped, and that it doesn't outlive the server."""

import _thread
import json
import os
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import longhold
from longhold.web import training_worker
from longhold.web.training_worker import Event, TrainingRequest, _trained

TEXT = "".join(f"{n} times {n} is {n * n}.\n" for n in range(60))


def request_of(tmp_path: Path, **values: Any) -> TrainingRequest:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    usual = {"bytes": len(TEXT), "name": "squares.txt", "cell": "rnn", "device": "cpu", "scratch": str(scratch),
             "output": str(tmp_path / "model.safetensors")}  # fmt: skip
    return TrainingRequest(**{**usual, **values})


def alone(over: threading.Event) -> None:
    """Nobody stops it."""


def test_its_events_report_progress_and_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        training_worker, "train", partial(longhold.train, training={"steps": 200})
    )  # as many on any machine
    events: list[Event] = []
    over: list[threading.Event] = []
    ended = _trained(request_of(tmp_path), TEXT, events.append, over.append)
    reports = [event["progress"] for event in events]
    assert (ended["state"], ended["kept"]) == ("done", True)
    assert over[0].is_set()
    assert [report["step"] for report in reports] == sorted({report["step"] for report in reports})
    assert reports[-1]["step"] == reports[-1]["steps"] or ended["early"]
    assert reports[-1]["left"] == 0
    assert reports[-1]["training"] < reports[0]["training"]
    assert min(report["held_out"] for report in reports if report["held_out"]) == pytest.approx(ended["best"])
    assert any(report["sample"] for report in reports)
    assert 0 <= ended["words"] <= 1
    assert ended["words_unit"] == "words"
    model = longhold.load(tmp_path / "model.safetensors")
    assert model.facts.corpus == "squares.txt"
    assert model.facts.held_out_bits_per_character == pytest.approx(ended["best"])


def test_a_stop_keeps_the_best_so_far(tmp_path: Path) -> None:
    reports: list[Event] = []

    def emit(event: Event) -> None:
        reports.append(event["progress"])
        if len(reports) == 3:
            _thread.interrupt_main()

    ended = _trained(request_of(tmp_path, budget_seconds=600), TEXT, emit, alone)
    assert ended == {"state": "stopped", "kept": True}
    assert reports[-1]["step"] < reports[-1]["steps"]
    assert longhold.load(tmp_path / "model.safetensors").facts.corpus == "squares.txt"


def test_a_stop_before_the_first_step_keeps_nothing(tmp_path: Path) -> None:
    ended = _trained(request_of(tmp_path), TEXT, lambda event: None, lambda over: _thread.interrupt_main())
    assert ended == {"state": "stopped", "kept": False}


def test_what_cannot_be_is_one_line(tmp_path: Path) -> None:
    ended = _trained(request_of(tmp_path, device="quantum"), TEXT, lambda event: None, alone)
    assert (ended["state"], ended["kept"]) == ("failed", False)
    assert "quantum" in ended["error"]
    assert "\n" not in ended["error"]


def test_it_ends_with_its_server_and_takes_its_files_along(tmp_path: Path) -> None:
    request = request_of(tmp_path, budget_seconds=600)
    command = [sys.executable, "-m", "longhold.web.training_worker"]
    # Started as by a shell in the background, where Ctrl-C is ignored
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(request.model_dump_json().encode() + b"\n" + TEXT.encode())
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["progress"]["step"] >= 1
        assert os.listdir(request.scratch)
        process.stdin.close()
        assert process.wait(timeout=60) == 1
    assert not Path(request.scratch).exists()
    assert not Path(request.output).exists()
