"""The Elman network (Elman 1990), one step."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from longhold.cells.recurrence import Recurrence, product

NONLINEARITIES = {"tanh": torch.tanh, "relu": torch.relu}


class RNNState(NamedTuple):
    """The state of an RNN: the hidden state, (B, H)."""

    h: Tensor


class RNNWeights(NamedTuple):
    """The recurrent parameters of one layer and direction."""

    weight_hh: Tensor
    """(H, H)"""
    bias_hh: Tensor | None = None
    """(H,)"""
    weight_norm_hh: Tensor | None = None
    """(H,), the gain of layer norm on the recurrent product."""


def rnn_step(
    gates_x: Tensor, state: RNNState, weights: RNNWeights, *, nonlinearity: str = "tanh", mask_h: Tensor | None = None
) -> RNNState:
    """One step of the Elman network.

        h' = act(gates_x + W_hh (mask_h * h) + b_hh)

    `gates_x` is (B, H), the input projection `W_ih x + b_ih`; `act` is tanh or relu. With `weight_norm_hh` the
    recurrent product is layer-normalized first. `mask_h` (B, H) is recurrent dropout.
    """
    h = state.h if mask_h is None else state.h * mask_h
    gates_h = product(h, weights.weight_hh, weights.bias_hh, weights.weight_norm_hh, (h.shape[-1],))
    return RNNState(NONLINEARITIES[nonlinearity](gates_x + gates_h))


@dataclass(frozen=True)
class RNNRecurrence(Recurrence):
    """The RNN as the loop over time sees it."""

    nonlinearity: str = "tanh"
    state_names: ClassVar[tuple[str, ...]] = ("h",)

    @property
    def gate_names(self) -> tuple[str, ...]:
        """One block: the hidden state itself."""
        return ("h",)

    def norm_groups(self, hidden_size: int) -> tuple[int, ...]:
        return (hidden_size,)

    def make_state(self, *fields: Tensor) -> RNNState:
        return RNNState(*fields)

    def step(
        self, gates_x: Tensor, state: RNNState, weights: RNNWeights, mask_h: Tensor | None
    ) -> tuple[RNNState, tuple[Tensor, ...]]:
        return rnn_step(gates_x, state, weights, nonlinearity=self.nonlinearity, mask_h=mask_h), ()
