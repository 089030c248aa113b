"""Gates: what they, and the states behind them, are at every step of given inputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from longhold.errors import InputError
from longhold.layers.base import RecurrentLayer
from longhold.models import SequenceModel, State
from longhold.models.contract import evaluation_mode

EDGE = 0.1
"""A gate is shut (open) at a step where it is in the lowest (highest) tenth of its range."""

_SIGNED = ("g", "n")  # candidates run from -1 to 1, gates from 0 to 1


@dataclass(frozen=True)
class Saturation:
    """How often a gate is at an end of its range, as fractions of the steps (Karpathy et al. 2015, section 4.2)."""

    gate: str
    """its letter"""
    mean: float
    """mean value over units, steps and rows"""
    low: float
    """fraction of values in the lowest tenth of the range: 0 to 0.1, for the candidates g and n -1 to -0.8"""
    high: float
    """fraction of values in the highest tenth"""
    low_by_unit: tuple[tuple[float, ...], ...]
    """the same for each layer and unit, (L, H)"""
    high_by_unit: tuple[tuple[float, ...], ...]
    """the same for each layer and unit, (L, H)"""

    def __str__(self) -> str:
        return f"gate {self.gate}: mean {self.mean:.3f}, {self.low:.1%} shut, {self.high:.1%} open"


@dataclass(frozen=True, eq=False)
class GateRecord:
    """States and gates at every step, `(L, T, B, H)` each, cut from the graph."""

    h: Tensor
    """hidden states, `(L, T, B, P)`"""
    c: Tensor | None
    """cell states of an LSTM"""
    gates: Mapping[str, Tensor]
    """by letter, after their activations: i f g o, r z n, or none"""

    def saturation(self) -> tuple[Saturation, ...]:
        """How often each gate stands at an end of its range."""
        return tuple(_saturation(gate, values) for gate, values in self.gates.items())

    def __str__(self) -> str:
        layers, steps, rows, _ = self.h.shape
        saturation = "; ".join(map(str, self.saturation())) or "no gates"
        return f"{layers} layer(s), {steps} steps, {rows} rows: {saturation}"


def gates(model: SequenceModel, inputs: Tensor, state: State | None = None, reset: Tensor | None = None) -> GateRecord:
    """Run a model with one recurrent layer (of any depth) over `inputs` and keep what its gates did.

    The layer's own `trace` is used, in evaluation mode, on what the model hands to the layer.

    Args:
        model: a model that holds one `longhold.RNN`, `GRU` or `LSTM`.
        inputs: `(T, B)` ids or `(T, B, F)` features.
        state: the state to begin from; None: the initial one.
        reset: `(T, B)` bool, see the state contract.

    Raises:
        InputError: the model does not hold exactly one recurrent layer, or does not call it once.
    """
    layer = recurrent_layer(model)
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def keep(_: object, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        calls.append((arguments, keywords))

    hook = layer.register_forward_pre_hook(keep, with_kwargs=True)
    try:
        with torch.no_grad(), evaluation_mode(model):
            model(inputs, state, reset)
    finally:
        hook.remove()
    if len(calls) != 1:
        raise InputError(f"{type(model).__name__} called its recurrent layer {len(calls)} times: expected once")
    ((arguments, keywords),) = calls
    with torch.no_grad(), evaluation_mode(layer):
        trace = layer.trace(*arguments, **keywords)
    found = trace.gates._asdict() if hasattr(trace, "gates") else {}
    return GateRecord(trace.h, getattr(trace, "c", None), found)


def recurrent_layer(model: torch.nn.Module) -> RecurrentLayer[Any, Any]:
    """The one RNN, GRU or LSTM in a model; InputError where there is none, or more."""
    layers = [part for part in model.modules() if isinstance(part, RecurrentLayer)]
    if len(layers) != 1:
        raise InputError(f"{type(model).__name__} holds {len(layers)} layers of type RNN, GRU or LSTM: expected one")
    return layers[0]


def _saturation(gate: str, values: Tensor) -> Saturation:
    place = (values + 1) / 2 if gate in _SIGNED else values
    low, high = ((side < EDGE).double().mean((1, 2)) for side in (place, 1 - place))
    return Saturation(
        gate=gate,
        mean=float(values.double().mean()),
        low=float(low.mean()),
        high=float(high.mean()),
        low_by_unit=tuple(map(tuple, low.tolist())),
        high_by_unit=tuple(map(tuple, high.tolist())),
    )
