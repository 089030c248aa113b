"""States and gates of every step, as `layer.trace` returns them.

The leading dimension of `h`, `c` and the gates is layers times directions, in the order of torch's `h_n`: l0,
l0_reverse, l1 ... Time and batch follow as in the layer's output, (L*D, T, B, H), (L*D, B, T, H) with `batch_first`, or
(L*D, T, H) unbatched. Steps beyond a row's length are zero. Everything is differentiable.
"""

from typing import NamedTuple

from torch import Tensor

from longhold.cells import GRUGates as GRUGates
from longhold.cells import LSTMGates as LSTMGates


class RNNTrace(NamedTuple):
    """What an RNN did at every step."""

    output: Tensor
    """as the plain call returns it"""
    state: Tensor
    """h_n"""
    h: Tensor
    """hidden states"""


class GRUTrace(NamedTuple):
    """What a GRU did at every step."""

    output: Tensor
    """as the plain call returns it"""
    state: Tensor
    """h_n"""
    h: Tensor
    """hidden states"""
    gates: GRUGates
    """r, z, n after their activations"""


class LSTMTrace(NamedTuple):
    """What an LSTM did at every step."""

    output: Tensor
    """as the plain call returns it"""
    state: tuple[Tensor, Tensor]
    """(h_n, c_n)"""
    h: Tensor
    """hidden states, (..., P)"""
    c: Tensor
    """cell states"""
    gates: LSTMGates
    """i, f, g, o after their activations"""
