"""The gated recurrent unit (Cho et al. 2014), one step, in both its forms."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from longhold.cells.recurrence import Recurrence, product


class GRUState(NamedTuple):
    """The state of a GRU: the hidden state, (B, H)."""

    h: Tensor


class GRUGates(NamedTuple):
    """The gates after their activations, each (B, H)."""

    r: Tensor
    """reset gate"""
    z: Tensor
    """update gate; 1 keeps the old state"""
    n: Tensor
    """candidate state"""


class GRUWeights(NamedTuple):
    """The recurrent parameters of one layer and direction, rows in the order r, z, n."""

    weight_hh: Tensor
    """(3H, H)"""
    bias_hh: Tensor | None = None
    """(3H,)"""
    weight_norm_hh: Tensor | None = None
    """(3H,), the gain of layer norm on the recurrent product, over r and z together and over n."""


def gru_step(
    gates_x: Tensor, state: GRUState, weights: GRUWeights, *, reset_after: bool = True, mask_h: Tensor | None = None
) -> tuple[GRUState, GRUGates]:
    """One step of the GRU.

        r = sigmoid(x_r + W_hr h + b_hr)
        z = sigmoid(x_z + W_hz h + b_hz)
        n = tanh(x_n + r * (W_hn h + b_hn))      reset_after=True, as torch and cuDNN
        n = tanh(x_n + W_hn (r * h) + b_hn)      reset_after=False, as Cho et al. 2014
        h' = (1 - z) * n + z * h

    `gates_x` is (B, 3H), the input projection x_r, x_z, x_n. `mask_h` (B, H), recurrent dropout, multiplies h in the
    products only. With `weight_norm_hh` each recurrent product is layer-normalized before its bias (Ba et al. 2016,
    equations 22 to 24).
    """
    hidden = state.h.shape[-1]
    h = state.h if mask_h is None else state.h * mask_h
    x_rz, x_n = torch.split(gates_x, [2 * hidden, hidden], dim=-1)
    if reset_after:
        gates_h = product(h, weights.weight_hh, weights.bias_hh, weights.weight_norm_hh, (2 * hidden, hidden))
        h_rz, h_n = torch.split(gates_h, [2 * hidden, hidden], dim=-1)
        r, z = torch.sigmoid(x_rz + h_rz).chunk(2, dim=-1)
        n = torch.tanh(x_n + r * h_n)
    else:
        of_rz, of_n = _split_weights(weights, hidden)
        r, z = torch.sigmoid(x_rz + product(h, *of_rz, (2 * hidden,))).chunk(2, dim=-1)
        n = torch.tanh(x_n + product(r * h, *of_n, (hidden,)))
    return GRUState(n + z * (state.h - n)), GRUGates(r, z, n)


def _split_weights(weights: GRUWeights, hidden: int) -> tuple[GRUWeights, GRUWeights]:
    def rows(part: slice) -> GRUWeights:
        bias, gain = (None if w is None else w[part] for w in (weights.bias_hh, weights.weight_norm_hh))
        return GRUWeights(weights.weight_hh[part], bias, gain)

    return rows(slice(None, 2 * hidden)), rows(slice(2 * hidden, None))


@dataclass(frozen=True)
class GRURecurrence(Recurrence):
    """The GRU as the loop over time sees it."""

    reset_after: bool = True
    state_names: ClassVar[tuple[str, ...]] = ("h",)

    @property
    def gate_names(self) -> tuple[str, ...]:
        return ("r", "z", "n")

    def norm_groups(self, hidden_size: int) -> tuple[int, ...]:
        return (2 * hidden_size, hidden_size)

    def make_state(self, *fields: Tensor) -> GRUState:
        return GRUState(*fields)

    def step(
        self, gates_x: Tensor, state: GRUState, weights: GRUWeights, mask_h: Tensor | None
    ) -> tuple[GRUState, GRUGates]:
        return gru_step(gates_x, state, weights, reset_after=self.reset_after, mask_h=mask_h)
