"""Averaged weights: the mean by hand, judged beside the weights, kept when better, and part of a checkpoint."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from longhold.errors import InputError
from longhold.models.file import read_model, write_model
from longhold.training import Run, evaluate, text_batches, train
from longhold.training.average import in_place, take_into
from tests.training.program import HELD_OUT, bits, config, model, tokens


@pytest.mark.parametrize("decay", [None, 0.6])
def test_the_mean_by_hand(decay: float | None) -> None:
    layer = nn.Linear(3, 2)
    average: dict[str, Tensor] = {}
    seen: list[Tensor] = []
    for count in range(1, 12):
        nn.init.normal_(layer.weight)
        seen.append(layer.weight.detach().double())
        take_into(average, layer, count, decay)
        if decay is None:
            expected = torch.stack(seen).mean(0)
        else:
            shares = [1.0]
            for n in range(2, count + 1):
                rate = max(1 / n, 1 - decay)
                shares = [share * (1 - rate) for share in shares] + [rate]
            assert sum(shares) == pytest.approx(1)
            expected = sum(share * weight for share, weight in zip(shares, seen, strict=True))
        torch.testing.assert_close(average["weight"].double(), expected, rtol=1e-5, atol=1e-6)


def test_in_place_gives_the_weights_back_to_the_bit() -> None:
    trained = model(tie_weights=True, embedding_size=12)
    before = {name: bits(tensor).clone() for name, tensor in trained.state_dict().items()}
    average = {name: torch.randn_like(weight) for name, weight in trained.named_parameters()}

    def use() -> None:
        with in_place(average, trained):
            assert torch.equal(trained.embedding.weight, average["embedding.weight"])
            assert trained.output.weight is trained.embedding.weight
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use()
    assert all(torch.equal(bits(tensor), before[name]) for name, tensor in trained.state_dict().items())


def test_an_average_that_is_better_is_what_the_model_ends_with(tmp_path: Path) -> None:
    settings = config(steps=80, lr=0.2, schedule="constant", evaluate_every=4, average_from=0.5)
    trained, plain = model(), model()
    result = train(trained, text_batches(tokens(), settings), settings, held_out=HELD_OUT, run=Run(tmp_path))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    lines = [line for line in lines if "held_out" in line]
    assert ["held_out_average" in line for line in lines] == [line["step"] > 40 for line in lines]
    own = min(line["held_out"] for line in lines)
    average = min(line["held_out_average"] for line in lines if "held_out_average" in line)
    assert average < own - 0.03
    assert evaluate(trained, HELD_OUT) == result.held_out == average
    settings = settings.model_copy(update={"average_from": None})
    assert train(plain, text_batches(tokens(), settings), settings, held_out=HELD_OUT).held_out == own


def test_weights_that_are_better_than_their_average_are_kept(tmp_path: Path) -> None:
    settings = config(steps=30, lr=0.01, schedule="linear", evaluate_every=5, average_from=0.0)
    trained = model()
    result = train(trained, text_batches(tokens(), settings), settings, held_out=HELD_OUT, run=Run(tmp_path))
    last = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["held_out"] < last["held_out_average"]
    assert evaluate(trained, HELD_OUT) == result.held_out == last["held_out"]


def test_without_held_out_data_the_model_ends_with_the_average() -> None:
    settings = config(steps=9, optimizer="sgd", lr=0.5, schedule="constant", warmup_steps=0, average_from=0.5)
    start = model(dropout=0.0)
    trained, by_hand = copy.deepcopy(start), {}
    train(trained, text_batches(tokens(), settings), settings)
    plain = settings.model_copy(update={"average_from": None})
    for count in range(5, 10):  # int(0.5 * 9) = 4 steps go by before the first that counts
        one = copy.deepcopy(start)
        shorter = plain.model_copy(update={"steps": count})
        train(one, text_batches(tokens(), settings), shorter)
        for name, weight in one.named_parameters():
            by_hand[name] = by_hand.get(name, 0) + weight.detach() / 5
    for name, weight in trained.named_parameters():
        torch.testing.assert_close(weight.detach(), by_hand[name], rtol=1e-4, atol=1e-5)


def test_it_changes_nothing_in_the_run_itself(tmp_path: Path) -> None:
    for name, changes in (("with", {"average_from": 0.2}), ("without", {})):
        settings = config(**changes)
        train(model(), text_batches(tokens(), settings), settings, held_out=HELD_OUT, run=Run(tmp_path / name))
    files = [read_model(tmp_path / name / "checkpoint.safetensors")[0] for name in ("with", "without")]
    assert {name.partition("/")[0] for name in files[0].keys() - files[1].keys()} == {"average"}
    for name, tensor in files[1].items():
        if not name.startswith("best/"):
            assert torch.equal(bits(tensor), bits(files[0][name])), name


def test_a_run_folder_from_before_there_were_averages_goes_on(tmp_path: Path) -> None:
    """Its plan has no such fields and its checkpoint no such counter."""
    settings = config(checkpoint_every=5, checkpoint_seconds=None, log_every=1)

    class Stop(Exception):
        pass

    def stop(progress: Any) -> None:
        if progress.step == 13:
            raise Stop

    batches = text_batches(tokens(), settings)
    with pytest.raises(Stop):
        train(model(), batches, settings, held_out=HELD_OUT, run=Run(tmp_path / "old"), on_progress=stop)
    plan = json.loads((tmp_path / "old" / "plan.json").read_text())
    assert not {"average_from", "average_decay"} & plan["training"].keys()
    tensors, document = read_model(tmp_path / "old" / "checkpoint.safetensors")
    del document["counters"]["averaged"]
    write_model(tmp_path / "old" / "checkpoint.safetensors", tensors, document)
    resumed, whole = model(), model()
    train(resumed, batches, settings, held_out=HELD_OUT, run=Run(tmp_path / "old"))
    train(whole, batches, settings, held_out=HELD_OUT)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(bits(tensor), bits(resumed.state_dict()[name]))


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"average_from": 1.0}, "average_from=1.0"),
        ({"average_decay": 0.9}, "without average_from"),
        ({"average_from": 0.5, "keep_best": False}, "without keep_best"),
    ],
)
def test_averages_that_make_no_sense(values: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line):
        config(**values)
