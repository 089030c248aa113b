"""What is said where the run that is there was another one."""

from pathlib import Path

import pytest

from longhold.errors import InputError
from longhold.training import Run
from longhold.training.another_plan import refusal
from tests.training.test_recipe import story, trained

THERE = {
    "facts.model.cell": "lstm",
    "facts.model.hidden_size": 128,
    "facts.model.init": "forget:1",
    "facts.text_sha256": "0" * 64,
    "facts.tokenizer_sha256": "1" * 64,
    "training.budget_seconds": None,
    "training.lr": 0.004,
    "training.seed": 0,
    "training.steps": 200,
}


def said(given: set[str], **changes: object) -> str:
    here = {**THERE, **{name.replace("__", "."): value for name, value in changes.items()}}
    line = refusal(given, Path("diary.run"), THERE, here)
    assert "\n" not in line
    assert line.startswith("diary.run holds a run with another plan (")
    assert "-o NAME" in line
    return line.partition("(")[2].partition(")")[0]


def test_only_what_was_changed_is_named() -> None:
    cell = {"facts__model__cell": "gru", "facts__model__init": "uniform", "training__lr": 0.002, "training__steps": 9}
    assert said({"cell"}, **cell) == said(set(), **cell) == "cell: 'lstm' there, 'gru' here"
    assert said({"cell", "lr"}, **cell) == "cell: 'lstm' there, 'gru' here, lr: 0.004 there, 0.002 here"
    assert said({"lr"}, training__lr=1.0) == "lr: 0.004 there, 1.0 here"
    assert said(set(), training__seed=1, training__steps=9) == "seed: 0 there, 1 here"
    assert said(set(), training__steps=9) == "steps: 200 there, 9 here"
    assert said({"budget_seconds"}, training__budget_seconds=30.0) == "budget: none there, 30.0 here"
    text = {"facts__text_sha256": "2" * 64, "facts__tokenizer_sha256": "3" * 64}
    assert said(set(), **text) == "the text is a different one"
    assert said({"tokenizer"}, facts__tokenizer_sha256="3" * 64) == "the tokenizer is a different one"


def test_of_many_three_are_named() -> None:
    changed = {"facts__model__hidden_size": 9, "facts__model__init": "x", "training__lr": 1.0, "training__seed": 4}
    line = said({"hidden_size", "init", "lr", "seed"}, **changed)
    assert line.endswith(" and 1 more")
    assert line.count("there") == 3


def test_it_is_what_a_training_answers(tmp_path: Path) -> None:
    trained(folder=tmp_path)
    with pytest.raises(InputError, match=r"another plan \(cell: 'lstm' there, 'gru' here\): give the same settings"):
        trained(folder=tmp_path, cell="gru")
    with pytest.raises(InputError, match=r"\(the text is a different one"):
        trained(story(1000), folder=tmp_path)
    assert Run(tmp_path).stored_plan() is not None
