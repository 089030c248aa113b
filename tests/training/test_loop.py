"""The loop against the same training written out by hand, and a resumed run against one never interrupted."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from longhold.errors import InputError
from longhold.models.contract import SequenceModel, State
from longhold.training import Progress, Run, TrainConfig, evaluate, text_batches, train
from tests.training.program import HELD_OUT, assert_same_run, config, model, tokens, write


class Stop(Exception):
    """Stands for a process that dies."""


def stop_at(step: int) -> Any:
    def look(progress: Progress) -> None:
        if progress.step >= step:
            raise Stop

    return look


def weights(trained: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in trained.state_dict().items()}


def same(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_equals_the_same_training_written_out() -> None:
    settings = config(
        steps=13, schedule="constant", warmup_steps=0, clip_norm=0.5, optimizer="sgd", momentum=0.9, lr=0.3
    )
    batches = text_batches(tokens(400), settings)
    assert 3 < batches.per_epoch < 13  # so that the run crosses an epoch, where the state begins anew
    trained = model(dropout=0.0)
    result = train(trained, batches, settings)

    expected, velocity, state, losses = model(dropout=0.0), {}, None, []
    for step in range(13):
        batch = batches.at(step)
        state = None if batch.fresh else tuple(part.detach() for part in state)
        logits, state = expected(batch.inputs, state)
        loss = nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), batch.targets.reshape(-1))
        gradients = torch.autograd.grad(loss, list(expected.parameters()))
        norm = math.sqrt(sum(float(gradient.double().square().sum()) for gradient in gradients))
        losses.append(loss.item())
        with torch.no_grad():
            for number, (parameter, gradient) in enumerate(zip(expected.parameters(), gradients, strict=True)):
                clipped = gradient * min(1.0, 0.5 / norm)
                velocity[number] = clipped if step == 0 else 0.9 * velocity[number] + clipped
                parameter -= 0.3 * velocity[number]

    for name, tensor in expected.state_dict().items():
        torch.testing.assert_close(trained.state_dict()[name], tensor, rtol=1e-5, atol=1e-6)
    smoothed = losses[0]
    for loss in losses[1:]:
        smoothed = 0.95 * smoothed + 0.05 * loss
    assert result.loss == pytest.approx(smoothed, rel=1e-5)
    assert (result.steps, result.tokens, result.held_out) == (13, 13 * 6 * 9, None)


def test_learns_and_ends_with_its_best_weights() -> None:
    trained = model()
    before = evaluate(trained, HELD_OUT)
    settings = config(steps=150)
    result = train(trained, text_batches(tokens(), settings), settings, held_out=HELD_OUT)
    assert result.held_out is not None
    assert result.held_out == evaluate(trained, HELD_OUT) < before - 0.5
    assert trained.training


def test_a_best_that_is_not_the_last_is_what_the_model_ends_with(tmp_path: Path) -> None:
    settings = config(steps=40, lr=0.8, schedule="constant", evaluate_every=1, keep_best=True)
    batches = text_batches(tokens(), settings)
    trained = model()
    result = train(trained, batches, settings, held_out=HELD_OUT, run=Run(tmp_path / "run"))
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    held_out = [line["held_out"] for line in lines]
    assert result.best_step is not None
    assert result.best_step == held_out.index(min(held_out)) + 1 < 40
    assert evaluate(trained, HELD_OUT) == min(held_out) == result.held_out
    again = model()
    assert train(again, batches, settings, held_out=HELD_OUT, run=Run(tmp_path / "run")).best_step == result.best_step
    assert same(weights(again), weights(trained))

    last = model()
    settings = config(steps=40, lr=0.8, schedule="constant", evaluate_every=1, keep_best=False)
    assert train(last, batches, settings, held_out=HELD_OUT).held_out == evaluate(last, HELD_OUT) == held_out[-1]


def test_stops_early_when_held_out_loss_no_longer_falls() -> None:
    settings = config(steps=400, lr=0.8, schedule="constant", evaluate_every=2, patience=3)
    result = train(model(), text_batches(tokens(), settings), settings, held_out=HELD_OUT)
    assert result.stopped_early
    assert result.best_step is not None
    assert result.steps == result.best_step + 3 * 2 < 400


RESUMED: list[dict[str, Any]] = [
    {},
    {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.1},
    {"optimizer": "sgd"},
    {"clip_norm": None, "schedule": "linear"},
    {"schedule": "one_cycle", "average_from": 0.3},
    {"average_from": 0.4, "average_decay": 0.7, "lr": 0.3},
]
MODELS: list[dict[str, Any]] = [
    {"cell": "rnn"},
    {"cell": "gru", "recurrent_dropout": 0.2, "layer_norm": True},
    {"learn_initial_state": True, "zoneout": (0.1, 0.2)},
    {"tie_weights": True, "embedding_size": 12},
    {
        "tie_weights": True,
        "embedding_size": 12,
        "weight_dropout": 0.2,
        "input_dropout": 0.2,
        "embedding_dropout": 0.1,
        "locked_dropout": True,
    },
]


@pytest.mark.parametrize(
    ("changes", "shape"), [(changes, {}) for changes in RESUMED] + [({}, shape) for shape in MODELS], ids=str
)
def test_a_resumed_run_is_the_run_never_interrupted(
    changes: dict[str, Any], shape: dict[str, Any], tmp_path: Path
) -> None:
    settings = config(steps=20, checkpoint_every=5, checkpoint_seconds=None, log_every=3, **changes)
    batches = text_batches(tokens(700), settings)
    whole, parts = model(**shape), tmp_path / "parts"
    result = train(whole, batches, settings, held_out=HELD_OUT, run=Run(tmp_path / "whole"))
    # A report comes with every log event: the run dies in step 9, 12 and 15, having saved steps 5, 10 and (again) 10.
    for step in (9, 12, 14):
        with pytest.raises(Stop):
            train(
                model(**shape),
                batches,
                settings,
                held_out=HELD_OUT,
                run=Run(parts),
                on_progress=stop_at(step),
                sample=write,
            )
        torch.rand(step)  # another process, another generator
    last = model(**shape)
    resumed = train(last, batches, settings, held_out=HELD_OUT, run=Run(parts))
    assert_same_run(tmp_path / "whole", parts)
    assert same(weights(last), weights(whole))
    assert (resumed.held_out, resumed.loss, resumed.tokens) == (result.held_out, result.loss, result.tokens)


def test_when_it_saves_samples_and_reports_changes_nothing(tmp_path: Path) -> None:
    plain, watched = model(), model()
    train(plain, text_batches(tokens(), config()), config(checkpoint_seconds=None), held_out=HELD_OUT)
    often = config(checkpoint_seconds=1e-6, sample_every=1)
    seen: list[Progress] = []
    train(
        watched,
        text_batches(tokens(), config()),
        often,
        held_out=HELD_OUT,
        run=Run(tmp_path),
        on_progress=seen.append,
        sample=write,
    )
    assert same(weights(plain), weights(watched))
    assert [progress.step for progress in seen if progress.sample is not None] == list(range(1, 31))
    assert seen[-1].step == seen[-1].steps == 30
    assert seen[-1].eta_seconds == 0
    assert all(progress.tokens_per_second > 0 for progress in seen)


def test_the_generators_are_left_alone() -> None:
    before = torch.get_rng_state()
    train(model(), text_batches(tokens(), config()), config())
    assert torch.equal(torch.get_rng_state(), before)


def test_metrics_say_what_happened(tmp_path: Path) -> None:
    settings = config(steps=10, log_every=4, evaluate_every=5)
    batches = text_batches(tokens(), settings)
    seen: list[Progress] = []
    train(model(), batches, settings, held_out=HELD_OUT, run=Run(tmp_path), on_progress=seen.append)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 5, 8, 10]
    assert ["held_out" in line for line in lines] == [False, True, False, True]
    for line in lines:
        assert line["bits"] == pytest.approx(line["loss"] / math.log(2))
    # Line 2 holds one step, 5: its mean is that step's own loss.
    assert lines[1]["loss"] == next(progress.loss for progress in seen if progress.step == 5)


class Exploding(SequenceModel):
    """`outputs = w x`, with a loss that is NaN from the n-th call on, or a gradient that is infinite."""

    def __init__(self, calls: int, *, in_gradient: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, 3))
        self.calls, self.in_gradient = calls, in_gradient

    def forward(self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None) -> tuple[Tensor, State]:
        self.calls -= 1
        scale = self.weight.sum()
        if self.calls < 0:
            scale = (scale - scale).sqrt() if self.in_gradient else scale * math.nan
        return nn.functional.one_hot(inputs, 17).float() * scale, self.initial_state(inputs.shape[1])

    def initial_state(self, batch: int) -> State:
        return ()


@pytest.mark.parametrize(
    ("in_gradient", "what"),
    [(False, "training loss became nan at step 9"), (True, "gradient norm became nan at step 9")],
)
def test_a_loss_that_is_not_finite_ends_the_run_in_one_line(in_gradient: bool, what: str, tmp_path: Path) -> None:
    settings = config(schedule="constant", warmup_steps=0, checkpoint_every=3, log_every=5, lr=0.25, steps=20)
    with pytest.raises(InputError, match=what) as caught:
        train(Exploding(8, in_gradient=in_gradient), text_batches(tokens(), settings), settings, run=Run(tmp_path))
    line = str(caught.value)
    assert "learning rate 0.25" in line
    assert "try a lower lr such as 0.003" in line
    assert "the checkpoint of step 6 stays in" in line
    assert "\n" not in line
    with pytest.raises(InputError, match="step 9"):  # resumed at step 6, with a model that fails three steps later
        train(Exploding(2, in_gradient=in_gradient), text_batches(tokens(), settings), settings, run=Run(tmp_path))


def test_weights_that_overflow_are_not_saved(tmp_path: Path) -> None:
    settings = TrainConfig(steps=1, batch_size=2, sequence_length=4, lr=3e38, optimizer="sgd", clip_norm=None)
    with pytest.raises(InputError, match="weights are not finite after step 1"):
        train(Steep(), text_batches(tokens(), settings), settings, run=Run(tmp_path))
    assert not (tmp_path / "checkpoint.safetensors").exists()


class Steep(SequenceModel):
    """A loss whose gradient is 100 everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))

    def forward(self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None) -> tuple[Tensor, State]:
        raise NotImplementedError

    def initial_state(self, batch: int) -> State:
        return ()

    def loss(
        self, inputs: Tensor, targets: Tensor, state: State | None = None, reset: Tensor | None = None
    ) -> tuple[Tensor, State]:
        return 100 * self.weight.sum(), ()


def test_bfloat16_trains_and_resumes(tmp_path: Path) -> None:
    settings = config(steps=12, precision="bfloat16", checkpoint_every=5, log_every=2)
    batches = text_batches(tokens(), settings)
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        with pytest.raises(InputError, match="bfloat16"):
            train(model(), batches, settings)
        return
    trained, plain = model(), model()
    train(trained, batches, settings, run=Run(tmp_path / "whole"))
    train(plain, batches, config(steps=12))
    assert trained.output.weight.dtype == torch.float32
    distance = (trained.output.weight - plain.output.weight).abs().max()
    assert 0 < distance < 0.05
    with pytest.raises(Stop):
        train(model(), batches, settings, run=Run(tmp_path / "parts"), on_progress=stop_at(8))
    train(model(), batches, settings, run=Run(tmp_path / "parts"))
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_bfloat16_is_refused_with_the_reason() -> None:
    settings = config(precision="bfloat16")
    with pytest.raises(InputError, match=r"bfloat16.*meta"):
        train(model().to("meta"), text_batches(tokens(), settings), settings)


class Odd:
    """Batches whose targets are made odd."""

    per_epoch = 4

    def __init__(self, odd: Any) -> None:
        self._odd = odd

    def at(self, step: int) -> Any:
        batch = text_batches(tokens(400), config()).at(step)
        return replace(batch, targets=self._odd(batch.targets))

    def shard(self, rank: int, world: int) -> Odd:
        return self


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (
            lambda targets: targets.float(),
            r"targets of shape .* and type torch.float32: expected \(\d+, \d+\) integers",
        ),
        (lambda targets: targets[:2], r"targets of shape \(2, \d+\)"),
        (lambda targets: targets + 1000, "targets hold the id 1\\d\\d\\d: expected 0 to"),
        (
            lambda targets: torch.full_like(targets, -100),
            "the batch of step 1 has no targets: all are -100",
        ),
    ],
)
def test_targets_that_cannot_be_learnt_are_named(odd: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as refusal:
        train(model(), Odd(odd), config(steps=2, warmup_steps=0))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "odd", [lambda targets: targets.int(), lambda targets: targets.numpy()], ids=["int32", "array"]
)
def test_integers_of_any_kind_are_targets(odd: Any) -> None:
    settings, plain, other = config(steps=2, warmup_steps=0), model(), model()
    train(plain, text_batches(tokens(400), settings), settings)
    train(other, Odd(odd), settings)
    assert same(weights(plain), weights(other))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_callers_modes_do_not_hold_inside(mode: Any) -> None:
    settings, plain, other = config(steps=4, warmup_steps=0), model(), model()
    batches = text_batches(tokens(400), settings)
    train(plain, batches, settings, held_out=HELD_OUT)
    with mode():
        train(other, batches, settings, held_out=HELD_OUT)
        assert not torch.is_grad_enabled()
    assert same(weights(plain), weights(other))


def test_models_that_cannot_learn_and_arguments_that_are_others_are_refused() -> None:
    settings = config(steps=2, warmup_steps=0)
    batches = text_batches(tokens(400), settings)
    frozen = model().requires_grad_(False)
    with torch.inference_mode():
        unwatched = model()
    wrong: Any
    for wrong, said in (
        (frozen, "has no parameter to train"),
        (unwatched, r"was made under torch\.inference_mode\(\)"),
        (model().to("meta"), "is on the meta device"),
        (nn.Linear(2, 3), r"should be a longhold\.models\.SequenceModel, got Linear"),
    ):
        with pytest.raises(InputError, match=said):
            train(wrong, batches, settings)
    for wrong in (tokens(400), None, [1, 2]):
        with pytest.raises(InputError, match=r"batches should be addressed by step, such as text_batches"):
            train(model(), wrong, settings)
    for wrong in (None, {"steps": 2}):
        with pytest.raises(InputError, match=r"should be a longhold\.training\.TrainConfig"):
            train(model(), batches, wrong)
