"""Time constants of gates: for how many steps each unit would keep its state if nothing but its gate decided."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from longhold.errors import InputError
from longhold.inspection.by_lag import LEVELS, Decay
from longhold.inspection.frozen import frozen_copy, in_precision
from longhold.inspection.gates import gates, recurrent_layer
from longhold.inspection.gradient_by_lag import GradientByLag
from longhold.layers import GRU, LSTM
from longhold.layers.base import RecurrentLayer
from longhold.models import SequenceModel


@dataclass(frozen=True, eq=False)
class TimeConstants:
    """Time constants in steps, -1 / ln of the gate that keeps the state: f of an LSTM, z of a GRU."""

    gate: str
    """which gate, `f` or `z`"""
    by_bias: Tensor
    """`(L, H)`, of the gate at its bias alone, as if inputs and state gave nothing"""
    at_start: Tensor | None
    """`(L, H)`, the same before training; None where the untrained model was not given"""
    by_input: Tensor
    """`(5, L, H)`, quantiles (`LEVELS`) over steps and rows of the time constant at single steps"""
    along_path: Tensor
    """`(L, H)`, -1 / mean of ln(gate) over steps and rows: the rate at which the product of the gates falls"""
    steps: int
    """steps times rows behind `by_input` and `along_path`"""
    measured: Decay | None
    """how the gradient of the loss by the state falls with the lag, where it was measured"""

    @property
    def valid(self) -> bool | None:
        """Whether time constants may be read as memory here: the gradient by the state decays, and exponentially.

        A gate is a time scale only under that condition (Ohno and Kumagai 2021, arXiv 2111.03282): the gradient also
        flows through the recurrent weights. None where it was not measured.
        """
        return None if self.measured is None else self.measured.exponential and self.measured.rate < 0

    @property
    def caution(self) -> str:
        """How far these numbers may be read as memory, in one sentence."""
        if self.measured is None:
            return "not compared with a measured gradient: these are time constants of gates, not of memory"
        if not self.valid:
            return f"not to be read as memory: the measured gradient by the state {self.measured}"
        return f"the measured gradient by the state {self.measured}, as time constants suppose"

    def __str__(self) -> str:
        medians = [f"{float(values.median()):.3g}" for values in (self.by_bias, self.along_path)]
        return (
            f"time constants of gate {self.gate}: median {medians[0]} steps by bias, {medians[1]} along the text, "
            f"longest {float(self.along_path.max()):.3g}; {self.caution}"
        )


def bias_time_constants(model: SequenceModel) -> Tensor:
    """Time constants by bias alone, `(L, H)` in steps: `1 / softplus(-b)` with `b = b_ih + b_hh` of the keeping gate.

    Of a model before its training they are the initialization's; afterwards what the biases learned. 1 / ln 2 = 1.44
    without biases.

    Raises:
        InputError: the model does not hold exactly one GRU or LSTM.
    """
    layer = recurrent_layer(model)
    gate = _keeping_gate(layer)
    ends = ("", "_reverse")[: layer.directions]
    with torch.no_grad():
        return torch.stack(
            [_of_bias(layer, gate, f"_l{index}{end}") for index in range(layer.num_layers) for end in ends]
        )


def time_constants(
    model: SequenceModel,
    inputs: Tensor,
    *,
    start: SequenceModel | None = None,
    gradient: GradientByLag | None = None,
) -> TimeConstants:
    """Time constants by bias, at the start of training, and as the gates are while reading `inputs`.

    Computed in float64, since a gate near 1 rounds to 1 in float32 and its time constant to infinity.

    Args:
        model: a model that holds one GRU or LSTM.
        inputs: `(T, B)` ids or `(T, B, F)` features.
        start: the same model before its training.
        gradient: what `gradient_by_lag` found for the same model, to compare with.

    Raises:
        InputError: the model does not hold exactly one GRU or LSTM.
    """
    gate = _keeping_gate(recurrent_layer(model))
    record = gates(frozen_copy(model, torch.float64), in_precision(inputs, torch.float64))
    decay = -record.gates[gate].log()  # (L, T, B, H)
    levels = np.quantile((1 / decay).flatten(1, 2).cpu().numpy(), LEVELS, axis=1)
    return TimeConstants(
        gate=gate,
        by_bias=bias_time_constants(model),
        at_start=None if start is None else bias_time_constants(start),
        by_input=torch.from_numpy(levels),
        along_path=1 / decay.mean((1, 2)),
        steps=decay.shape[1] * decay.shape[2],
        measured=None if gradient is None else gradient.by_state.decay,
    )


def _keeping_gate(layer: RecurrentLayer[Any, Any]) -> str:
    """The letter of the gate that keeps the state where it is 1."""
    if isinstance(layer, LSTM):
        return "f"
    if isinstance(layer, GRU):
        return "z"
    raise InputError(f"an {type(layer).__name__} has no gate that keeps its state: expected a GRU or an LSTM")


def _of_bias(layer: RecurrentLayer[Any, Any], gate: str, suffix: str) -> Tensor:
    names = layer.recurrence.gate_names
    coupled = gate not in names  # f = 1 - i = sigmoid(-b_i)
    index = names.index("i" if coupled else gate)
    rows = slice(index * layer.hidden_size, (index + 1) * layer.hidden_size)
    if not layer.bias:
        return 1 / F.softplus(torch.zeros(layer.hidden_size, dtype=torch.float64))
    both = [getattr(layer, f"bias_{side}{suffix}")[rows].double().cpu() for side in ("ih", "hh")]
    bias = torch.stack(both).sum(0)
    return 1 / F.softplus(bias if coupled else -bias)
