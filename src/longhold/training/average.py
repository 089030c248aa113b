"""The mean of a model's weights over the steps of its training."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@torch.no_grad()
def take_into(average: dict[str, Tensor], model: nn.Module, count: int, decay: float | None) -> None:
    """Bring the weights of the `count`-th averaged step (from 1) into `average`, by parameter name.

        a_n = a_(n-1) + r (w_n - a_(n-1)),    r = 1/n, or max(1/n, 1 - decay)

    So the mean of all steps is plain, and the exponential one begins as plain and has no trace of where it began.
    """
    weights = dict(model.named_parameters())
    if count == 1:
        average.update({name: weight.detach().clone() for name, weight in weights.items()})
        return
    rate = 1 / count if decay is None else max(1 / count, 1 - decay)
    torch._foreach_lerp_(list(average.values()), [weights[name].detach() for name in average], rate)


@contextmanager
def in_place(average: dict[str, Tensor], model: nn.Module) -> Iterator[None]:
    """A block in which the model has the averaged weights; after it, its own to the bit."""
    weights = dict(model.named_parameters())
    own = {name: weight.detach().clone() for name, weight in weights.items()}
    _put(average, weights)
    try:
        yield
    finally:
        _put(own, weights)


@torch.no_grad()
def _put(values: dict[str, Tensor], weights: dict[str, nn.Parameter]) -> None:
    for name, weight in weights.items():
        weight.copy_(values[name])
