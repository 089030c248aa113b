"""A training step against gradients written out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from longhold.training.step import take_step


@pytest.mark.parametrize("clip_norm", [None, 0.5, 100.0])
def test_the_gradients_of_all_losses_add_up(clip_norm: float | None) -> None:
    weight = nn.Parameter(torch.tensor([1.0, 2.0], dtype=torch.float64))
    weight.grad = torch.full_like(weight, 9.0)  # of a step before
    optimizer = torch.optim.SGD([weight], lr=123.0)
    step = take_step(optimizer, [(weight**2).sum(), 3 * weight[0]], lr=0.1, clip_norm=clip_norm)
    gradient = torch.tensor([5.0, 4.0], dtype=torch.float64)
    norm = 41**0.5
    scale = 1.0 if clip_norm is None else min(1.0, clip_norm / norm)
    torch.testing.assert_close(
        weight.detach(), torch.tensor([1.0, 2.0], dtype=torch.float64) - 0.1 * scale * gradient, rtol=1e-5, atol=0
    )
    assert [float(loss) for loss in step.losses] == [5.0, 3.0]
    assert not any(loss.requires_grad for loss in step.losses)
    assert float(step.grad_norm) == pytest.approx(norm)


def test_a_loss_is_differentiated_before_the_next_is_computed() -> None:
    weight = nn.Parameter(torch.ones(()))
    seen: list[Tensor | None] = []

    def losses() -> Iterator[Tensor]:
        for _ in range(3):
            seen.append(None if weight.grad is None else weight.grad.clone())
            yield 2 * weight

    take_step(torch.optim.SGD([weight], lr=1.0), losses(), lr=1.0, clip_norm=None)
    assert seen == [None, 2.0, 4.0]


def test_without_losses_the_weights_stay() -> None:
    weight = nn.Parameter(torch.ones(2))
    step = take_step(torch.optim.SGD([weight], lr=1.0), [], lr=1.0, clip_norm=1.0)
    assert step.losses == ()
    assert weight.tolist() == [1.0, 1.0]
