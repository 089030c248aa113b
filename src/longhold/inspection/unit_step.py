"""One unit at one step: the cell's equations with their numbers in them."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from longhold.errors import InputError
from longhold.inspection.frozen import frozen_copy
from longhold.inspection.gates import gates, recurrent_layer
from longhold.layers import GRU, LSTM
from longhold.layers.base import RecurrentLayer
from longhold.models import SequenceModel, State
from longhold.models.contract import device_of, map_state


@dataclass(frozen=True)
class GateSum:
    """One gate of one unit: what is added up, and what comes of it.

    value = activation(by_input + by_state + bias)
    """

    gate: str
    """its letter: i f g o, r z n, or h for the RNN"""
    by_input: float
    """W_i. x, the contribution of the input"""
    by_state: float
    """W_h. h of the step before; for the GRU's n it is r * (W_hn h + b_hn)"""
    bias: float
    """b_i. + b_h.; for the GRU's n b_in alone"""
    activation: str
    """sigmoid; tanh for a candidate (g, n) and the RNN's h, or relu where that was chosen"""
    value: float
    """after it"""


@dataclass(frozen=True)
class UnitStep:
    """One unit of one layer at one step.

    LSTM    c = f * c_before + i * g     h = o * tanh(c)
    GRU     h = z * h_before + (1 - z) * n
    """

    cell: str
    """rnn, gru or lstm"""
    layer: int
    """from 0"""
    unit: int
    """from 0"""
    gates: tuple[GateSum, ...]
    """in torch's order"""
    h_before: float
    """hidden state of the unit before the step"""
    h: float
    """and after it"""
    c_before: float | None
    """cell state before; None but for an LSTM"""
    c: float | None
    """and after it"""


def unit_step(model: SequenceModel, token: int, state: State, layer: int, unit: int) -> UnitStep:
    """What one unit does with one token, in float64.

    Args:
        model: a model over token ids that holds one plain RNN, GRU or LSTM.
        token: what is read at this step.
        state: the model's state before it, of one row.
        layer: which layer, from 0.
        unit: which unit, from 0.

    Raises:
        InputError: there is no such layer or unit, or the cell has options that change these equations (layer norm,
            zoneout, peepholes, projection, coupled gates, reset before the product).
    """
    net = frozen_copy(model, torch.float64)
    cell = recurrent_layer(net)
    _check(cell, layer, unit)
    before = map_state(lambda leaf: leaf.detach().double().to(device_of(net)), state)
    x = _layer_input(net, token, before)
    record = gates(net, torch.tensor([[token]], device=device_of(net)), before)
    h_before, c_before = before if isinstance(before, tuple) else (before, None)
    assert isinstance(h_before, Tensor)
    assert c_before is None or isinstance(c_before, Tensor)
    below = x if layer == 0 else record.h[layer - 1, 0, 0]
    sums = _sums(cell, layer, unit, below, h_before[layer, 0])
    values = {letter: float(found[layer, 0, 0, unit]) for letter, found in record.gates.items()}
    h = float(record.h[layer, 0, 0, unit])
    return UnitStep(
        cell=type(cell).__name__.lower(),
        layer=layer,
        unit=unit,
        gates=tuple(
            GateSum(letter, *parts, _activation(cell, letter), values.get(letter, h)) for letter, parts in sums.items()
        ),
        h_before=float(h_before[layer, 0, unit]),
        h=h,
        c_before=None if c_before is None else float(c_before[layer, 0, unit]),
        c=None if record.c is None else float(record.c[layer, 0, 0, unit]),
    )


def _sums(
    cell: RecurrentLayer[Any, Any], layer: int, unit: int, x: Tensor, h: Tensor
) -> dict[str, tuple[float, float, float]]:
    """By letter the contributions of the input, of the state and of the bias."""
    weights = cell.all_weights[layer]
    found = {}
    for index, letter in enumerate(cell.recurrence.gate_names):
        row = index * cell.hidden_size + unit
        by_input, by_state = float(weights[0][row] @ x), float(weights[1][row] @ h)
        bias_x, bias_h = (float(bias[row]) for bias in weights[2:4]) if cell.bias else (0.0, 0.0)
        found[letter] = (by_input, by_state, bias_x + bias_h)
        if letter == "n":
            reset = float(torch.sigmoid(torch.tensor(sum(found["r"]), dtype=torch.float64)))
            found[letter] = (by_input, reset * (by_state + bias_h), bias_x)
    return found


def _activation(cell: RecurrentLayer[Any, Any], letter: str) -> str:
    if letter == "h":
        return str(getattr(cell.recurrence, "nonlinearity", "tanh"))
    return "tanh" if letter in ("g", "n") else "sigmoid"


def _layer_input(model: SequenceModel, token: int, state: State) -> Tensor:
    """The vector `(I,)` that the model hands to its recurrent layer for a token."""
    taken: list[Tensor] = []
    layer = recurrent_layer(model)
    hook = layer.register_forward_pre_hook(lambda _, arguments: taken.append(arguments[0]))
    try:
        with torch.no_grad():
            model(torch.tensor([[token]], device=device_of(model)), state)
    finally:
        hook.remove()
    given = taken[0]
    if given.is_floating_point():
        return given[0, 0]
    return torch.nn.functional.one_hot(given[0, 0].long(), layer.input_size).double()


def _check(cell: RecurrentLayer[Any, Any], layer: int, unit: int) -> None:
    if not (0 <= layer < cell.num_layers and 0 <= unit < cell.hidden_size):
        raise InputError(
            f"layer {layer}, unit {unit}: this model has layers 0 to {cell.num_layers - 1} of units 0 to "
            f"{cell.hidden_size - 1}"
        )
    changed = {
        "two directions": cell.bidirectional,
        "layer norm": cell.layer_norm,
        "zoneout": any(cell.zoneout_rates),
        "peepholes": cell.peephole,
        "a projection": cell.proj_size > 0,
        "coupled gates": isinstance(cell, LSTM) and len(cell.recurrence.gate_names) < 4,
        "the reset before the product": isinstance(cell, GRU) and not getattr(cell.recurrence, "reset_after", True),
    }
    odd = [name for name, there in changed.items() if there]
    if odd:
        raise InputError(
            f"this {type(cell).__name__} has {', '.join(odd)}: the equations shown are those of the plain cell"
        )
