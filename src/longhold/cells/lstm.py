"""Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate by Gers et al. 2000), one step."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from longhold.cells.recurrence import NORM_EPS, Recurrence, product


class LSTMState(NamedTuple):
    """The state of an LSTM."""

    h: Tensor
    """hidden state, (B, P): P = H without a projection"""
    c: Tensor
    """cell state, (B, H)"""


class LSTMGates(NamedTuple):
    """The gates after their activations, each (B, H)."""

    i: Tensor
    """input gate"""
    f: Tensor
    """forget gate; 1 keeps the old cell state"""
    g: Tensor
    """candidate"""
    o: Tensor
    """output gate"""


class LSTMWeights(NamedTuple):
    """The recurrent parameters of one layer and direction, rows in the order i, f, g, o (coupled: i, g, o)."""

    weight_hh: Tensor
    """(4H, P); coupled (3H, P)"""
    bias_hh: Tensor | None = None
    """(4H,); coupled (3H,)"""
    weight_hr: Tensor | None = None
    """(P, H), the projection of the hidden state (Sak et al. 2014)"""
    weight_peephole: Tensor | None = None
    """(3H,) for i, f, o; coupled (2H,) for i, o (Gers et al. 2002)"""
    weight_norm_hh: Tensor | None = None
    """(4H,), the gain of layer norm on the recurrent product; coupled (3H,)"""
    weight_norm_c: Tensor | None = None
    """(H,), the gain of the layer norm of c inside h = o * tanh(c)"""
    bias_norm_c: Tensor | None = None
    """(H,), its shift"""


def lstm_step(
    gates_x: Tensor, state: LSTMState, weights: LSTMWeights, *, coupled: bool = False, mask_h: Tensor | None = None
) -> tuple[LSTMState, LSTMGates]:
    """One step of the LSTM.

        i = sigmoid(x_i + W_hi h + b_hi [+ p_i * c])
        f = sigmoid(x_f + W_hf h + b_hf [+ p_f * c])      coupled: f = 1 - i  (Greff et al. 2017)
        g = tanh(x_g + W_hg h + b_hg)
        c' = f * c + i * g
        o = sigmoid(x_o + W_ho h + b_ho [+ p_o * c'])
        h' = [W_hr] (o * tanh([LN] c'))

    `gates_x` is (B, 4H), the input projection (coupled (B, 3H)). Peephole, projection and layer norm are there when
    their weights are. With `weight_norm_hh` the recurrent product is layer-normalized over all gates together before
    its bias (Ba et al. 2016, equations 20 to 22); the carried cell state is never normalized. `mask_h` (B, P) is
    recurrent dropout, applied to h where it enters the product.
    """
    h = state.h if mask_h is None else state.h * mask_h
    width = gates_x.shape[-1]
    gates = gates_x + product(h, weights.weight_hh, weights.bias_hh, weights.weight_norm_hh, (width,))
    if coupled:
        i, g, o = gates.chunk(3, dim=-1)
        f = None
    else:
        i, f, g, o = gates.chunk(4, dim=-1)
    peepholes = () if weights.weight_peephole is None else weights.weight_peephole.chunk(2 if coupled else 3)
    i = torch.sigmoid(i + peepholes[0] * state.c if peepholes else i)
    f = 1 - i if f is None else torch.sigmoid(f + peepholes[1] * state.c if peepholes else f)
    g = torch.tanh(g)
    c = f * state.c + i * g
    o = torch.sigmoid(o + peepholes[-1] * c if peepholes else o)
    c_norm = c
    if weights.weight_norm_c is not None:
        c_norm = F.layer_norm(c, c.shape[-1:], weights.weight_norm_c, weights.bias_norm_c, NORM_EPS)
    h = o * torch.tanh(c_norm)
    return LSTMState(h if weights.weight_hr is None else F.linear(h, weights.weight_hr), c), LSTMGates(i, f, g, o)


@dataclass(frozen=True)
class LSTMRecurrence(Recurrence):
    """The LSTM as the loop over time sees it."""

    coupled: bool = False
    state_names: ClassVar[tuple[str, ...]] = ("h", "c")

    @property
    def gate_names(self) -> tuple[str, ...]:
        """i, f, g, o; without f where it is 1 - i."""
        return ("i", "g", "o") if self.coupled else ("i", "f", "g", "o")

    def norm_groups(self, hidden_size: int) -> tuple[int, ...]:
        return (len(self.gate_names) * hidden_size,)

    def make_state(self, *fields: Tensor) -> LSTMState:
        return LSTMState(*fields)

    def step(
        self, gates_x: Tensor, state: LSTMState, weights: LSTMWeights, mask_h: Tensor | None
    ) -> tuple[LSTMState, LSTMGates]:
        return lstm_step(gates_x, state, weights, coupled=self.coupled, mask_h=mask_h)
