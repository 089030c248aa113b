"""A layer of ours and torch's with the same weights, and the inputs that tests put through both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import longhold
from tests.helpers import measured

CELLS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn_tanh": ("RNN", {"nonlinearity": "tanh"}),
    "rnn_relu": ("RNN", {"nonlinearity": "relu"}),
    "gru": ("GRU", {}),
    "lstm": ("LSTM", {}),
    "lstm_projected": ("LSTM", {"proj_size": 2}),
}
PLAIN = ("rnn_tanh", "gru", "lstm")
BACKENDS = ("reference", "torch", "cpu")


def on_each_backend(cells: Iterable[str]) -> list[tuple[str, str]]:
    """Every cell on every backend."""
    return [(backend, cell) for cell in cells for backend in BACKENDS]


def twins(cell: str, input_size: int, hidden_size: int, **options: Any) -> tuple[nn.Module, nn.Module]:
    """Ours and torch's, float64 by default, ours loaded from torch's `state_dict`."""
    name, own = CELLS[cell]
    arguments = {"dtype": torch.float64} | own | options
    theirs = getattr(nn, name)(input_size, hidden_size, **arguments)
    ours = getattr(longhold, name)(input_size, hidden_size, **arguments)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def make(cell: str, input_size: int, hidden_size: int, **options: Any) -> Any:
    """Ours alone, float64 by default."""
    name, own = CELLS[cell]
    return getattr(longhold, name)(input_size, hidden_size, **({"dtype": torch.float64} | own | options))


def randn(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, dtype=dtype, requires_grad=True)


def state_for(layer: Any, batch: int | None) -> dict[str, Tensor]:
    """Random leaves of the shapes that the layer takes as `hx`: h, and c for an LSTM; `batch=None` is unbatched."""
    rows = layer.num_layers * (2 if layer.bidirectional else 1)
    dtype = next(layer.parameters()).dtype
    middle = () if batch is None else (batch,)
    found = {"h_0": randn(rows, *middle, layer.proj_size or layer.hidden_size, dtype=dtype)}
    if is_lstm(layer):
        found["c_0"] = randn(rows, *middle, layer.hidden_size, dtype=dtype)
    return found


def is_lstm(layer: Any) -> bool:
    return layer.mode == "LSTM"


def as_hx(state: dict[str, Tensor] | Sequence[Tensor]) -> Any:
    """The form in which torch.nn takes a state: a tensor, a pair, or None where there is none."""
    fields = list(state.values()) if isinstance(state, dict) else list(state)
    return None if not fields else fields[0] if len(fields) == 1 else tuple(fields)


def fields_of(state: Any) -> tuple[Tensor, ...]:
    return (state,) if isinstance(state, Tensor) else tuple(state)


def packed(x: Tensor, lengths: Iterable[int], batch_first: bool = False) -> PackedSequence:
    """`x` packed; the lengths need not be sorted."""
    return pack_padded_sequence(x, torch.tensor(list(lengths)), batch_first, enforce_sorted=False)


def through(
    layer: Any, x: Tensor, state: dict[str, Tensor], *, alone: bool = False, prepare: Any = None, **call: Any
) -> dict[str, Tensor]:
    """Outputs and every gradient of `layer(prepare(x), hx, **call)`: of the input, of hx and of each parameter."""
    leaves = {"input": x} | state | dict(layer.named_parameters())
    given = x if prepare is None else prepare(x)
    return measured(lambda: layer(given, as_hx(state), **call), leaves, alone=alone)
