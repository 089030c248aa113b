"""Streams: a stack of layers that the C++ extension steps with its state carried and its weights packed once."""

import copy
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, final, get_args

import torch
from torch import Tensor

from longhold.cells import GRURecurrence, LSTMRecurrence, Recurrence, RNNRecurrence
from longhold.kernels.addresses import address_of_new, check_memory, lend, of_new
from longhold.kernels.backends import BackendRefused, requested
from longhold.kernels.call import DirectionParameters
from longhold.kernels.extension import loaded, why_missing

WIDE = 200_000
"""Multiplications in a step from which a second thread can be worth its barriers: see docs/experiments.md."""

QUICK = 1_000_000
"""Multiplications in a step up to which a single step is better done at once, by one thread."""

_DTYPES = (torch.float32, torch.float64)
_CELLS = ("rnn_tanh", "rnn_relu", "gru", "gru_before", "lstm", "lstm_coupled")


Storage = Literal["full", "bf16", "int8"]
"""How the matrices are held: in the weights' own type; float32 rounded to bfloat16; or to 8 bits, row by row."""

STORAGES: tuple[Storage, ...] = get_args(Storage)
"""All of them, in the order of `Storage` in cpu/stream.h."""


@dataclass(frozen=True)
class StreamWeights:
    """What a stream is made from; one direction, and nothing is dropped."""

    recurrence: Recurrence
    layers: Sequence[DirectionParameters]
    """one per layer"""
    initial: tuple[Tensor, ...]
    """the state that a stream begins with and a reset restores, each field (L, .)"""
    zoneout: tuple[float, ...] = ()
    """one rate per state field, whose expectation is taken"""
    embedding: Tensor | None = None
    """(V, I), what stands for an id; None: an id is the one-hot vector of width I"""
    output: tuple[Tensor, Tensor] | None = None
    """weight (V, P) and bias (V,) of the logits that are drawn from"""


def stream_refusal(layers: Sequence[DirectionParameters]) -> str | None:
    """Why the extension cannot step these layers, or None. BackendRefused where `cpu` was named and it cannot."""
    weight, missing, name = layers[0].weight_hh, why_missing(), requested()
    refusals = {
        missing or "": missing is not None,
        f"it runs on the CPU, not on {weight.device.type}": weight.device.type != "cpu",
        f"it computes in float32 and float64, not in {weight.dtype}": weight.dtype not in _DTYPES,
        "autocast is active, and it casts nothing": torch.is_autocast_enabled("cpu"),
    }
    refusal = next((reason for reason, holds in refusals.items() if holds), None)
    if name == "cpu" and refusal is not None:
        raise BackendRefused(f"backend 'cpu' cannot run this stream: {refusal}")
    return refusal if name in (None, "cpu") else f"backend {name!r} was named by use_backend"


def quantize_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Symmetric int8 by row: `weight` (R, K) is about `scale * quantized`, off by at most half a `scale` per entry.

        scale = max |row| / 127
        quantized = round(row / scale)

    Returns `quantized` (R, K) int8 and `scale` (R,) in the weight's type, 1 for a row of zeros.
    """
    largest = weight.abs().amax(1)
    scale = torch.where(largest > 0, largest / 127, torch.ones_like(largest))
    return (weight / scale.unsqueeze(1)).round().clamp(-127, 127).to(torch.int8), scale


@final
class NativeStream:
    """A stack of layers in C++: `steps` at a time from a state it keeps. The weights are copied when it is made.

    Attributes:
        stepper: the C++ object, for calls where every microsecond counts.
        fields: shapes of the state's fields, each (L, B, .).
        quick: whether a single step is better done at once, by `stepper.step`.
    """

    def __init__(self, weights: StreamWeights, batch: int, *, storage: Storage = "full") -> None:
        _check_shapes(weights)
        first, last = weights.layers[0], weights.layers[-1]
        hidden = weights.initial[-1].shape[1]
        vocabulary = first.weight_ih.shape[1] if weights.embedding is None else weights.embedding.shape[0]
        self._dtype, self._batch, self._output_size = first.weight_ih.dtype, batch, last.weight_hh.shape[1]
        self.fields = [(len(weights.layers), batch, field.shape[1]) for field in weights.initial]
        held = _Addresses(self._dtype, storage)
        output = (None, None) if weights.output is None else weights.output
        self._outputs = 0 if output[0] is None else output[0].shape[0]
        zoneout_h, zoneout_c = (*weights.zoneout, 0.0, 0.0)[:2]
        self.stepper: Any = loaded().make_stepper(
            cell=_CELLS.index(_cell(weights.recurrence)),
            is_double=self._dtype == torch.float64,
            storage=STORAGES.index(storage),
            B=batch,
            H=hidden,
            P=self._output_size,
            zoneout_h=zoneout_h,
            zoneout_c=zoneout_c,
            widths=[p.weight_ih.shape[1] for p in weights.layers],
            layers=[held.layer(p, [field[row] for field in weights.initial]) for row, p in enumerate(weights.layers)],
            V=vocabulary,
            embedding=held.address(weights.embedding),
            output=[*held.matrix(output[0]), held.address(output[1])],
            outputs=self._outputs,
        )
        self.quick = self.stepper.products() < QUICK
        self._pace = _Pace(self.stepper.products() >= WIDE)

    def copy(self) -> "NativeStream":
        """Another stream in the same state, with weights of its own."""
        made = copy.copy(self)
        made.stepper, made._pace = self.stepper.copy(), copy.copy(self._pace)
        return made

    def run(self, inputs: Tensor) -> Tensor:
        """(T, B, I) of the weights' type, or (T, B) int64 ids, dense, to (T, B, P). IndexError for an id too large."""
        output = torch.empty(*inputs.shape[:2], self._output_size, dtype=self._dtype, device="cpu")
        (place,), copies = lend([inputs])
        places = (0, place) if inputs.dtype == torch.int64 else (place, 0)
        with self._pace.threads(inputs.shape[0]) as threads:
            self.stepper.run(inputs.shape[0], *places, address_of_new(output), threads)
        del copies  # held until C++ has read them
        return output

    def state(self) -> tuple[Tensor, ...]:
        """A copy of the state, each field (L, B, .)."""
        fields = [torch.empty(shape, dtype=self._dtype, device="cpu") for shape in self.fields]
        self.stepper.read_state(*_pair(of_new(fields)))
        return tuple(fields)

    def set_state(self, fields: Sequence[Tensor]) -> None:
        """Continue from a state of the shapes in `fields`; it is copied."""
        for field, shape in zip(fields, self.fields, strict=True):
            if not field.is_floating_point() or tuple(field.shape) != shape:
                got = f"{field.dtype} and {tuple(field.shape)}"
                raise RuntimeError(f"a state's field should have a type of floating point and shape {shape}, got {got}")
        check_memory(fields)
        given = [field.detach().to(self._dtype) for field in fields]
        places, copies = lend(given)
        self.stepper.write_state(*_pair(places))
        del copies  # held until C++ has read them

    def reset(self, rows: Sequence[int]) -> None:
        """Put the initial state back into these rows."""
        for row in rows:
            self.stepper.reset(row)

    def follow(self, table: Tensor, places: Tensor) -> None:
        """Hold what is drawn from now on to a table, the rows beginning in the states `places`; both are copied.

        Arguments:
            table: (S, V) int8, the state after each id in each state; -1 where the id is not allowed.
            places: (B,) int8, the state of each row.

        Raises:
            ValueError: a shape, a type or a state that does not fit.
        """
        states, outputs = table.shape[0], self._outputs
        fits = table.dtype == places.dtype == torch.int8 and table.shape == (states, outputs) and states > 0
        if not fits or places.shape != (self._batch,):
            raise ValueError(
                f"expected int8 of shapes (S, {outputs}) and ({self._batch},), got {table.shape}, {places.shape}"
            )
        check_memory((table, places))
        if table.max() >= states or places.min() < 0 or places.max() >= states:
            raise ValueError(f"expected states below {states} in the table, and from 0 in the rows")
        table, places = table.cpu(), places.cpu()
        addresses, copies = lend([table, places])
        self.stepper.follow(states, *addresses)
        del copies  # held until C++ has read them

    def draw(
        self, ids: Tensor, uniforms: Tensor, *, temperature: float, top_k: int | None, top_p: float, min_p: float
    ) -> Tensor:
        """Step, draw from the logits, and step with what was drawn, once for each row of `uniforms`.

        Arguments:
            ids: (B,) int64, what goes in first.
            uniforms: (N, B) float64 from [0, 1): a token is the first whose cumulated probability is above its number.
            temperature: divides the logits; 0: the most probable token, whatever the uniforms are.
            top_k: tokens kept; None: all.
            top_p: probability kept.
            min_p: least probability kept as a fraction of the largest.

        Returns:
            (M, B) ids; M < N where the logits of step M have no finite largest value. After `follow`, ids that are not
            allowed are impossible; where the logits of all others are -inf, those are equally likely.
        """
        steps = uniforms.shape[0]
        drawn = torch.empty(steps + 1, self._batch, dtype=torch.int64, device="cpu")
        drawn[0] = ids
        rules = (temperature, top_k or 0, top_p, min_p)
        if uniforms.dtype != torch.float64 or tuple(uniforms.shape) != (steps, self._batch):
            wanted = f"torch.float64 and shape {(steps, self._batch)}"
            raise RuntimeError(f"uniforms should have {wanted}, got {uniforms.dtype} and {tuple(uniforms.shape)}")
        (place,), copies = lend([uniforms])
        with self._pace.threads(steps) as threads:
            taken = self.stepper.draw(steps, address_of_new(drawn), place, *rules, threads)
        del copies  # held until C++ has read them
        return drawn[1 : taken + 1]


@final
class _Pace:
    """One thread or torch's number of them, whichever was faster recently: the numbers are the same either way.

    Threads that wait for each other at every step are twice as fast on a quiet machine, and many times slower where
    another program has one of the cores. So the way that is not in use is tried now and then, more and more seldom
    while it loses, and at once where the one in use becomes slower than the other last was.
    """

    _RARELY = 64

    def __init__(self, wide: bool) -> None:
        self._wide, self._shared = wide, False
        self._seconds = [math.inf, math.inf]
        self._until_trial = self._gap = 1

    @contextmanager
    def threads(self, steps: int) -> Iterator[int]:
        """The threads for a call of so many steps, whose time is taken."""
        most = torch.get_num_threads() if self._wide else 1
        if most == 1:
            yield 1
            return
        trial = self._until_trial == 0
        shared = self._shared != trial
        began = time.perf_counter()
        yield most if shared else 1
        self._note(shared, trial, (time.perf_counter() - began) / steps)

    def _note(self, shared: bool, trial: bool, seconds: float) -> None:
        self._seconds[shared] = seconds
        if not trial:
            slowed = seconds > self._seconds[not shared]
            self._until_trial = 0 if slowed else self._until_trial - 1
            return
        if self._seconds[shared] < self._seconds[not shared]:
            self._shared, self._gap = shared, 1
        else:
            self._gap = min(2 * self._gap, self._RARELY)
        self._until_trial = self._gap


def _pair(places: Sequence[int]) -> tuple[int, int]:
    h, *c = places
    return h, c[0] if c else 0


def _cell(recurrence: Recurrence) -> str:
    if isinstance(recurrence, LSTMRecurrence):
        return "lstm_coupled" if recurrence.coupled else "lstm"
    if isinstance(recurrence, GRURecurrence):
        return "gru" if recurrence.reset_after else "gru_before"
    assert isinstance(recurrence, RNNRecurrence)
    return f"rnn_{recurrence.nonlinearity}"


def _check_shapes(weights: StreamWeights) -> None:
    """RuntimeError where a weight has not the shape that C++ counts on."""
    fields = weights.initial
    output_size, hidden, count = fields[0].shape[1], fields[-1].shape[1], len(weights.layers)
    rows = len(weights.recurrence.gate_names) * hidden
    width = weights.layers[0].weight_ih.shape[1]
    for p in weights.layers:
        row, unit = (rows,), (hidden,)
        shapes = (
            (rows, width), (rows, output_size), row, row, (output_size, hidden), (rows - hidden,), row, row, unit, unit,
        )  # fmt: skip
        found = [(name, getattr(p, name), shape) for name, shape in zip(p.__dataclass_fields__, shapes, strict=True)]
        found += [("the initial state", field, (count, field.shape[1])) for field in fields]
        if weights.embedding is not None:
            found.append(
                ("the embedding", weights.embedding, (weights.embedding.shape[0], weights.layers[0].weight_ih.shape[1]))
            )
        if weights.output is not None:
            vocabulary = weights.output[0].shape[0]
            found += [
                ("the output weight", weights.output[0], (vocabulary, output_size)),
                ("the output bias", weights.output[1], (vocabulary,)),
            ]
        for name, tensor, shape in found:
            if tensor is not None and tuple(tensor.shape) != shape:
                raise RuntimeError(f"{name} should have shape {shape}, got {tuple(tensor.shape)}")
        width = output_size


@final
class _Addresses:
    """Addresses of tensors, which live as long as this does."""

    def __init__(self, dtype: torch.dtype, storage: Storage) -> None:
        self._dtype, self._storage, self._held = dtype, storage, list[Tensor]()

    def address(self, tensor: Tensor | None) -> int:
        if tensor is None:
            return 0
        if tensor.dtype != self._dtype:
            raise RuntimeError(f"all weights should have dtype {self._dtype}, got {tensor.dtype}")
        return self._hold(tensor.detach())

    def matrix(self, weight: Tensor | None) -> list[int]:
        if weight is None or self._storage == "full":
            return [self.address(weight), 0]
        if self._storage == "bf16":
            return [self._hold(weight.detach().bfloat16()), 0]
        quantized, scale = quantize_rows(weight.detach())
        return [self._hold(quantized), self._hold(scale)]

    def layer(self, p: DirectionParameters, initial: Sequence[Tensor]) -> list[int]:
        """In the order of `LayerView` in cpu/stream.h."""
        matrices = [part for weight in (p.weight_ih, p.weight_hh, p.weight_hr) for part in self.matrix(weight)]
        options = (p.weight_peephole, p.weight_norm_ih, p.weight_norm_hh, p.weight_norm_c, p.bias_norm_c)
        vectors = (p.bias_ih, p.bias_hh, *options, initial[0], initial[1] if len(initial) > 1 else None)
        return [*matrices, *map(self.address, vectors)]

    def _hold(self, tensor: Tensor) -> int:
        (place,), copies = lend([tensor])
        self._held += [tensor, *copies]
        return place


def fold_embedding(weights: StreamWeights) -> StreamWeights:
    """The same stream with `W_ih E^T` in the place of the first layer's `W_ih`: a look-up instead of a product."""
    assert weights.embedding is not None
    first, *others = weights.layers
    folded = (first.weight_ih.double() @ weights.embedding.double().T).to(first.weight_ih.dtype)
    return replace(weights, layers=[replace(first, weight_ih=folded), *others], embedding=None)
