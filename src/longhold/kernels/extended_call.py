"""What the operators of cells with options take and return, and what is checked before C++ reads it by address."""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from longhold.cells import GRURecurrence, LSTMRecurrence, Recurrence, RNNRecurrence
from longhold.kernels.call import DirectionParameters

EXTENDED: dict[str, Recurrence] = {
    "rnn_tanh": RNNRecurrence("tanh"),
    "rnn_relu": RNNRecurrence("relu"),
    "gru": GRURecurrence(),
    "gru_before": GRURecurrence(reset_after=False),
    "lstm": LSTMRecurrence(),
    "lstm_coupled": LSTMRecurrence(coupled=True),
}
"""The cells with options, in the extension's order."""


class Arguments(NamedTuple):
    """What the operators take; those up to `c_initial` have a gradient."""

    input: Tensor
    """(T, B, I)"""
    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None
    weight_hr: Tensor | None
    weight_peephole: Tensor | None
    weight_norm_ih: Tensor | None
    weight_norm_hh: Tensor | None
    weight_norm_c: Tensor | None
    bias_norm_c: Tensor | None
    h0: Tensor | None
    """(B, P), zeros where None; so are the other states"""
    c0: Tensor | None
    """(B, H)"""
    h_initial: Tensor | None
    c_initial: Tensor | None
    lengths: Tensor | None
    """(B,) int64; of a row of length 0 the state goes on as it is"""
    reset: Tensor | None
    """(T, B) bool"""
    mask: Tensor | None
    """(B, P), recurrent dropout"""
    zoneout_h: Tensor | None
    """(T, B, P) bool, true keeps the old value"""
    zoneout_c: Tensor | None
    """(T, B, H) bool"""
    rate_h: float
    """zoneout's expectation, where there is no mask"""
    rate_c: float
    reverse: bool
    keep: bool
    """also return the gates where no gradient needs them"""

    @property
    def tensors(self) -> tuple[Tensor | None, ...]:
        """All but the numbers and flags at the end."""
        return cast(tuple[Tensor | None, ...], self[:TENSORS])

    @property
    def leaves(self) -> tuple[Tensor | None, ...]:
        """What has a gradient."""
        return self.tensors[:LEAVES]

    @property
    def parameters(self) -> DirectionParameters:
        """As the cells take them."""
        return DirectionParameters(*self[1:11])


LEAVES = 15
"""How many arguments have a gradient,"""
TENSORS = 20
"""and how many are tensors."""
SCHEMA = ", ".join(
    [
        "Tensor input, Tensor weight_ih, Tensor weight_hh",
        *(f"Tensor? {name}" for name in Arguments._fields[3:TENSORS]),
        "float rate_h, float rate_c, bool reverse, bool keep",
    ]
)


class Results(NamedTuple):
    """What the forward operators return; a tensor that the cell or the call has no use for has no elements."""

    h: Tensor
    """(T, B, P)"""
    c: Tensor
    """(T, B, H)"""
    h_n: Tensor
    c_n: Tensor
    gates: Tensor
    """(T, B, G*H), after their activations; of an RNN h before zoneout"""
    product_x: Tensor
    """(T, B, G*H): the input's product before its layer norm"""
    norm: Tensor
    """(T, B, G*H): the recurrent product normalized"""
    scale: Tensor
    """(T, B, groups): 1 / std of each group of it"""
    q: Tensor
    """(T, B, H): GRU's q = W_hn h + b_hn"""


class Upstream(NamedTuple):
    """The gradients of what the forward operators return, None where nothing depends on it."""

    h: Tensor | None
    c: Tensor | None
    h_n: Tensor | None
    c_n: Tensor | None
    gates: Tensor | None


RESULT_NAMES = ("h", "c", "h_n", "c_n", "gates", "share", "norm", "scale", "extra")
"""What the schemas call the fields of `Results`; exported programs refer to them."""

KEPT = (0, 1, 4, 5, 6, 7, 8)
"""Results that backward reads: all but the final state."""


class Shape(NamedTuple):
    """The sizes of one call."""

    kind: str
    T: int
    B: int
    H: int
    P: int
    rows: int
    """G*H"""
    groups: tuple[int, ...]
    """widths that layer norm treats apart"""
    has_c: bool
    """whether it is an LSTM"""
    splits_candidate: bool
    """whether a bias stands inside the reset product, so that the candidate's two products have different gradients"""


def shape_of(kind: str, a: Arguments) -> Shape:
    """The sizes of a call, of tensors that aren't checked yet."""
    cell, (steps, batch), (rows, width) = EXTENDED[kind], a.input.shape[:2], a.weight_hh.shape
    gates, has_c = len(cell.gate_names), len(cell.state_names) == 2
    hidden = rows // gates
    return Shape(kind, steps, batch, hidden, width, gates * hidden, cell.norm_groups(hidden), has_c, kind == "gru")


def with_states(n: Shape, a: Arguments) -> Arguments:
    """Zeros for the states that the walk will read and that are None."""

    def zeros(state: Tensor | None, width: int, needed: bool = True) -> Tensor | None:
        return a.weight_hh.new_zeros((n.B, width)) if state is None and needed else state

    resets = a.reset is not None
    return a._replace(
        h0=zeros(a.h0, n.P),
        c0=zeros(a.c0, n.H, n.has_c),
        h_initial=zeros(a.h_initial, n.P, resets),
        c_initial=zeros(a.c_initial, n.H, n.has_c and resets),
    )


def no_numbers(like: Tensor) -> Tensor:
    """What stands for a result that there isn't."""
    return like.new_empty(0)


def split_backward(everything: Sequence[Any]) -> tuple[Upstream, Results, bool, Arguments]:
    """A backward operator's arguments: the gradients, what forward kept, whether the input needs one, its arguments."""
    h, c, gates, product_x, norm, scale, q = everything[5:12]
    none = no_numbers(h)
    kept = Results(h, c, none, none, gates, product_x, norm, scale, q)
    return Upstream(*everything[:5]), kept, everything[12], Arguments(*everything[13:])


def check(n: Shape, a: Arguments) -> None:
    """C++ reads by address: RuntimeError for whatever has not the dtype and shape that it counts on."""
    rows, state, cell_state = (n.rows,), (n.B, n.P), (n.B, n.H)
    peepholes = (n.rows - n.H,)
    shapes = (
        (n.T, n.B, a.input.shape[2]), (n.rows, a.input.shape[2]), (n.rows, n.P), rows, rows, (n.P, n.H), peepholes,
        rows, rows, (n.H,), (n.H,), state, cell_state, state, cell_state,
    )  # fmt: skip
    dtype = a.weight_hh.dtype
    wanted = [(dtype, shape) for shape in shapes]
    wanted += [(torch.int64, (n.B,)), (torch.bool, (n.T, n.B)), (dtype, state)]
    wanted += [(torch.bool, (n.T, n.B, n.P)), (torch.bool, (n.T, n.B, n.H))]
    for name, tensor, (kind, shape) in zip(a._fields, a.tensors, wanted, strict=False):
        if tensor is not None and (tensor.dtype != kind or tuple(tensor.shape) != shape):
            raise RuntimeError(
                f"{name} should have dtype {kind} and shape {shape}, got {tensor.dtype} and {tuple(tensor.shape)}"
            )
    if n.T == 0:
        raise RuntimeError("input should have at least one step, got none")
    if (a.bias_ih is None) != (a.bias_hh is None):
        raise RuntimeError("bias_ih and bias_hh should both be there or neither, got one")
    if a.weight_hr is None and n.P != n.H:
        raise RuntimeError(f"without weight_hr h should be as wide as the gates, {n.H}, got {n.P}")
    of_c = (a.weight_hr, a.weight_peephole, a.weight_norm_c, a.bias_norm_c, a.c0, a.c_initial, a.zoneout_c)
    if not n.has_c and (a.rate_c != 0 or any(tensor is not None for tensor in of_c)):
        raise RuntimeError(f"{n.kind} has neither projection, peepholes nor a cell state")


def check_kept(n: Shape, a: Arguments, upstream: Upstream, kept: Results) -> None:
    """RuntimeError where a gradient or what forward kept has not the dtype and shape that C++ counts on."""
    if not n.has_c and (upstream.c is not None or upstream.c_n is not None):
        raise RuntimeError(f"{n.kind} has no cell state, got a gradient of it")
    steps, end = {"h": n.P, "c": n.H, "gates": n.rows}, {"h_n": n.P, "c_n": n.H}
    normed = a.weight_norm_hh is not None
    wanted = {name: (n.T, n.B, width) for name, width in steps.items()} | {k: (n.B, w) for k, w in end.items()}
    found = [(f"d_{name}", getattr(upstream, name), shape) for name, shape in wanted.items()]
    found += [("h", kept.h, wanted["h"]), ("gates", kept.gates, wanted["gates"])]
    found += [("c", kept.c, wanted["c"])] if n.has_c else []
    found += [("share", kept.product_x, wanted["gates"])] if a.weight_norm_ih is not None else []
    found += [("norm", kept.norm, wanted["gates"]), ("scale", kept.scale, (n.T, n.B, len(n.groups)))] if normed else []
    found += [("extra", kept.q, wanted["c"])] if n.splits_candidate else []
    for name, tensor, shape in found:
        if tensor is not None and (tensor.dtype != a.weight_hh.dtype or tuple(tensor.shape) != shape):
            raise RuntimeError(
                f"{name} should have dtype {a.weight_hh.dtype} and shape {shape}, got {tensor.dtype} and "
                f"{tuple(tensor.shape)}"
            )
