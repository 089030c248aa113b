"""Initializations by name. Each is a frozen dataclass; `layer.reset_parameters()` applies it.

    longhold.LSTM(64, 128, init=longhold.init.Chrono(max_lag=512))
    longhold.init.by_name("chrono:512")

Every one starts from torch's uniform, drawn in torch's order, so a seed gives the weights that torch.nn would have
wherever the initialization leaves them alone.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from longhold.cells import LSTMRecurrence, Recurrence, RNNRecurrence
from longhold.kernels import DirectionParameters


class Initialization(ABC):
    """Changes the freshly drawn parameters of one layer and direction."""

    def check(self, recurrence: Recurrence, bias: bool) -> None:  # noqa: B027
        """Raise ValueError where this initialization makes no sense for the cell."""

    @abstractmethod
    def apply(self, recurrence: Recurrence, parameters: DirectionParameters) -> None:
        """Write into the parameters, which hold torch's uniform."""


@dataclass(frozen=True)
class Uniform(Initialization):
    """torch's own: every weight and bias from U(-1/sqrt(H), 1/sqrt(H))."""

    def apply(self, recurrence: Recurrence, parameters: DirectionParameters) -> None:
        """Nothing to change."""


@dataclass(frozen=True)
class Tutorial(Initialization):
    """The tutorial's: weights from N(0, std^2), biases 0 (so the forget gate starts at 1/2)."""

    std: float = 0.01
    """standard deviation of the weights"""

    def apply(self, recurrence: Recurrence, parameters: DirectionParameters) -> None:
        """Redraw the matrices, clear the biases."""
        for weight in (parameters.weight_ih, parameters.weight_hh, parameters.weight_hr):
            if weight is not None:
                weight.normal_(0.0, self.std)
        for bias in (parameters.bias_ih, parameters.bias_hh):
            if bias is not None:
                bias.zero_()


class _GateBias(Initialization):
    """Sets what a gate's two biases add up to; needs gates and biases."""

    def check(self, recurrence: Recurrence, bias: bool) -> None:
        """Refuse the RNN, which has no gates, and layers without biases."""
        if isinstance(recurrence, RNNRecurrence):
            raise ValueError(f"{self} sets a gate's bias, and an RNN has no gates")
        if not bias:
            raise ValueError(f"{self} sets a gate's bias, and this layer was made with bias=False")

    def _set(self, recurrence: Recurrence, parameters: DirectionParameters, gate: str, value: Tensor | float) -> None:
        assert parameters.bias_ih is not None
        assert parameters.bias_hh is not None
        rows = gate_rows(recurrence, parameters, gate)
        parameters.bias_ih[rows] = value
        parameters.bias_hh[rows] = 0.0


@dataclass(frozen=True)
class ForgetBias(_GateBias):
    """The gate that keeps the state starts with this bias (Gers et al. 2000; Jozefowicz et al. 2015 advise 1).

    LSTM: the forget gate f (coupled: -bias on the input gate, since f = 1 - i). GRU: the update gate z, which keeps the
    state where it is 1.
    """

    bias: float = 1.0
    """what b_ih + b_hh of that gate is"""

    def apply(self, recurrence: Recurrence, parameters: DirectionParameters) -> None:
        """Set the gate's biases."""
        if not isinstance(recurrence, LSTMRecurrence):
            self._set(recurrence, parameters, "z", self.bias)
        elif recurrence.coupled:
            self._set(recurrence, parameters, "i", -self.bias)
        else:
            self._set(recurrence, parameters, "f", self.bias)


@dataclass(frozen=True)
class Chrono(_GateBias):
    """Time scales spread up to the longest lag that is expected (Tallec and Ollivier 2018).

        b_f = log u,  b_i = -log u,  u ~ U(1, max_lag - 1), one per unit

    A unit whose forget gate stands at sigmoid(log u) forgets with time constant -1 / log f, about u + 1/2 steps. GRU:
    b_z = log u, in torch's convention where z keeps. Coupled LSTM: b_i = -log u.
    """

    max_lag: float
    """longest lag expected, in steps; more than 2"""

    def __post_init__(self) -> None:
        if not self.max_lag > 2 or not math.isfinite(self.max_lag):
            raise ValueError(f"Chrono needs max_lag > 2, got {self.max_lag}")

    def apply(self, recurrence: Recurrence, parameters: DirectionParameters) -> None:
        """Draw one time scale per unit and set the gates' biases."""
        hidden = parameters.weight_hh.shape[0] // len(recurrence.gate_names)
        log_u = parameters.weight_hh.new_empty(hidden).uniform_(1.0, self.max_lag - 1.0).log()
        if not isinstance(recurrence, LSTMRecurrence):
            self._set(recurrence, parameters, "z", log_u)
            return
        self._set(recurrence, parameters, "i", -log_u)
        if not recurrence.coupled:
            self._set(recurrence, parameters, "f", log_u)


@dataclass(frozen=True)
class Orthogonal(Initialization):
    """Each gate's recurrent block is a random orthogonal matrix (Saxe et al. 2014).

    With a projection the (H, P) block has orthonormal columns. Input weights and biases stay torch's.
    """

    gain: float = 1.0
    """factor on the orthogonal matrix"""

    def apply(self, recurrence: Recurrence, parameters: DirectionParameters) -> None:
        """Redraw the recurrent blocks."""
        weight = parameters.weight_hh
        for gate in recurrence.gate_names:
            block = weight[gate_rows(recurrence, parameters, gate)]
            # LAPACK has no half precision
            dtype = block.dtype if block.dtype == torch.float64 else torch.float32
            drawn = torch.nn.init.orthogonal_(torch.empty_like(block, dtype=dtype), self.gain)
            block.copy_(drawn)


@dataclass(frozen=True)
class Identity(Initialization):
    """The recurrent matrix is the identity and the biases are 0 (IRNN; Le, Jaitly and Hinton 2015). RNN only.

    The paper's network uses the relu nonlinearity.
    """

    scale: float = 1.0
    """factor on the identity"""

    def check(self, recurrence: Recurrence, bias: bool) -> None:
        """Refuse gated cells: their recurrent products are not the state's own path."""
        if not isinstance(recurrence, RNNRecurrence):
            raise ValueError(f"{self} is for the RNN; in a gated cell the state has a path of its own")

    def apply(self, recurrence: Recurrence, parameters: DirectionParameters) -> None:
        """Set the recurrent matrix, clear the biases."""
        weight = parameters.weight_hh
        weight.copy_(self.scale * torch.eye(weight.shape[0], dtype=weight.dtype, device=weight.device))
        for bias in (parameters.bias_ih, parameters.bias_hh):
            if bias is not None:
                bias.zero_()


def gate_rows(recurrence: Recurrence, parameters: DirectionParameters, gate: str) -> slice:
    """The rows of a gate in weights and biases."""
    names = recurrence.gate_names
    hidden = parameters.weight_hh.shape[0] // len(names)
    start = names.index(gate) * hidden
    return slice(start, start + hidden)


_BY_NAME: dict[str, type[Initialization]] = {
    "uniform": Uniform,
    "tutorial": Tutorial,
    "forget": ForgetBias,
    "chrono": Chrono,
    "orthogonal": Orthogonal,
    "identity": Identity,
}


def by_name(text: str) -> Initialization:
    """An initialization from `name` or `name:number`.

    `uniform`, `tutorial[:std]`, `forget[:bias]`, `chrono:max_lag`, `orthogonal[:gain]`, `identity[:scale]`.
    """
    name, colon, number = text.partition(":")
    kind = _BY_NAME.get(name)
    if kind is None:
        raise ValueError(f"unknown initialization {text!r}, expected one of {', '.join(_BY_NAME)}")
    if not colon and kind is not Chrono:
        return kind()
    try:
        return kind(float(number))  # type: ignore[call-arg]
    except (TypeError, ValueError) as error:
        wanted = "chrono:512" if kind is Chrono else f"{name}:0.5" if kind is not Uniform else "uniform"
        raise ValueError(f"cannot read initialization {text!r}, expected something like {wanted!r}") from error
