"""A language model as integers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from longhold.integer.fixed import Integers, Tables

Bits: TypeAlias = Literal[8, 16]
"""Width of a weight."""

Cell: TypeAlias = Literal["rnn", "gru", "lstm"]

GATES: Mapping[Cell, tuple[str, ...]] = {"rnn": ("h",), "gru": ("r", "z", "n"), "lstm": ("i", "f", "g", "o")}
"""Blocks of H rows in the weights of each cell, in torch's order."""

FIELDS: Mapping[Cell, tuple[str, ...]] = {"rnn": ("h",), "gru": ("h",), "lstm": ("h", "c")}
"""What the state of each cell consists of."""


@final
@dataclass(frozen=True)
class Matrix:
    """A matrix (R, K) as small integers with a scale for each row, itself a small integer over a power of two:

    w[r, k] = values[r, k] * multiplier[r] / 2^shift[r]
    """

    values: NDArray[np.int8] | NDArray[np.int16]
    """(R, K), from -127 to 127 or from -32767 to 32767"""
    multiplier: NDArray[np.int16]
    """(R,), from 1 to 256"""
    shift: NDArray[np.int8]
    """(R,), from 1 to 40"""

    def scales(self) -> Integers:
        """(R,), `multiplier / 2^shift`; exact."""
        return np.ldexp(self.multiplier.astype(np.float64), -self.shift.astype(np.int32))

    def weights(self) -> Integers:
        """(R, K), the numbers that it stands for; exact."""
        return self.values * self.scales()[:, None]


@final
@dataclass(frozen=True)
class Layer:
    """One recurrent layer; biases and states are in units of 1 / UNIT."""

    weight_ih: Matrix
    """(G*H, I)"""
    weight_hh: Matrix
    """(G*H, H)"""
    bias_ih: NDArray[np.int32]
    """(G*H,)"""
    bias_hh: NDArray[np.int32]
    """(G*H,)"""
    initial: tuple[NDArray[np.int32], ...]
    """the state before the first token, (H,) for each field"""
    zoneout: tuple[int, ...]
    """for each field, the fraction of the old value that stays, in units of 1 / UNIT"""


@final
@dataclass(frozen=True)
class IntegerModel:
    """A language model whose every number is an integer; see docs/math/integer.md for what is computed."""

    cell: Cell
    """which recurrence"""
    bits: Bits
    """width of a weight"""
    reset_after: bool
    """GRU: whether the reset gate acts after the recurrent product"""
    coupled_gates: bool
    """LSTM: whether the forget gate is 1 - the input gate; the weights then have no rows for it"""
    embedding: Matrix | None
    """(V, I); None: an id goes in as a one-hot vector"""
    layers: tuple[Layer, ...]
    """from the bottom to the top"""
    output: Matrix
    """(V, H); a tied model's embedding is this very object"""
    output_bias: NDArray[np.int32]
    """(V,), in units of 1 / UNIT"""
    tables: Tables
    """sigmoid, tanh and exp"""

    @property
    def vocab_size(self) -> int:
        """V."""
        return len(self.output_bias)

    @property
    def hidden_size(self) -> int:
        """H."""
        return int(self.output.values.shape[1])

    @property
    def gate_names(self) -> tuple[str, ...]:
        """Blocks of H rows in the weights."""
        names = GATES[self.cell]
        return tuple(name for name in names if name != "f") if self.coupled_gates else names

    @property
    def tied(self) -> bool:
        """Whether embedding and output are one matrix."""
        return self.embedding is self.output
