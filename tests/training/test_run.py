"""The folder of a run: plan, lock, and what is said when its files are not what they were."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from longhold.errors import InputError
from longhold.models.file import write_model
from longhold.training import Run, TrainConfig, text_batches, train
from tests.training.program import config, model, tokens


def trained_in(folder: Path, facts: dict[str, Any] | None = None, **changes: Any) -> None:
    settings = config(steps=6, **changes)
    train(model(), text_batches(tokens(), settings), settings, run=Run(folder, facts))


def refusal(folder: Path, facts: dict[str, Any] | None = None, **changes: Any) -> str:
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "lock"}
    with pytest.raises(InputError) as caught:
        trained_in(folder, facts, **changes)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "lock"} == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_making_one_touches_nothing(tmp_path: Path) -> None:
    assert Run(tmp_path / "new").stored_plan() is None
    assert not (tmp_path / "new").exists()


def test_the_plan_is_written_and_read(tmp_path: Path) -> None:
    trained_in(tmp_path / "a" / "b", {"source": "diary.txt"})
    plan = Run(tmp_path / "a" / "b").stored_plan()
    assert plan is not None
    assert plan["facts"] == {"source": "diary.txt"}
    assert TrainConfig(**plan["training"]) == TrainConfig(**config(steps=6).plan())


def test_another_plan_is_refused_and_told_apart(tmp_path: Path) -> None:
    facts = {"source": "diary.txt", "model": {"hidden_size": 12, "cell": "lstm"}}
    trained_in(tmp_path, facts)
    said = refusal(tmp_path, facts, lr=0.5, seed=3)
    assert "training.lr is 0.01 there and 0.5 here, training.seed is 0 there and 3 here" in said
    assert "start over in another folder" in said
    said = refusal(tmp_path, {**facts, "model": {"hidden_size": 13}})
    assert 'facts.model.cell is "lstm" there and absent here, facts.model.hidden_size is 12 there and 13 here' in said
    trained_in(tmp_path, facts, checkpoint_every=1, sample_every=3, checkpoint_seconds=None)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    in_use = rf"is in use by another process \(process {os.getpid()}\)"
    with Run(tmp_path).opened(config()), pytest.raises(InputError, match=in_use):
        trained_in(tmp_path)
    trained_in(tmp_path / "after")
    with pytest.raises(ZeroDivisionError), Run(tmp_path).opened(config()):
        raise ZeroDivisionError
    with Run(tmp_path).opened(config()):
        assert (tmp_path / "plan.json").exists()


def test_a_file_left_by_a_killed_writer_is_removed(tmp_path: Path) -> None:
    left = tmp_path / ".longhold-0123.tmp"
    left.write_bytes(b"half")
    trained_in(tmp_path)
    assert not left.exists()


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other"])
def test_a_damaged_checkpoint(damage: str, tmp_path: Path) -> None:
    trained_in(tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[:-7])
    elif damage == "flipped":
        content[-100] ^= 1
        path.write_bytes(content)
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        write_model(path, {"x": torch.zeros(2)}, {"kind": "checkpoint"})
    assert "checkpoint.safetensors" in refusal(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", '{"facts": {}}', "{", '{"facts": 1, "training": {}}'])
def test_a_damaged_plan(content: str, tmp_path: Path) -> None:
    trained_in(tmp_path)
    (tmp_path / "plan.json").write_text(content)
    assert "plan.json is not a plan" in refusal(tmp_path)


def test_a_plan_that_is_gone(tmp_path: Path) -> None:
    trained_in(tmp_path)
    (tmp_path / "plan.json").unlink()
    assert "has a checkpoint but no plan.json" in refusal(tmp_path)


def test_metrics_that_were_cut(tmp_path: Path) -> None:
    trained_in(tmp_path)
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(path.read_bytes()[:-1])
    assert "metrics.jsonl has" in refusal(tmp_path)


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot make the folder"):
        trained_in(tmp_path / "file" / "run")


def test_an_old_checkpoint_stays_when_the_new_one_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(steps=6, checkpoint_every=2)

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    def fill_the_disk(progress: Any) -> None:
        if progress.step >= 4:
            monkeypatch.setattr("os.replace", full)

    with pytest.raises(InputError, match="no space left on device"):
        train(model(), text_batches(tokens(), settings), settings, run=Run(tmp_path), on_progress=fill_the_disk)
    monkeypatch.undo()
    assert not list(tmp_path.glob("*.tmp"))
    with Run(tmp_path).opened(settings) as saved:
        assert saved is not None
        assert saved[1]["counters"]["step"] == 2


def test_writing_to_a_run_that_is_not_open_is_a_bug(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="not open"):
        Run(tmp_path).log({"step": 1})
    with pytest.raises(RuntimeError, match="not open"):
        Run(tmp_path).save({}, {})


def test_tensorboard_gets_the_same_numbers(tmp_path: Path) -> None:
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is an extra"
    )
    settings = config(steps=8, log_every=2)
    train(model(), text_batches(tokens(), settings), settings, run=Run(tmp_path, tensorboard=True))
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    scalars = events.Scalars("loss")
    assert [scalar.step for scalar in scalars] == [line["step"] for line in lines] == [2, 4, 6, 8]
    assert [scalar.value for scalar in scalars] == pytest.approx([line["loss"] for line in lines], rel=1e-6)


def test_tensorboard_goes_on_at_the_step_of_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []

    class Board:
        def __init__(self, folder: Path, step: int) -> None:
            opened.append(step)

        def write(self, entry: object) -> None: ...

        def close(self) -> None: ...

    monkeypatch.setattr("longhold.training.run.TensorBoard", Board)
    settings = config(steps=6, log_every=2)
    for _ in range(2):
        train(model(), text_batches(tokens(), settings), settings, run=Run(tmp_path, tensorboard=True))
    assert opened == [0, 6]


def test_what_a_run_has_come_to_can_be_read(tmp_path: Path) -> None:
    fresh = Run(tmp_path / "new")
    assert fresh.entries() == []
    assert not fresh.unfinished()
    fresh.discard()
    assert not (tmp_path / "new").exists()

    run, settings = Run(tmp_path), config(steps=12, evaluate_every=4, checkpoint_every=4, lr=0.3)
    trained = model()

    def stop(progress: Any) -> None:
        if progress.step == 8:
            raise KeyError

    batches = text_batches(tokens(), settings)
    with pytest.raises(KeyError):
        train(trained, batches, settings, held_out=tokens(100), run=run, on_progress=stop)
    assert run.unfinished()
    assert [line["step"] for line in run.entries()] == [4], "step 8 comes after the checkpoint and will come again"
    with open(run.metrics_path, "ab") as file:
        file.write(b'{"step": 9, "los\xff\n' + b"[" * 100_000)
    assert [line["step"] for line in run.entries()] == [4]
    train(trained, batches, settings, held_out=tokens(100), run=run)
    assert not run.unfinished()
    assert [line["step"] for line in run.entries()] == [4, 8, 12]
    weights, counters = run.kept()
    assert counters.best_step in (4, 8, 12)
    assert all(torch.equal(weights[name], tensor) for name, tensor in trained.state_dict().items())

    run.discard()
    assert {path.name for path in tmp_path.iterdir()} == {"lock"}
    settings = config(steps=2, warmup_steps=0)
    train(model(), text_batches(tokens(), settings), settings, run=run)
    weights, counters = run.kept()  # without held-out data: the last weights
    assert counters.step == 2
    assert set(weights) == set(model().state_dict())


def test_a_folder_in_use_is_not_emptied(tmp_path: Path) -> None:
    trained_in(tmp_path)
    with Run(tmp_path).opened(config(steps=6)), pytest.raises(InputError, match="in use"):
        Run(tmp_path).discard()
    assert (tmp_path / "checkpoint.safetensors").exists()
