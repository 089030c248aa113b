"""Optimizers against the update rules written out; clipping against its formula; both in one pass against torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from longhold.training import TrainConfig
from longhold.training.optim import build_optimizer, clip_and_step, clip_gradients, set_learning_rate


class Two(nn.Module):
    """A matrix, a vector and one that is frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.tensor([[1.0, -2.0]]))
        self.vector = nn.Parameter(torch.tensor([3.0]))
        self.frozen = nn.Parameter(torch.ones(2, 2), requires_grad=False)


def stepped(config: TrainConfig, gradients: list[float], lr: float) -> Two:
    model = Two()
    optimizer = build_optimizer(model, config)
    set_learning_rate(optimizer, lr)
    for gradient in gradients:
        model.matrix.grad = torch.full((1, 2), gradient)
        model.vector.grad = torch.full((1,), gradient)
        optimizer.step()
    return model


def test_sgd_with_momentum_decays_matrices_only() -> None:
    model = stepped(TrainConfig(optimizer="sgd", momentum=0.5, weight_decay=0.1, lr=9), [2.0, 1.0], lr=0.25)
    vector, velocity = 3.0, 0.0
    entry, speed = -2.0, 0.0
    for gradient in (2.0, 1.0):
        velocity = 0.5 * velocity + gradient
        vector -= 0.25 * velocity
        speed = 0.5 * speed + gradient + 0.1 * entry
        entry -= 0.25 * speed
    assert model.vector.item() == pytest.approx(vector)
    assert model.matrix[0, 1].item() == pytest.approx(entry)


def test_adamw_decays_matrices_only() -> None:
    model = stepped(TrainConfig(betas=(0.8, 0.9), weight_decay=0.3, lr=9), [2.0, -1.0], lr=0.01)
    first = second = 0.0
    vector, entry = 3.0, -2.0
    for time, gradient in enumerate((2.0, -1.0), start=1):
        first = 0.8 * first + 0.2 * gradient
        second = 0.9 * second + 0.1 * gradient**2
        move = 0.01 * (first / (1 - 0.8**time)) / (math.sqrt(second / (1 - 0.9**time)) + 1e-8)
        vector -= move
        entry = entry * (1 - 0.01 * 0.3) - move
    assert model.vector.item() == pytest.approx(vector)
    assert model.matrix[0, 1].item() == pytest.approx(entry)
    assert torch.equal(model.frozen, torch.ones(2, 2))


@pytest.mark.parametrize(
    ("max_norm", "expected"), [(None, [3.0, 0.0, 4.0]), (2.5, [1.5, 0.0, 2.0]), (7.0, [3.0, 0.0, 4.0])]
)
def test_clipping(max_norm: float | None, expected: list[float]) -> None:
    model = Two()
    model.matrix.grad, model.vector.grad = torch.tensor([[3.0, 0.0]]), torch.tensor([4.0])
    assert clip_gradients(model.parameters(), max_norm).item() == pytest.approx(5.0)
    found = [*model.matrix.grad[0].tolist(), model.vector.grad.item()]
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("max_norm", [None, 1.0])
def test_a_norm_that_is_not_finite_is_reported(max_norm: float | None) -> None:
    model = Two()
    model.vector.grad = torch.tensor([math.inf])
    assert not clip_gradients(model.parameters(), max_norm).isfinite()


def test_no_gradients_have_norm_zero() -> None:
    assert clip_gradients(Two().parameters(), None).item() == 0
    assert clip_gradients(Two().parameters(), 1.0).item() == 0


def network(dtype: torch.dtype) -> nn.Module:
    """Several shapes, one parameter without gradient and one frozen."""
    torch.manual_seed(4)
    model = nn.Sequential(nn.Linear(5, 130), nn.LayerNorm(130), nn.Linear(130, 3), nn.Linear(2, 2)).to(dtype)
    model[2].bias.requires_grad_(False)
    return model


def gradients_of(model: nn.Module, step: int, scale: float = 1.0) -> None:
    generator = torch.Generator().manual_seed(step)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and not name.startswith("3"):
            drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.grad = (scale * drawn).to(parameter.dtype)


RULES: list[dict[str, Any]] = [
    {"optimizer": "sgd", "lr": 0.5},
    {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.1},
    {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.1, "betas": (0.8, 0.99)},
]


def run_with_torch(model: nn.Module, optimizer: torch.optim.Optimizer, max_norm: float | None) -> torch.Tensor:
    norm = clip_gradients(model.parameters(), max_norm)
    optimizer.step()
    return norm


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["optimizer"])
@pytest.mark.parametrize("max_norm", [None, 1.0, 1e6])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-6)])
def test_one_pass_is_torchs_clipping_and_step(
    rule: dict[str, Any], max_norm: float | None, dtype: torch.dtype, tolerance: float
) -> None:
    ours, theirs = network(dtype), network(dtype)
    config = TrainConfig(**rule)
    optimizers = [build_optimizer(model, config) for model in (ours, theirs)]
    for step in range(6):
        for model, optimizer in zip((ours, theirs), optimizers, strict=True):
            set_learning_rate(optimizer, config.lr / (1 + step))
            gradients_of(model, step)
        before = [p.grad.clone() for p in ours.parameters() if p.grad is not None]
        norms = clip_and_step(optimizers[0], max_norm), run_with_torch(theirs, optimizers[1], max_norm)
        after = [p.grad for p in ours.parameters() if p.grad is not None]
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True)), "it was not done in one pass"
        torch.testing.assert_close(*norms, rtol=tolerance, atol=0)
        for (name, value), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(value, other, rtol=tolerance, atol=tolerance, msg=f"{name} after {step}")
    states = [optimizer.state_dict() for optimizer in optimizers]
    assert states[0]["param_groups"] == states[1]["param_groups"]
    assert states[0]["state"].keys() == states[1]["state"].keys()
    for number, entries in states[0]["state"].items():
        assert entries.keys() == states[1]["state"][number].keys()
        for key, value in entries.items():
            torch.testing.assert_close(value, states[1]["state"][number][key], rtol=tolerance, atol=tolerance, msg=key)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["optimizer"])
def test_torch_goes_on_from_its_state_and_the_other_way(rule: dict[str, Any]) -> None:
    ours, theirs = network(torch.float64), network(torch.float64)
    optimizers = [build_optimizer(model, TrainConfig(**rule)) for model in (ours, theirs)]
    for step in range(6):
        gradients_of(ours, step)
        gradients_of(theirs, step)
        if step % 2:
            clip_and_step(optimizers[0], 1.0)
        else:
            run_with_torch(ours, optimizers[0], 1.0)
        run_with_torch(theirs, optimizers[1], 1.0)
    for value, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(value, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["optimizer"])
@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_broken_gradients_break_the_weights_as_torchs_do(rule: dict[str, Any], broken: float) -> None:
    found = []
    for run in ("ours", "torch"):
        model = network(torch.float32)
        optimizer = build_optimizer(model, TrainConfig(**rule))
        gradients_of(model, 0)
        model[0].weight.grad[2, 1] = broken
        norm = clip_and_step(optimizer, 1.0) if run == "ours" else run_with_torch(model, optimizer, 1.0)
        assert not norm.isfinite()
        found.append([p.detach().isnan() for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["optimizer"])
def test_gradients_of_zero_and_none_at_all(rule: dict[str, Any]) -> None:
    model = network(torch.float32)
    optimizer = build_optimizer(model, TrainConfig(**{**rule, "weight_decay": 0.0}))
    before = [p.detach().clone() for p in model.parameters()]
    assert clip_and_step(optimizer, 1.0).item() == 0
    gradients_of(model, 0, scale=0.0)
    assert clip_and_step(optimizer, 1.0).item() == 0
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def hooked(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    optimizer.register_step_pre_hook(lambda given, *_: setattr(given, "hook_ran", True))
    return optimizer


OTHERS: dict[str, Callable[[list[nn.Parameter]], torch.optim.Optimizer]] = {
    "hook": hooked,
    "nesterov": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True),
    "dampening": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, dampening=0.5),
    "maximize": lambda parameters: torch.optim.SGD(parameters, lr=0.1, maximize=True),
    "amsgrad": lambda parameters: torch.optim.AdamW(parameters, lr=0.1, amsgrad=True),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.1),
    "tensor lr": lambda parameters: torch.optim.SGD(parameters, lr=torch.tensor(0.1)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_one_pass_does_not_know_is_torchs(name: str) -> None:
    found = []
    for run in ("ours", "torch"):
        model = network(torch.float32)
        optimizer = OTHERS[name]([p for p in model.parameters() if p.requires_grad])
        for step in range(3):
            gradients_of(model, step)
            clip_and_step(optimizer, 1.0) if run == "ours" else run_with_torch(model, optimizer, 1.0)
        found.append(list(model.parameters()))
        assert name != "hook" or optimizer.hook_ran
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_half_precision_and_transposed_gradients_are_torchs() -> None:
    for dtype, turned in ((torch.bfloat16, False), (torch.float32, True)):
        found = []
        for run in ("ours", "torch"):
            model = network(dtype)
            optimizer = build_optimizer(model, TrainConfig(optimizer="sgd", lr=0.5))
            gradients_of(model, 0)
            if turned:
                model[0].weight.grad = model[0].weight.grad.T.contiguous().T
            clip_and_step(optimizer, 1.0) if run == "ours" else run_with_torch(model, optimizer, 1.0)
            found.append(list(model.parameters()))
        assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
