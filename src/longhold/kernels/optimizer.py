"""The norm of all gradients, and clipping with the optimizer's update in one walk over the numbers, in C++."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, final

import torch
from torch import Tensor

from longhold.kernels.addresses import hand_over, is_plain, overlap
from longhold.kernels.extension import loaded, why_missing
from longhold.kernels.operators import DTYPES


@final
class Leaf(NamedTuple):
    """A parameter with what its update reads and writes; all of one shape and type, dense, on the CPU."""

    value: Tensor
    gradient: Tensor
    rates: tuple[float, ...]
    """SGD: lr, weight decay, momentum. AdamW: lr, weight decay, both betas, eps, and the step's number from 1."""
    first: Tensor | None = None
    """SGD: the momentum buffer, or None without momentum. AdamW: the mean of gradients."""
    second: Tensor | None = None
    """AdamW: the mean of their squares."""


def takes(leaves: Sequence[Leaf]) -> bool:
    """Whether the extension is there and can update these: one type, float32 or float64, dense, on the CPU, apart."""
    return (
        why_missing() is None
        and len({leaf.value.dtype for leaf in leaves}) == 1
        and all(map(_is_plain, leaves))
        and not overlap([t for leaf in leaves for t in _written(leaf)], [leaf.gradient for leaf in leaves])
    )


def _is_plain(leaf: Leaf) -> bool:
    dtype, shape = leaf.value.dtype, leaf.value.shape
    tensors = (leaf.gradient, *_written(leaf))
    return dtype in DTYPES and all(t.dtype == dtype and t.shape == shape and is_plain(t) for t in tensors)


def _written(leaf: Leaf) -> list[Tensor]:
    return [tensor for tensor in (leaf.value, leaf.first, leaf.second) if tensor is not None]


def gradient_norm(leaves: Sequence[Leaf]) -> float:
    """The 2-norm of all gradients together, summed in float64 in the same order for any number of threads."""
    norm: float = _function("gradient_norm", leaves)(*_counts_and_addresses(leaves), torch.get_num_threads())
    return norm


def sgd(leaves: Sequence[Leaf], scale: float) -> None:
    """One step of stochastic gradient descent, in place, every gradient taken times `scale`.

        v <- momentum v + (scale g + weight_decay w),   w <- w - lr v

    Gradients are left as they are.
    """
    _update("sgd", leaves, scale)


def adamw(leaves: Sequence[Leaf], scale: float) -> None:
    """One step of AdamW (Loshchilov and Hutter 2019), in place, every gradient taken times `scale`.

        m <- b1 m + (1 - b1) scale g,   s <- b2 s + (1 - b2) (scale g)^2
        w <- (1 - lr weight_decay) w - lr (m / (1 - b1^t)) / (sqrt(s / (1 - b2^t)) + eps)

    Gradients are left as they are.
    """
    _update("adamw", leaves, scale)


def _update(name: str, leaves: Sequence[Leaf], scale: float) -> None:
    rates = [rate for leaf in leaves for rate in leaf.rates]
    _function(name, leaves)(*_counts_and_addresses(leaves), rates, scale, torch.get_num_threads())
    # written behind torch's back: a graph that has saved the old numbers must not use the new ones
    torch.autograd.graph.increment_version([leaf.value for leaf in leaves])


def _function(name: str, leaves: Sequence[Leaf]) -> Callable[..., float]:
    function: Callable[..., float] = getattr(loaded(), f"{name}_{DTYPES[leaves[0].value.dtype]}")
    return function


def _counts_and_addresses(leaves: Sequence[Leaf]) -> tuple[list[int], list[int]]:
    tensors = [tensor for leaf in leaves for tensor in (leaf.value, leaf.gradient, leaf.first, leaf.second)]
    return [leaf.value.numel() for leaf in leaves], hand_over(tensors)
