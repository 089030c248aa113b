"""One training at a time: its record, its process, its end. The process is a few lines of Python here."""

import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import longhold
from longhold.data import Corpus
from longhold.errors import InputError
from longhold.web.model_session import ModelSession
from longhold.web.trainer import MOST_MODELS, Trainer, Training
from tests.web.small import text_model

CORPUS = Corpus("text", "some text 甲", "utf-8", 1, ())
PREAMBLE = """
import json, sys, time
from pathlib import Path
order = json.loads(sys.stdin.readline())
text = sys.stdin.read(len("some text 甲"))
def tell(**event): print(json.dumps(event), flush=True)
def step(n, **more):
    told = dict(step=n, steps=10, training=3.0, held_out=None, seconds=1, left=9, rate=5, sample=None, diagnosis=None)
    tell(progress={**told, **more})
def end(state, kept, **more): tell(end=dict(state=state, kept=kept, **more)); sys.exit()
"""
STOPPABLE = 'step(1)\nassert sys.stdin.readline() == "stop\\n"\n'


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    text_model("gru").save(tmp_path / "made.safetensors")
    return tmp_path / "made.safetensors"


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, model_file: Path) -> Iterator[Callable[..., Trainer]]:
    """A trainer whose process runs `program`; `keep()` in it leaves a model."""
    made: list[Trainer] = []

    def trainer(program: str, folder: Path | None = None, models: int = 0) -> Trainer:
        keep = f"def keep(): Path(order['output']).write_bytes(Path({str(model_file)!r}).read_bytes())\n"
        code = PREAMBLE + keep + textwrap.dedent(program)
        monkeypatch.setattr("longhold.web.trainer._COMMAND", (sys.executable, "-X", "utf8", "-c", code))
        session = ModelSession([("m", text_model())] * models)
        made.append(Trainer(session, folder))
        return made[-1]

    yield trainer
    for each in made:
        each.close()


def begun(trainer: Trainer, **options: Any) -> Training:
    return trainer.start(CORPUS, **{"name": "diary.txt", "cell": "gru", "seconds": None, **options})


def until(training: Training, *states: str) -> Training:
    end = time.monotonic() + 60
    while training.state not in states:
        assert time.monotonic() < end, training
        time.sleep(0.005)
    return training


def test_the_order_is_what_was_asked_and_reports_add_up(make: Callable[..., Trainer]) -> None:
    program = """
        assert text == "some text 甲"
        assert (order["name"], order["cell"], order["budget_seconds"]) == ("diary.txt", "rnn", 90)
        step(1, sample="first")
        step(2, held_out=4.0)
        step(3, held_out=4.0, diagnosis="overfitting")
        step(10, held_out=3.5, training=2.5, left=0)
        keep()
        end("done", True, sample="last", diagnosis="level", best=3.5, words=0.5, early=False)
    """
    trainer = make(program)
    training = until(begun(trainer, cell="rnn", seconds=90), "done", "failed")
    assert training.error == ""
    assert training.training == [(1, 3.0), (2, 3.0), (3, 3.0), (10, 2.5)]
    assert training.held_out == [(2, 4.0), (10, 3.5)]
    assert training.samples == [(1, "first"), (None, "last")]
    assert training.now == {"step": 10, "steps": 10, "seconds": 1, "left": 0, "rate": 5, "diagnosis": "level",
                            "best": 3.5, "words": 0.5, "early": False}  # fmt: skip
    assert training.model == 0
    assert trainer._session.names == ("diary.txt",)
    assert longhold.load(trainer.file(0)).model.config.cell == "gru"
    scratch = trainer.file(0).parent
    trainer.close()
    assert not scratch.exists()
    with pytest.raises(InputError, match="model 0 was not trained here"):
        trainer.file(0)


def test_the_curve_has_hundreds_of_points_at_most() -> None:
    training = Training("t", "lstm")
    report = {"steps": 100_000, "training": 2.0, "held_out": None, "sample": None, "seconds": 1, "left": 1, "rate": 1,
              "diagnosis": None}  # fmt: skip
    for step in range(1, 100_001, 7):
        training.report({**report, "step": step})
    training.report({**report, "step": 100_000})
    assert 300 < len(training.training) <= 402
    assert training.training[-1][0] == 100_000


def test_one_training_at_a_time_and_one_after_the_other(make: Callable[..., Trainer]) -> None:
    trainer = make(STOPPABLE + "keep()\nend('stopped', True)")
    first = until(begun(trainer), "running")
    with pytest.raises(InputError, match="one training at a time"):
        begun(trainer)
    trainer.stop()
    trainer.stop()
    until(first, "stopped")
    second = begun(trainer)
    trainer.stop()  # before it has its order
    until(second, "stopped")
    assert [first.model, second.model] == [0, 1]
    assert trainer._session.names == ("diary.txt", "diary.txt 2")
    assert trainer.file(0) != trainer.file(1)


def test_a_stop_with_nothing_to_keep(make: Callable[..., Trainer]) -> None:
    trainer = make(STOPPABLE + "end('stopped', False)")
    training = begun(trainer)
    trainer.stop()
    until(training, "stopped")
    assert training.model is None
    assert trainer._session.names == ()


@pytest.mark.parametrize("program", ["sys.exit(3)", "step(1); sys.exit()", "print('no JSON', flush=True)", "step('x')"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_process_that_breaks_off_is_a_failure_and_the_next_may_begin(
    make: Callable[..., Trainer], program: str
) -> None:
    trainer = make(program)
    assert "broke off" in until(begun(trainer), "failed").error
    assert "broke off" in until(begun(trainer), "failed").error


def test_a_line_of_the_process_is_passed_on_and_a_file_that_is_no_model_is_told(make: Callable[..., Trainer]) -> None:
    assert until(begun(make("end('failed', False, error='no such device')")), "failed").error == "no such device"
    training = until(begun(make("Path(order['output']).write_text('x')\nend('done', True)")), "failed")
    assert "cannot read" in training.error
    assert training.model is None


def test_models_are_kept_in_the_folder_that_was_named_and_nothing_else_is(
    make: Callable[..., Trainer], tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "trained-1.safetensors").write_text("somebody's")
    trainer = make("keep()\nend('done', True)", folder)
    until(begun(trainer, name="../../evil"), "done")
    trainer.close()
    assert sorted(path.name for path in folder.iterdir()) == ["trained-1.safetensors", "trained-2.safetensors"]
    assert (folder / "trained-1.safetensors").read_text() == "somebody's"
    assert longhold.load(folder / "trained-2.safetensors").model.config.cell == "gru"


def test_the_end_of_the_server_ends_the_training(make: Callable[..., Trainer], tmp_path: Path) -> None:
    trainer = make("step(1)\ntime.sleep(600)")
    training = until(begun(trainer), "running")
    trainer.close()
    assert training.state == "failed"
    with pytest.raises(InputError, match="about to end"):
        begun(trainer)
    patient = make(STOPPABLE + "keep()\nend('stopped', True)", tmp_path)
    training = until(begun(patient), "running")
    patient.close()
    assert training.state == "stopped"
    assert (tmp_path / "trained-1.safetensors").exists()


def test_models_are_not_taken_in_without_end(make: Callable[..., Trainer]) -> None:
    with pytest.raises(InputError, match=f"{MOST_MODELS} models are open"):
        begun(make("", models=MOST_MODELS))
