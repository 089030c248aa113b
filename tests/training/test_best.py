"""The lowest loss and the weights that had it, which later steps do not touch."""

from __future__ import annotations

import math

import torch
from torch import nn

from longhold.training.best import Best


def filled(model: nn.Module, value: float) -> nn.Module:
    for parameter in model.parameters():
        nn.init.constant_(parameter, value)
    return model


def test_the_first_of_the_lowest_is_kept() -> None:
    model, best = nn.Linear(2, 3), Best()
    losses = [2.0, 1.0, 1.0, 3.0, math.nan]
    taken = [best.offer(loss, step, filled(model, step)) for step, loss in enumerate(losses)]
    assert taken == [True, True, False, False, False]
    assert (best.loss, best.step) == (1.0, 1)
    assert best.restore(model)
    assert all(torch.equal(tensor, torch.ones_like(tensor)) for tensor in model.state_dict().values())


def test_without_weights_nothing_is_restored() -> None:
    model, best = filled(nn.Linear(2, 3), 5.0), Best()
    assert best.offer(1.0, 7, model, keep=False)
    assert (best.loss, best.step, best.weights) == (1.0, 7, None)
    assert not best.restore(model)
    assert model.weight[0, 0].item() == 5.0
