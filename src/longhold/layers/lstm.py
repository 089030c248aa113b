"""`LSTM` and `LSTMCell`: drop-ins for torch.nn's."""

from typing import Any

import torch
from torch import Tensor, nn

from longhold.cells import LSTMGates, LSTMRecurrence
from longhold.layers.base import RecurrentLayer
from longhold.layers.cell import RecurrentCell
from longhold.layers.init import Initialization
from longhold.layers.parameters import Extras, Shape
from longhold.layers.trace import LSTMTrace

Hidden = tuple[Tensor, Tensor]


class LSTM(RecurrentLayer[Hidden, LSTMTrace]):
    """Long short-term memory (Hochreiter and Schmidhuber 1997, Gers et al. 2000), a drop-in for `torch.nn.LSTM`.

        i_t = sigmoid(W_ii x_t + b_ii + W_hi h_(t-1) + b_hi)
        f_t = sigmoid(W_if x_t + b_if + W_hf h_(t-1) + b_hf)
        g_t = tanh(W_ig x_t + b_ig + W_hg h_(t-1) + b_hg)
        o_t = sigmoid(W_io x_t + b_io + W_ho h_(t-1) + b_ho)
        c_t = f_t * c_(t-1) + i_t * g_t
        h_t = o_t * tanh(c_t)                              proj_size > 0: h_t = W_hr (o_t * tanh(c_t))

    Arguments before the star are torch.nn's, in its order; see there.

    Arguments after the star, all off by default:
        peephole: i and f also see c_(t-1), o sees c_t, through `weight_peephole` (Gers et al. 2002).
        coupled_gates: f_t = 1 - i_t; the weights have blocks i, g, o (Greff et al. 2017).
        layer_norm: normalize the input's and the recurrent product over all gates before their biases, and the cell
            state inside h = o * tanh(c) (Ba et al. 2016).
        recurrent_dropout: rate at which units of h are dropped where h enters the recurrent product, one mask per call
            for all steps (Gal and Ghahramani 2016).
        zoneout: rate at which units keep their previous state, one rate or (h, c) (Krueger et al. 2017); its
            expectation in evaluation.
        weight_dropout: rate at which entries of weight_hh are dropped, one mask per call (Merity et al. 2018).
        learn_initial_state: the state before the first step, and after a reset, are parameters `h_0_l0`, `c_0_l0` ...
        locked_dropout: `dropout` between layers draws one mask per row for all steps of a call (Gal and Ghahramani
            2016), instead of one for each step.
        init: an initialization from `longhold.init`; default torch's uniform.
    """

    torch_class = nn.LSTM

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        peephole: bool = False,
        coupled_gates: bool = False,
        layer_norm: bool = False,
        recurrent_dropout: float = 0.0,
        zoneout: float | tuple[float, float] = 0.0,
        weight_dropout: float = 0.0,
        learn_initial_state: bool = False,
        locked_dropout: bool = False,
        init: Initialization | None = None,
    ) -> None:
        shape = Shape(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size)
        rates = zoneout if isinstance(zoneout, tuple) else (zoneout, zoneout)
        if len(rates) != 2:
            raise ValueError(f"zoneout should be one rate or (h, c), got {zoneout!r}")
        extras = Extras(
            layer_norm, recurrent_dropout, rates, weight_dropout, learn_initial_state, peephole, init, locked_dropout
        )
        super().__init__(LSTMRecurrence(coupled_gates), shape, extras, device, dtype)
        self.coupled_gates = coupled_gates

    @property
    def mode(self) -> str:
        return "LSTM"

    def _hidden(self, fields: tuple[Tensor, ...]) -> Hidden:
        return fields[0], fields[1]

    def _hidden_fields(self, hx: Hidden) -> tuple[Tensor, ...]:
        return check_pair(hx)

    def _make_trace(
        self, output: Tensor, state: Hidden, states: tuple[Tensor, ...], gates: tuple[Tensor, ...]
    ) -> LSTMTrace:
        return LSTMTrace(output, state, states[0], states[1], LSTMGates(*gates))

    def extra_repr(self) -> str:
        return super().extra_repr() + (", coupled_gates=True" if self.coupled_gates else "")


class LSTMCell(RecurrentCell[Hidden]):
    """One step of the LSTM, a drop-in for `torch.nn.LSTMCell`; arguments after the star as in `LSTM`."""

    torch_class = nn.LSTMCell

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        peephole: bool = False,
        coupled_gates: bool = False,
        layer_norm: bool = False,
        init: Initialization | None = None,
    ) -> None:
        shape = Shape(input_size, hidden_size, bias=bias)
        extras = Extras(layer_norm=layer_norm, peephole=peephole, init=init)
        super().__init__(LSTMRecurrence(coupled_gates), shape, extras, device, dtype)
        self.coupled_gates = coupled_gates

    def _hidden(self, fields: tuple[Tensor, ...]) -> Hidden:
        return fields[0], fields[1]

    def _hidden_fields(self, hx: Hidden) -> tuple[Tensor, ...]:
        return check_pair(hx)


def check_pair(hx: Any) -> tuple[Tensor, Tensor]:
    """The pair (h, c), or torch's RuntimeError."""
    if not isinstance(hx, (tuple, list)) or len(hx) != 2:
        raise RuntimeError(f"the LSTM's hx should be a pair (h, c), got {type(hx).__name__}")
    return hx[0], hx[1]
