"""One call of a stack of recurrent layers, as every backend receives it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from longhold.cells import GRUWeights, LSTMWeights, Recurrence, RNNWeights
from longhold.cells.recurrence import Zoneout


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
    state: tuple[Tensor, ...]
    """state before the first step, each field (L*D, B, .)"""
    initial: tuple[Tensor, ...]
    """state that a reset restores, each field (L*D, B, .)"""
    lengths: Tensor | None = None
    """(B,) int64, 1 to T"""
    reset: Tensor | None = None
    """(T, B) bool, false beyond a row's length"""
    dropout: float = 0.0
    """rate between layers"""
    training: bool = False
    noise: Sequence[DirectionNoise] = ()
    """one per layer and direction, or empty"""
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

    def layer(self, index: int, layer_input: Tensor | PackedSequence) -> "StackCall":
        """The call of one layer alone on its own input."""
        rows = slice(index * self.directions, (index + 1) * self.directions)
        return replace(
            self,
            num_layers=1,
            parameters=self.parameters[rows],
            input=layer_input,
            state=tuple(field[rows] for field in self.state),
            initial=tuple(field[rows] for field in self.initial),
            noise=self.noise[rows],
            dropout=0.0,
        )


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
