"""`GRU` and `GRUCell`: drop-ins for torch.nn's."""

import torch
from torch import Tensor, nn

from longhold.cells import GRUGates, GRURecurrence
from longhold.layers.base import RecurrentLayer
from longhold.layers.cell import RecurrentCell
from longhold.layers.init import Initialization
from longhold.layers.parameters import Extras, Shape, refuse_projection
from longhold.layers.trace import GRUTrace


class GRU(RecurrentLayer[Tensor, GRUTrace]):
    """The gated recurrent unit (Cho et al. 2014), a drop-in for `torch.nn.GRU`.

        r_t = sigmoid(W_ir x_t + b_ir + W_hr h_(t-1) + b_hr)
        z_t = sigmoid(W_iz x_t + b_iz + W_hz h_(t-1) + b_hz)
        n_t = tanh(W_in x_t + b_in + r_t * (W_hn h_(t-1) + b_hn))
        h_t = (1 - z_t) * n_t + z_t * h_(t-1)

    Arguments before the star are torch.nn's, in its order; see there.

    Arguments after the star:
        reset_after: True: the reset gate multiplies the product, as torch and cuDNN; False: it multiplies h before the
            product, as in the original paper, n_t = tanh(W_in x_t + b_in + W_hn (r_t * h_(t-1)) + b_hn).
        layer_norm: normalize the input's and the recurrent products before their biases, r and z together, n apart
            (Ba et al. 2016).
        recurrent_dropout: rate at which units of h are dropped where h enters the recurrent products, one mask per call
            for all steps (Gal and Ghahramani 2016).
        zoneout: rate at which units keep their previous h (Krueger et al. 2017); its expectation in evaluation.
        weight_dropout: rate at which entries of weight_hh are dropped, one mask per call (Merity et al. 2018).
        learn_initial_state: the state before the first step, and after a reset, is a parameter `h_0_l0` ...
        locked_dropout: `dropout` between layers draws one mask per row for all steps of a call (Gal and Ghahramani
            2016), instead of one for each step.
        init: an initialization from `longhold.init`; default torch's uniform.
        proj_size: refused unless 0, as in torch.nn; only the LSTM has a projection.
    """

    torch_class = nn.GRU

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        reset_after: bool = True,
        layer_norm: bool = False,
        recurrent_dropout: float = 0.0,
        zoneout: float = 0.0,
        weight_dropout: float = 0.0,
        learn_initial_state: bool = False,
        locked_dropout: bool = False,
        init: Initialization | None = None,
        proj_size: int = 0,
    ) -> None:
        refuse_projection(proj_size)
        shape = Shape(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional)
        extras = Extras(
            layer_norm,
            recurrent_dropout,
            (zoneout,),
            weight_dropout,
            learn_initial_state,
            init=init,
            locked_dropout=locked_dropout,
        )
        super().__init__(GRURecurrence(reset_after), shape, extras, device, dtype)
        self.reset_after = reset_after

    @property
    def mode(self) -> str:
        return "GRU"

    def _hidden(self, fields: tuple[Tensor, ...]) -> Tensor:
        return fields[0]

    def _hidden_fields(self, hx: Tensor) -> tuple[Tensor, ...]:
        return (hx,)

    def _make_trace(
        self, output: Tensor, state: Tensor, states: tuple[Tensor, ...], gates: tuple[Tensor, ...]
    ) -> GRUTrace:
        return GRUTrace(output, state, states[0], GRUGates(*gates))

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.reset_after else ", reset_after=False")


class GRUCell(RecurrentCell[Tensor]):
    """One step of the GRU, a drop-in for `torch.nn.GRUCell`; `reset_after`, `layer_norm` and `init` as in `GRU`."""

    torch_class = nn.GRUCell

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        reset_after: bool = True,
        layer_norm: bool = False,
        init: Initialization | None = None,
    ) -> None:
        shape = Shape(input_size, hidden_size, bias=bias)
        super().__init__(GRURecurrence(reset_after), shape, Extras(layer_norm=layer_norm, init=init), device, dtype)
        self.reset_after = reset_after

    def _hidden(self, fields: tuple[Tensor, ...]) -> Tensor:
        return fields[0]

    def _hidden_fields(self, hx: Tensor) -> tuple[Tensor, ...]:
        return (hx,)
