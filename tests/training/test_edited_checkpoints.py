"""A checkpoint that someone edited goes on as it was, or is refused in one line, in little time and memory."""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from longhold.errors import InputError
from longhold.models.file import read_model, write_model
from longhold.models.language_model import LanguageModel
from longhold.training import Run, text_batches, train
from longhold.training.checkpoint import counters_of, unpack
from longhold.training.optim import build_optimizer
from tests.training.program import HELD_OUT, config, model, tokens

Standing = tuple[dict[str, Tensor], dict[str, Any]]
Edit = Callable[[random.Random, dict[str, Tensor], dict[str, Any]], None]

EDITS = 500
SETTINGS: dict[str, Any] = {"average_from": 0.2, "steps": 12, "evaluate_every": 5, "checkpoint_every": 10}
ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    2**60,
    10**400,
    -(10**400),
    0.5,
    -1e300,
    "",
    "x\n\x1b[2J",
    [],
    [[1]],
    {},
    {"a": 1},
)


def value(chance: random.Random, tensors: dict[str, Tensor], document: dict[str, Any]) -> None:
    """A counter, or what stands beside them, is an odd one."""
    if chance.random() < 0.7:
        document["counters"][chance.choice(sorted(document["counters"]))] = chance.choice(ODD)
    else:
        document[chance.choice(["counters", "carried"])] = chance.choice(ODD)


def name(chance: random.Random, tensors: dict[str, Tensor], document: dict[str, Any]) -> None:
    """A counter or a tensor is gone, or has another name."""
    if chance.random() < 0.3:
        document["counters"].pop(chance.choice(sorted(document["counters"])))
        return
    tensor = tensors.pop(chance.choice(sorted(tensors)))
    if chance.random() < 0.6:
        tensors[chance.choice(["x", "model/x\n", "state/2", "optimizer/99/step", "generator/-1/cpu", "9/9"])] = tensor


def shape(chance: random.Random, tensors: dict[str, Tensor], document: dict[str, Any]) -> None:
    """A tensor has other dimensions."""
    place = chance.choice(sorted(tensors))
    tensor = tensors[place]
    others = [tensor.flatten(), tensor[None], tensor.flatten()[:0], tensor.flatten()[:1], torch.zeros(3, 5, 7)]
    tensors[place] = chance.choice(others).contiguous()


def dtype(chance: random.Random, tensors: dict[str, Tensor], document: dict[str, Any]) -> None:
    """A tensor has another type."""
    place = chance.choice(sorted(tensors))
    types = (torch.int64, torch.float64, torch.uint8, torch.bool, torch.complex64, torch.bfloat16)
    tensors[place] = tensors[place].to(chance.choice([t for t in types if t != tensors[place].dtype]))


def number(chance: random.Random, tensors: dict[str, Tensor], document: dict[str, Any]) -> None:
    """Some numbers of a tensor are others."""
    place = chance.choice(sorted(tensors))
    flat = tensors[place].clone().flatten()
    at = chance.randrange(len(flat))
    flat[at : at + chance.choice([1, 9, 3000])] = (
        chance.randrange(256) if flat.dtype == torch.uint8 else chance.choice([0.0, -1.0, 1e30, float("nan")])
    )
    tensors[place] = flat.reshape(tensors[place].shape)


def rows(chance: random.Random, tensors: dict[str, Tensor], document: dict[str, Any]) -> None:
    """The carried state has more rows than there are columns, in one of its tensors or in all."""
    for place in [key for key in sorted(tensors) if key.startswith("state/")][: chance.choice([1, 2])]:
        tensors[place] = tensors[place].repeat(1, chance.choice([2, 7]), 1)


EDITING: tuple[Edit, ...] = (value, name, shape, dtype, number, rows)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was stopped after ten of its twelve steps."""
    folder, settings = tmp_path_factory.mktemp("run"), config(**SETTINGS)
    trained = model()

    def stop(progress: Any) -> None:
        if progress.step > 10:
            raise KeyError

    batches = text_batches(tokens(), settings)
    torch.manual_seed(0)
    with pytest.raises(KeyError):
        train(trained, batches, config(**SETTINGS, log_every=1), held_out=HELD_OUT, run=Run(folder), on_progress=stop)
    return folder


@pytest.fixture(scope="module")
def standing(stopped: Path) -> Standing:
    tensors, document = read_model(stopped / "checkpoint.safetensors")
    assert {key.split("/")[0] for key in tensors} == {"model", "best", "average", "optimizer", "state", "generator"}
    return tensors, document


def edited(standing: Standing, edit: Edit, chance: random.Random) -> Standing:
    tensors, document = dict(standing[0]), copy.deepcopy(standing[1])
    edit(chance, tensors, document)
    return tensors, document


def one_line(error: InputError) -> str:
    line = str(error)
    assert "\n" not in line
    assert "\x1b" not in line
    assert len(line) < 400
    return line


def test_edited_checkpoints_go_on_or_are_refused_in_one_line(standing: Standing) -> None:
    """What is refused leaves model and optimizer as they were; what is taken takes a step."""
    settings = config(**SETTINGS)
    trained, batch = model(), text_batches(tokens(), settings).at(10)
    optimizer = build_optimizer(trained, settings)
    before = {key: tensor.clone() for key, tensor in trained.state_dict().items()}
    counts = Counter[str]()
    for seed in range(EDITS):
        edit, chance = EDITING[seed % len(EDITING)], random.Random(seed)
        tensors, document = edited(standing, edit, chance)
        try:
            position = unpack(tensors, document, trained, optimizer)
        except InputError as error:
            one_line(error)
            counts[f"{edit.__name__} refused"] += 1
            assert all(torch.equal(before[key], tensor) for key, tensor in trained.state_dict().items()), seed
            assert not optimizer.state, seed
        else:
            counts[f"{edit.__name__} taken"] += 1
            carried = position.state if edit is not rows else None
            trained.loss(batch.inputs, batch.targets, carried)[0].backward()
            optimizer.step()
            trained.load_state_dict(before)
            optimizer = build_optimizer(trained, settings)
    assert counts["number taken"] > counts["number refused"] > 0  # of numbers only a step's and a generator's are held
    for edit in EDITING:
        assert counts[f"{edit.__name__} refused"] > (0 if edit in (number, rows) else EDITS // 10), counts


@pytest.mark.parametrize("edit", [shape, rows, value])
def test_a_run_with_an_edited_checkpoint_ends_in_one_line(stopped: Path, tmp_path: Path, edit: Edit) -> None:
    for file in stopped.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    chance, refused = random.Random(1), 0
    settings = config(**SETTINGS, log_every=1)
    standing = read_model(tmp_path / "checkpoint.safetensors")
    for _ in range(6):
        tensors, document = edited(standing, edit, chance)
        write_model(tmp_path / "checkpoint.safetensors", tensors, {k: v for k, v in document.items() if k != "sha256"})
        (tmp_path / "metrics.jsonl").write_bytes((stopped / "metrics.jsonl").read_bytes())
        try:
            train(model(), text_batches(tokens(), settings), settings, held_out=HELD_OUT, run=Run(tmp_path))
        except InputError as error:
            one_line(error)
            refused += 1
    assert refused >= 3


@pytest.mark.parametrize("position", [None, -1, True, "0", 2**80], ids=repr)
def test_a_place_in_the_metrics_that_is_none(stopped: Path, tmp_path: Path, position: object) -> None:
    for file in stopped.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tensors, document = read_model(tmp_path / "checkpoint.safetensors")
    document = {key: value for key, value in document.items() if key != "sha256"} | {"metrics_bytes": position}
    write_model(tmp_path / "checkpoint.safetensors", tensors, document)
    settings = config(**SETTINGS, log_every=1)
    with pytest.raises(InputError) as caught:
        train(model(), text_batches(tokens(), settings), settings, held_out=HELD_OUT, run=Run(tmp_path))
    assert "edited" in str(caught.value)


def test_what_was_not_edited_is_taken(standing: Standing) -> None:
    trained: LanguageModel = model()
    position = unpack(*standing, trained, build_optimizer(trained, config(**SETTINGS)))
    assert position.counters == counters_of(standing[1])
    assert position.best.weights is not None
    assert position.average.keys() == dict(trained.named_parameters()).keys()
