"""`RNN` and `RNNCell`: drop-ins for torch.nn's."""

import torch
from torch import Tensor, nn

from longhold.cells import RNNRecurrence
from longhold.cells.rnn import NONLINEARITIES
from longhold.layers.base import RecurrentLayer
from longhold.layers.cell import RecurrentCell
from longhold.layers.init import Initialization
from longhold.layers.parameters import Extras, Shape, refuse_projection
from longhold.layers.trace import RNNTrace


class RNN(RecurrentLayer[Tensor, RNNTrace]):
    """The Elman network, a drop-in for `torch.nn.RNN`.

        h_t = act(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh)

    Arguments before the star are torch.nn's, in its order; see there.

    Arguments after the star, all off by default:
        layer_norm: normalize the input's and the recurrent product before their biases (Ba et al. 2016).
        recurrent_dropout: rate at which units of h are dropped where h enters the recurrent product, one mask per call
            for all steps (Gal and Ghahramani 2016).
        zoneout: rate at which units keep their previous h (Krueger et al. 2017); its expectation in evaluation.
        weight_dropout: rate at which entries of weight_hh are dropped, one mask per call (Merity et al. 2018).
        learn_initial_state: the state before the first step, and after a reset, is a parameter `h_0_l0` ...
        locked_dropout: `dropout` between layers draws one mask per row for all steps of a call (Gal and Ghahramani
            2016), instead of one for each step.
        init: an initialization from `longhold.init`; default torch's uniform.
        proj_size: refused unless 0, as in torch.nn; only the LSTM has a projection.
    """

    torch_class = nn.RNN

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
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
        super().__init__(RNNRecurrence(check_nonlinearity(nonlinearity)), shape, extras, device, dtype)
        self.nonlinearity = nonlinearity

    @property
    def mode(self) -> str:
        return f"RNN_{self.nonlinearity.upper()}"

    def _hidden(self, fields: tuple[Tensor, ...]) -> Tensor:
        return fields[0]

    def _hidden_fields(self, hx: Tensor) -> tuple[Tensor, ...]:
        return (hx,)

    def _make_trace(
        self, output: Tensor, state: Tensor, states: tuple[Tensor, ...], gates: tuple[Tensor, ...]
    ) -> RNNTrace:
        return RNNTrace(output, state, *states)

    def extra_repr(self) -> str:
        text = super().extra_repr()
        return text if self.nonlinearity == "tanh" else f"{text}, nonlinearity={self.nonlinearity}"


class RNNCell(RecurrentCell[Tensor]):
    """One step of the Elman network, a drop-in for `torch.nn.RNNCell`; `layer_norm` and `init` as in `RNN`."""

    torch_class = nn.RNNCell

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        layer_norm: bool = False,
        init: Initialization | None = None,
    ) -> None:
        shape = Shape(input_size, hidden_size, bias=bias)
        extras = Extras(layer_norm=layer_norm, init=init)
        super().__init__(RNNRecurrence(check_nonlinearity(nonlinearity)), shape, extras, device, dtype)
        self.nonlinearity = nonlinearity

    def _hidden(self, fields: tuple[Tensor, ...]) -> Tensor:
        return fields[0]

    def _hidden_fields(self, hx: Tensor) -> tuple[Tensor, ...]:
        return (hx,)

    def extra_repr(self) -> str:
        text = super().extra_repr()
        return text if self.nonlinearity == "tanh" else f"{text}, nonlinearity={self.nonlinearity}"


def check_nonlinearity(name: str) -> str:
    """The name, or torch's ValueError."""
    if name not in NONLINEARITIES:
        raise ValueError(f"Unknown nonlinearity '{name}'. Select from 'tanh' or 'relu'.")
    return name
