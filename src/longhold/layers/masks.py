"""What is dropped during one call, drawn in Python from torch's generator and passed on as tensors."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LayerMasks:
    """The masks of one layer and direction; None where a rate is 0."""

    recurrent_dropout: Tensor | None = None
    """(B, P), 0 or 1 / (1 - rate): multiplies h where it enters the recurrent product"""
    zoneout_h: Tensor | None = None
    """(T, B, P) bool, true keeps the previous hidden state"""
    zoneout_c: Tensor | None = None
    """(T, B, H) bool, true keeps the previous cell state (LSTM)"""
    weight_dropout: Tensor | None = None
    """(G*H, P), 0 or 1 / (1 - rate): multiplies weight_hh"""


@dataclass(frozen=True)
class Masks:
    """The masks of one call of a layer, time-major whatever `batch_first` is."""

    layers: tuple[LayerMasks, ...]
    """one per layer and direction, in torch's order: l0, l0_reverse, l1 ..."""
    between: tuple[Tensor, ...] = ()
    """locked dropout: for each layer but the last (B, D*P), 0 or 1 / (1 - rate), multiplies its output at every step;
    empty where none is locked"""


def keep_mask(shape: tuple[int, ...], rate: float, like: Tensor) -> Tensor | None:
    """A scaled keep mask, 0 with probability `rate` and else 1 / (1 - rate); None when the rate is 0."""
    if rate == 0:
        return None
    probability = torch.full(shape, 1 - rate, device=like.device, dtype=like.dtype)
    return torch.bernoulli(probability) / (1 - rate)


def zone_mask(shape: tuple[int, ...], rate: float, like: Tensor) -> Tensor | None:
    """A bool mask, true with probability `rate`; None when the rate is 0."""
    if rate == 0:
        return None
    return torch.bernoulli(torch.full(shape, rate, device=like.device, dtype=torch.float32)).bool()
