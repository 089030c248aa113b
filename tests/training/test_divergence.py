"""Trainings that diverge: what is seen, what is kept, what may follow."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from longhold.errors import InputError
from longhold.models.contract import SequenceModel, State
from longhold.training import Diverged, Run, TrainConfig, TrainResult, text_batches, train
from longhold.training.divergence import divergence
from longhold.training.stopping import FAR
from tests.training.program import HELD_OUT, VOCABULARY, config, model, tokens

CHANCE = math.log(VOCABULARY)


@pytest.mark.parametrize(
    ("settings", "blamed", "advice"),
    [
        ({"lr": 1000.0, "weight_decay": 0.01}, "(learning rate 1000)", "lower lr such as 0.003"),
        ({"lr": 0.004}, "(learning rate 0.004)", "lower lr such as 0.0004"),
        ({"lr": 5.0, "optimizer": "sgd"}, "(learning rate 5)", "lower lr such as 0.5"),
        ({"lr": 0.004, "weight_decay": 1e6}, "weight_decay 1e+06)", "smaller weight_decay such as 0.01"),
        ({"lr": 1000.0, "weight_decay": 1.0}, "(learning rate 1000)", "lower lr"),
    ],
)
def test_the_line_names_the_setting(settings: dict[str, Any], blamed: str, advice: str) -> None:
    line = divergence("it rose", TrainConfig(**settings))
    assert line.startswith("diverged: it rose (")
    assert blamed in line
    assert advice in line
    assert "\n" not in line


def trained(trained: SequenceModel, run: Run | None = None, **changes: Any) -> TrainResult:
    given = {"schedule": "constant", "warmup_steps": 0, "evaluate_every": 2, "steps": 20, **changes}
    settings = config(**given)
    batches = text_batches(tokens(), settings)
    return train(trained, batches, settings, held_out=HELD_OUT, run=run, chance=CHANCE)


@pytest.mark.parametrize("lr", [300.0, 1e5])
def test_a_loss_that_stays_above_chance_ends_the_run(lr: float, tmp_path: Path) -> None:
    run = Run(tmp_path)
    with pytest.raises(Diverged, match=r"bits per token at step \d, a uniform guess has 4.1 \(learning rate") as caught:
        trained(model(), run, lr=lr, checkpoint_every=1)
    assert isinstance(caught.value, InputError)
    assert not run.checkpoint_path.exists()  # nothing there is of use
    assert trained(model(), run, lr=1e-2).diverged is None  # and nothing binds who takes other settings


def test_a_last_evaluation_above_chance_is_enough_where_there_was_none_below() -> None:
    with pytest.raises(Diverged, match="at step 1,"):
        trained(model(), lr=1e4, steps=1, evaluate_every=None)
    assert trained(model(), lr=1e-2, steps=1, evaluate_every=None).diverged is None


class Failing(SequenceModel):
    """Learns for some calls in training, and then its loss is another one."""

    def __init__(self, calls: int, scale: float) -> None:
        super().__init__()
        self.inner, self.calls, self.scale = model(dropout=0.0), calls, scale

    def forward(
        self, inputs: torch.Tensor, state: State | None = None, reset: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, State]:
        outputs, state = self.inner(inputs, state, reset)
        self.calls -= self.training
        return (outputs if self.calls >= 0 else outputs * self.scale), state

    def initial_state(self, batch: int) -> State:
        return self.inner.initial_state(batch)


@pytest.mark.parametrize("scale", [math.nan, math.inf, -1e4])
def test_the_weights_of_the_best_evaluation_are_kept(scale: float, tmp_path: Path) -> None:
    plain, whole = Failing(100, scale), Failing(9, scale)
    trained(plain, steps=8)
    run = Run(tmp_path)
    result = trained(whole, run, steps=20)
    assert result.diverged is not None
    assert result.diverged.startswith("diverged: ")
    assert result.best_step == 8
    assert result.steps < 20
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, whole.state_dict()[name])

    again = Failing(0, scale)
    found = trained(again, run, steps=20)  # the same run: it is over, and ends alike
    assert (found.steps, found.best_step, found.held_out) == (result.steps, 8, result.held_out)
    assert found.diverged is not None
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in whole.state_dict().items())
    assert run.kept()[1].diverged

    other = trained(Failing(100, scale), run, steps=6, lr=1e-3)  # another plan may take its place
    assert (other.steps, other.diverged) == (6, None)


def test_one_evaluation_far_above_chance_is_no_divergence() -> None:
    losses = []

    class Faltering(Failing):
        def forward(self, *inputs: Any) -> tuple[torch.Tensor, State]:
            outputs, state = self.inner(*inputs)
            self.calls += self.training
            return (outputs * 0 - 50 * outputs.detach() if 7 <= self.calls <= 8 else outputs), state

    settings = config(schedule="constant", warmup_steps=0, evaluate_every=2, steps=20, log_every=1)
    batches = text_batches(tokens(), settings)
    result = train(
        Faltering(0, 1.0), batches, settings, held_out=HELD_OUT, chance=CHANCE,
        on_progress=lambda progress: losses.append(progress.held_out or 0.0),
    )  # fmt: skip
    assert max(losses) > FAR * CHANCE
    assert (result.steps, result.diverged) == (20, None)


def test_without_weights_to_keep_it_is_raised() -> None:
    settings = config(keep_best=False, schedule="constant", warmup_steps=0, evaluate_every=2)
    with pytest.raises(Diverged, match="became nan"):
        train(Failing(9, math.nan), text_batches(tokens(), settings), settings, held_out=HELD_OUT)


@pytest.mark.parametrize(
    "settings",
    [{"lr": 0}, {"lr": -1e-3}, {"lr": math.inf}, {"lr": math.nan}, {"momentum": 2, "optimizer": "sgd"},
     {"clip_norm": 0}, {"weight_decay": -1}, {"weight_decay": math.inf}, {"betas": (1.0, 0.9)}],
)  # fmt: skip
def test_what_can_never_train_is_refused_before(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(settings))):
        TrainConfig(**settings)
