"""One call of a stack of recurrent layers, as every backend receives it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from longhold.cells import GRUWeights, LSTMWeights, Recurrence, RNNWeights, Unrolled
from longhold.cells.recurrence import Zoneout
from longhold.kernels.addresses import check_memory, seem_somewhere


@dataclass(frozen=True)
class DirectionParameters:
    """The parameters of one layer and direction; torch's names, None where an option is off."""

    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None = None
    bias_hh: Tensor | None = None
    weight_hr: Tensor | None = None
    weight_peephole: Tensor | None = None
    weight_norm_ih: Tensor | None = None
    weight_norm_hh: Tensor | None = None
    weight_norm_c: Tensor | None = None
    bias_norm_c: Tensor | None = None

    def recurrent(self, recurrence: Recurrence) -> RNNWeights | GRUWeights | LSTMWeights:
        """The weights that the cell's step takes."""
        if recurrence.state_names == ("h", "c"):
            return LSTMWeights(
                self.weight_hh,
                self.bias_hh,
                self.weight_hr,
                self.weight_peephole,
                self.weight_norm_hh,
                self.weight_norm_c,
                self.bias_norm_c,
            )
        kind = GRUWeights if recurrence.gate_names == ("r", "z", "n") else RNNWeights
        return kind(self.weight_hh, self.bias_hh, self.weight_norm_hh)

    def fused(self) -> list[Tensor]:
        """The list that torch's fused operators take."""
        parts = (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh, self.weight_hr)
        return [part for part in parts if part is not None]


@dataclass(frozen=True)
class DirectionNoise:
    """What is dropped in one layer and direction during one call."""

    recurrent_dropout: Tensor | None = None
    """(B, P), multiplies h in the recurrent product"""
    zoneout: tuple[Zoneout, ...] = ()
    """for each state field a (T, B, .) mask, a rate, or None"""


@dataclass(frozen=True)
class StackCall:
    """Everything a backend needs to run a stack of layers once. Time-major throughout."""

    recurrence: Recurrence
    num_layers: int
    bidirectional: bool
    parameters: Sequence[DirectionParameters]
    """one per layer and direction, in torch's order; dropped weights are already dropped"""
    input: Tensor | PackedSequence
    """(T, B, I), or (T, B) int64 ids that stand for one-hot vectors of width I, or either packed"""
    hx: tuple[Tensor, ...] | None = None
    """state before the first step, each field (L*D, B, .); None for the initial one"""
    learned: tuple[Tensor, ...] | None = None
    """initial state, which a reset restores, each field (L*D, B, .); None for zeros"""
    lengths: Tensor | None = None
    """(B,) int64, 0 to T; a row of length 0 ends in the state that it began with"""
    reset: Tensor | None = None
    """(T, B) bool, false beyond a row's length"""
    dropout: float = 0.0
    """rate between layers"""
    training: bool = False
    noise: Sequence[DirectionNoise] = ()
    """one per layer and direction, or empty"""
    between: Sequence[Tensor] = ()
    """locked dropout: what multiplies the output of each layer but the last at every step, (B, D*P); or empty"""
    checkpoint_every: int | None = None
    """keep every so many steps a state for the backward pass, and compute the rest again; None: keep everything"""
    trace: bool = False
    """also keep every state field and gate of every step"""

    @property
    def data(self) -> Tensor:
        """The input's tensor: (T, B, I), or (T, B) ids, or packed (N, I) or (N,)."""
        return self.input.data if isinstance(self.input, PackedSequence) else self.input

    @property
    def directions(self) -> int:
        """1 or 2."""
        return 2 if self.bidirectional else 1

    @property
    def like(self) -> Tensor:
        """A tensor of the type that the states have."""
        return self.data if self.data.is_floating_point() else self.parameters[0].weight_ih

    @property
    def batch(self) -> int:
        """Rows."""
        return packed_rows(self.input) if isinstance(self.input, PackedSequence) else self.input.shape[1]

    @property
    def initial(self) -> tuple[Tensor, ...]:
        """The state that a reset restores, each field (L*D, B, .)."""
        if self.learned is not None:
            return self.learned
        rows, weight = len(self.parameters), self.parameters[0].weight_hh
        sizes = (weight.shape[1], weight.shape[0] // len(self.recurrence.gate_names))
        return tuple(
            self.like.new_zeros(rows, self.batch, size)
            for size, _ in zip(sizes, self.recurrence.state_names, strict=False)
        )

    @property
    def start(self) -> tuple[Tensor, ...] | None:
        """The state before the first step; None for zeros."""
        return self.learned if self.hx is None else self.hx

    @staticmethod
    def fields(state: tuple[Tensor, ...] | None, row: int) -> tuple[Tensor | None, Tensor | None]:
        """h and c, (B, .), of one layer and direction; None for what is zero or not there."""
        if state is None:
            return None, None
        return state[0][row], state[1][row] if len(state) == 2 else None

    @property
    def state(self) -> tuple[Tensor, ...]:
        """The state before the first step, each field (L*D, B, .)."""
        return self.initial if self.hx is None else self.hx

    def layer(self, index: int, layer_input: Tensor | PackedSequence) -> "StackCall":
        """The call of one layer alone on its own input."""
        rows = slice(index * self.directions, (index + 1) * self.directions)
        return replace(
            self,
            num_layers=1,
            parameters=self.parameters[rows],
            input=layer_input,
            hx=None if self.hx is None else tuple(field[rows] for field in self.hx),
            learned=None if self.learned is None else tuple(field[rows] for field in self.learned),
            noise=self.noise[rows],
            dropout=0.0,
            between=(),
        )


def check_call(call: StackCall) -> None:
    """Raise RuntimeError where a call's tensors are not on one device, as torch.nn does, or has no memory.

    Lengths may be anywhere.
    """
    check_devices(call)
    check_memory([call.lengths, *(tensor for _, tensor in _named_tensors(call))])


def check_step(call: StackCall) -> None:
    """`check_call` for a single step. One of torch's feels every microsecond: a storage cut short is not looked for."""
    p = call.parameters[0]
    tensors = (call.data, *call.state, p.weight_ih, p.weight_hh, p.bias_ih, p.bias_hh)
    if p.weight_norm_ih is not None or not seem_somewhere(tensors):
        check_call(call)


def check_devices(call: StackCall) -> None:
    """Raise torch.nn's RuntimeError where a call's tensors are not on one device."""
    device = call.data.device
    for name, tensor in _named_tensors(call):
        if tensor is not None and tensor.device != device:
            raise RuntimeError(
                f"Input and {name} tensors are not at the same device, found input tensor at {device} and {name} "
                f"tensor at {tensor.device}"
            )
        if tensor is not None and tensor.is_complex() and not call.data.is_complex():
            raise RuntimeError(f"the {name} tensor should be real as the input is, got {tensor.dtype}")


def is_uniform(call: StackCall) -> bool:
    """Whether states and parameters are of one type, and they and the input strided."""
    parameters = [tensor for p in call.parameters for tensor in _parameters_of(p)]
    tensors = [tensor for tensor in (*(call.hx or ()), *parameters) if tensor is not None]
    strided = all(tensor.layout == torch.strided for tensor in (call.data, *tensors))
    return strided and len({tensor.dtype for tensor in tensors}) == 1


def check_layouts(call: StackCall) -> None:
    """Raise RuntimeError where a call's tensor is sparse, or laid out in another way that is not strided."""
    for name, tensor in _named_tensors(call):
        if tensor is not None and tensor.layout != torch.strided:
            raise RuntimeError(f"the {name} tensor should be strided, got layout {tensor.layout}")


def _named_tensors(call: StackCall) -> Iterator[tuple[str, Tensor | None]]:
    yield "input", call.data
    yield from (("hidden", field) for field in call.hx or ())
    for p in call.parameters:
        yield from (("parameter", tensor) for tensor in _parameters_of(p))
    yield from (("initial state", field) for field in call.learned or ())
    yield "reset", call.reset
    for noise in call.noise:
        yield "recurrent dropout", noise.recurrent_dropout
        yield from (("zoneout", zone) for zone in noise.zoneout if isinstance(zone, Tensor))


def _parameters_of(p: DirectionParameters) -> tuple[Tensor | None, ...]:
    return (
        p.weight_ih,
        p.weight_hh,
        p.bias_ih,
        p.bias_hh,
        p.weight_hr,
        p.weight_peephole,
        p.weight_norm_ih,
        p.weight_norm_hh,
        p.weight_norm_c,
        p.bias_norm_c,
    )


def packed_rows(packed: PackedSequence) -> int:
    """Rows of a packed sequence; while torch.jit.trace looks on a tensor, by which they stay free."""
    rows: Any = packed.batch_sizes[0]
    return rows if torch._C._get_tracing_state() is not None else int(rows)


@dataclass(frozen=True)
class StackResult:
    """What a stack returns."""

    output: Tensor | PackedSequence
    """(T, B, D*P), or packed as the input was"""
    state: tuple[Tensor, ...]
    """final state, each field (L*D, B, .)"""
    states: tuple[Tensor, ...] = ()
    """when traced: each state field of every step, (L*D, T, B, .)"""
    gates: tuple[Tensor, ...] = ()
    """when traced: each gate of every step, (L*D, T, B, H)"""


Direction = Callable[[StackCall, Tensor, Tensor | None, int], Unrolled]
"""Runs one layer and direction: the call, the layer's input (T, B, .), the lengths (B,), and which of the L*D it is."""
