"""One token at a time through an integer model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

from longhold.errors import InputError
from longhold.integer.bounds import LARGEST_C
from longhold.integer.fixed import UNIT, Function, Integers, Tables, rounded
from longhold.integer.frequencies import HUNDRED, Frequencies
from longhold.integer.model import IntegerModel, Layer, Matrix

Fields = tuple[Integers, ...]


@final
@dataclass(frozen=True)
class LayerView:
    """One layer after a step, to be shown: numbers from -1 to 1, but for a learned initial h."""

    h: NDArray[np.float64]
    """(B, H), hidden state"""
    c: NDArray[np.float64] | None
    """(B, H), tanh of the cell state; None without one"""
    gates: dict[str, NDArray[np.float64]]
    """by letter, (B, H), after their activations; empty for an RNN, and before the first step"""


@final
class IntegerStepper:
    """A model in use: the state of `batch` rows, and what the model expects after each token.

    The numbers of a row depend on its tokens alone, not on the other rows, the threads or the machine.
    """

    def __init__(self, model: IntegerModel, batch: int = 1) -> None:
        """Take the weights apart for stepping; raises InputError for less than one row."""
        if batch < 1:
            raise InputError(f"batch={batch}: expected at least one row")
        self.model, self.batch = model, batch
        self._inputs: list[Callable[[NDArray[Any]], Integers]] = [
            _reader(model),
            *(_Projection(layer.weight_ih, layer.bias_ih) for layer in model.layers[1:]),
        ]
        self._layers = [_LayerStep(model, layer) for layer in model.layers]
        self._output = _Projection(model.output, model.output_bias)
        self._frequencies = Frequencies(model.tables)
        self.reset()

    def reset(self) -> None:
        """Back to the state before the first token; the last step is forgotten."""
        self._states = [layer.initial(self.batch) for layer in self._layers]
        self._gates: list[dict[str, Integers]] = [{} for _ in self._layers]
        self._logits: Integers | None = None

    def step(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Read one token in each row, ids (B,); what comes next as frequencies (B, V): whole, >= 1, with sum 2^24.

        Raises:
            InputError: there are not B ids, or one is not from 0 to V - 1.
        """
        self._logits = self._output(self._advance(self._checked(ids)))
        return self.frequencies()

    def frequencies(self, temperature: int = HUNDRED, allowed: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """The last step's frequencies at another temperature, in whole hundredths; 0 leaves the likeliest token alone.

        `allowed`, (B, V) or (V,), are the tokens that may come: all others have frequency 1, which `draw` never draws.

        Raises:
            InputError: there was no step yet, or see `longhold.integer.frequencies.Frequencies`.
        """
        if self._logits is None:
            raise InputError("there are no frequencies before the first step")
        return self._frequencies(self._logits, temperature, allowed).astype(np.int64)

    def gates(self) -> tuple[LayerView, ...]:
        """State and gates of every layer after the last step."""
        return tuple(self._view(row) for row in range(len(self._layers)))

    def _checked(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        ids = np.asarray(ids)
        if ids.shape != (self.batch,) or ids.dtype.kind not in "iu":
            raise InputError(f"expected {self.batch} integers as ids, got {ids.dtype} of shape {ids.shape}")
        if ids.min() < 0 or ids.max() >= self.model.vocab_size:
            raise InputError(f"ids must be from 0 to {self.model.vocab_size - 1}, got {ids.min()} to {ids.max()}")
        return ids

    def _advance(self, ids: NDArray[np.int64]) -> Integers:
        below: NDArray[Any] = ids
        for row, (read, layer) in enumerate(zip(self._inputs, self._layers, strict=True)):
            self._states[row], self._gates[row] = layer(read(below), self._states[row])
            below = self._states[row][0]
        return below

    def _view(self, row: int) -> LayerView:
        h, *c = (field / UNIT for field in self._states[row])
        gates = {name: gate / UNIT for name, gate in self._gates[row].items()}
        return LayerView(h, np.tanh(c[0]) if c else None, gates)


@final
class _Projection:
    """A product with a matrix, rounded, and a bias: (B, K) to (B, R), of some of the rows."""

    def __init__(self, matrix: Matrix, bias: NDArray[np.int32], rows: slice = slice(None)) -> None:
        self._weights: Integers = np.ascontiguousarray(matrix.weights()[rows].T)
        self._bias = bias[rows].astype(np.float64)

    def __call__(self, x: Integers) -> Integers:
        product: Integers = np.floor(x @ self._weights + 0.5) + self._bias
        return product


@final
class _Rows:
    """Rows of a matrix by id, times UNIT and rounded: (B,) to (B, K)."""

    def __init__(self, values: NDArray[Any], scales: Integers) -> None:
        """`scales` has one number for each row, (R, 1), or one for each column, (K,)."""
        self._values, self._scales = values, np.broadcast_to(scales * UNIT, values.shape)

    def __call__(self, ids: NDArray[np.int64]) -> Integers:
        rows: Integers = np.floor(self._values[ids] * self._scales[ids] + 0.5)
        return rows


def _reader(model: IntegerModel) -> Callable[[NDArray[np.int64]], Integers]:
    """Ids (B,) to the first layer's input projection, (B, G*H)."""
    first = model.layers[0]
    if model.embedding is None:
        columns = _Rows(np.ascontiguousarray(first.weight_ih.values.T), first.weight_ih.scales())
        bias = first.bias_ih.astype(np.float64)
        return lambda ids: columns(ids) + bias
    embed = _Rows(model.embedding.values, model.embedding.scales()[:, None])
    project = _Projection(first.weight_ih, first.bias_ih)
    return lambda ids: project(embed(ids))


class _Cell(Protocol):
    def __call__(self, gates_x: Integers, state: Fields) -> tuple[Fields, dict[str, Integers]]: ...


@final
class _LayerStep:
    """One layer: its cell, its initial state, and zoneout."""

    def __init__(self, model: IntegerModel, layer: Layer) -> None:
        self._cell = _CELLS[model.cell](model, layer)
        self._initial = [field.astype(np.float64) for field in layer.initial]
        self._zoneout = layer.zoneout

    def initial(self, batch: int) -> Fields:
        return tuple(np.tile(field, (batch, 1)) for field in self._initial)

    def __call__(self, gates_x: Integers, state: Fields) -> tuple[Fields, dict[str, Integers]]:
        new, gates = self._cell(gates_x, state)
        kept = zip(self._zoneout, state, new, strict=True)
        return tuple(rounded(z * old + (UNIT - z) * now, UNIT) if z else now for z, old, now in kept), gates


class _Activations:
    """sigmoid and tanh on numbers of either sign: sigmoid(-x) = 1 - sigmoid(x), tanh(-x) = -tanh(x)."""

    def __init__(self, tables: Tables) -> None:
        self._sigmoid, self._tanh = Function(tables.sigmoid), Function(tables.tanh)

    def sigmoid(self, a: Integers) -> Integers:
        upper = self._sigmoid(np.abs(a))
        return np.where(a < 0, UNIT - upper, upper)

    def tanh(self, a: Integers) -> Integers:
        return np.copysign(self._tanh(np.abs(a)), a)


@final
class _RNN:
    """h' = tanh(gates_x + gates_h)."""

    def __init__(self, model: IntegerModel, layer: Layer) -> None:
        self._recurrent = _Projection(layer.weight_hh, layer.bias_hh)
        self._activations = _Activations(model.tables)

    def __call__(self, gates_x: Integers, state: Fields) -> tuple[Fields, dict[str, Integers]]:
        return (self._activations.tanh(gates_x + self._recurrent(state[0])),), {}


@final
class _GRU:
    """r, z, n and h' = n + z (h - n), with the reset gate after or before the recurrent product."""

    def __init__(self, model: IntegerModel, layer: Layer) -> None:
        self._size, self._reset_after = model.hidden_size, model.reset_after
        self._of_rz = _Projection(layer.weight_hh, layer.bias_hh, slice(None, 2 * self._size))
        self._of_n = _Projection(layer.weight_hh, layer.bias_hh, slice(2 * self._size, None))
        self._activations = _Activations(model.tables)

    def __call__(self, gates_x: Integers, state: Fields) -> tuple[Fields, dict[str, Integers]]:
        (h,) = state
        rz = self._activations.sigmoid(gates_x[:, : 2 * self._size] + self._of_rz(h))
        r, z = rz[:, : self._size], rz[:, self._size :]
        gated = rounded(r * self._of_n(h), UNIT) if self._reset_after else self._of_n(rounded(r * h, UNIT))
        n = self._activations.tanh(gates_x[:, 2 * self._size :] + gated)
        return (n + rounded(z * (h - n), UNIT),), {"r": r, "z": z, "n": n}


@final
class _LSTM:
    """i, f, g, o and c' = f c + i g, h' = o tanh(c'); c is clamped at 32768."""

    def __init__(self, model: IntegerModel, layer: Layer) -> None:
        self._names, self._size = model.gate_names, model.hidden_size
        self._recurrent = _Projection(layer.weight_hh, layer.bias_hh)
        self._activations = _Activations(model.tables)

    def __call__(self, gates_x: Integers, state: Fields) -> tuple[Fields, dict[str, Integers]]:
        h, c = state
        gates = gates_x + self._recurrent(h)
        parts = {name: gates[:, k * self._size : (k + 1) * self._size] for k, name in enumerate(self._names)}
        i, g, o = (self._activated(name, parts[name]) for name in "igo")
        f = self._activated("f", parts["f"]) if "f" in parts else UNIT - i
        c = np.clip(rounded(f * c + i * g, UNIT), -LARGEST_C, LARGEST_C)
        return (rounded(o * self._activations.tanh(c), UNIT), c), {"i": i, "f": f, "g": g, "o": o}

    def _activated(self, name: str, part: Integers) -> Integers:
        return self._activations.tanh(part) if name == "g" else self._activations.sigmoid(part)


_CELLS: dict[str, Callable[[IntegerModel, Layer], _Cell]] = {"rnn": _RNN, "gru": _GRU, "lstm": _LSTM}
