"""Optimizers against the update rules written out; clipping against its formula."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from longhold.training import TrainConfig
from longhold.training.optim import build_optimizer, clip_gradients, set_learning_rate


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
