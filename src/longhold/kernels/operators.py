"""The C++ extension's recurrences as operators of torch: schema, shapes for tracing, gradients of any order.

One operator runs one layer in one direction over the whole sequence, `longhold::lstm_forward` and so on; the input
projection, the loop over time and all gradients are C++ (`kernels/cpu/`). The input is (T, B, I), or (T, B) int64 ids
that stand for one-hot vectors of width I. `every` sets what is kept for the backward pass: 0 nothing, 1 all of it, k
every k-th cell state, from which the rest is computed again. With `apart` the result h may be written in place: what
the backward pass reads is then `kept`, or for an LSTM that keeps everything in float32 worked out again.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from longhold.cells import GRURecurrence, LSTMRecurrence, Recurrence, RNNRecurrence, product, unroll
from longhold.kernels.addresses import lend, lies_in_memory, of_new
from longhold.kernels.autograd import (
    as_given,
    as_torch_keeps,
    autograd_rule,
    check_upstream,
    one_by_one,
    one_device,
    unwatched,
)
from longhold.kernels.by_cells import differentiate_again, first_gradients, forward_like
from longhold.kernels.call import DirectionParameters
from longhold.kernels.extension import loaded, why_missing
from longhold.kernels.lookup import is_ids

RECURRENCES: dict[str, Recurrence] = {
    "rnn_tanh": RNNRecurrence("tanh"),
    "rnn_relu": RNNRecurrence("relu"),
    "gru": GRURecurrence(),
    "lstm": LSTMRecurrence(),
}
"""The cells of the extension, in its order."""

DTYPES = {torch.float32: "float", torch.float64: "double"}
"""What it computes in, and how its functions are called."""

_ARGUMENTS = (
    "Tensor input, Tensor weight_ih, Tensor weight_hh, Tensor? bias_ih, Tensor? bias_hh, Tensor? h0, Tensor? c0, "
    "Tensor? h_initial, Tensor? c_initial, Tensor? lengths, Tensor? reset, Tensor? mask, bool reverse, int every"
)
_RESULTS = "(Tensor h, Tensor c, Tensor h_n, Tensor c_n, Tensor gates, Tensor extra, Tensor kept)"
_GRADIENTS = (
    "(Tensor d_input, Tensor d_weight_ih, Tensor d_weight_hh, Tensor d_bias_ih, Tensor d_bias_hh, Tensor d_h0, "
    "Tensor d_c0, Tensor d_h_initial, Tensor d_c_initial)"
)
_DIFFERENTIABLE = 9
"""Arguments that have a gradient come first."""
_H0, _APART = 5, 14
"""Where the state and `apart` stand among the arguments."""

_CODES = {kind: code for code, kind in enumerate(RECURRENCES)}
_GATES = {kind: len(cell.gate_names) for kind, cell in RECURRENCES.items()}

FORWARD: dict[str, Any] = {}
"""The operator of each cell."""

_BACKWARD: dict[str, Any] = {}

_LIBRARY: Any = torch.library.Library("longhold", "DEF")  # type: ignore[no-untyped-call]


def _none(like: Tensor) -> Tensor:
    return like.new_empty(0)


def _forward(kind: str, *arguments: Any) -> tuple[Tensor, ...]:
    sizes = _check(kind, arguments)
    if why_missing() is not None:
        return forward_like(
            _fake_forward(kind, *arguments), _reference(kind, arguments[:9], arguments[9:12], arguments[12])
        )
    x, weight_hh, reverse, every = arguments[0], arguments[2], *arguments[12:14]
    steps, batch, _, hidden = sizes
    h, h_n = weight_hh.new_empty((steps, batch, hidden)), weight_hh.new_empty((batch, hidden))
    c, gates, q = _kept(kind, x, weight_hh, every)
    c_n = weight_hh.new_empty((batch, hidden)) if kind == "lstm" else None
    kept = torch.empty_like(h) if _is_apart(kind, arguments) else None
    walked, h_out = (h, None) if kept is None else (kept, h)
    read, copies = lend(_as_read(arguments))
    written = of_new((gates, q, walked, c, h_n, c_n, h_out))
    function = getattr(loaded(), f"forward_{DTYPES[weight_hh.dtype]}")
    function(_CODES[kind], _sizes(sizes, arguments), reverse, read + written, torch.get_num_threads())
    del copies  # held until C++ has read them
    return h, _or_none(c, h), h_n, _or_none(c_n, h), _or_none(gates, h), _or_none(q, h), _or_none(kept, h)


def _needs_h(kind: str, arguments: Sequence[Any]) -> bool:
    """Whether the backward pass reads h. An LSTM's is o * tanh(c), which in float32 is less work than a copy."""
    return not (kind == "lstm" and arguments[13] == 1 and arguments[2].dtype == torch.float32)


def _is_apart(kind: str, arguments: Sequence[Any]) -> bool:
    """Whether h is made twice. (torch leaves an argument out that has its default.)"""
    wanted = len(arguments) > _APART and bool(arguments[_APART]) and arguments[13] > 0
    return wanted and _needs_h(kind, arguments)


def _sizes(sizes: tuple[int, int, int, int], arguments: Sequence[Any]) -> list[int]:
    """T, B, I, H, and what the backward pass works in."""
    x, weight_hh, every = arguments[0], arguments[2], arguments[13]
    segment = _segment(x, weight_hh)
    return [*sizes, segment, _rounded(every, segment)]


_SEGMENT_BYTES = 2048
"""Rows of a segment times bytes of a number: two blocks of the product that makes a weight's gradient."""


def _segment(x: Tensor, weight_hh: Tensor) -> int:
    """Steps of the backward pass whose gradients of gates are held at once."""
    rows = _SEGMENT_BYTES // weight_hh.element_size()
    return (rows + x.shape[1] - 1) // x.shape[1]


def _rounded(every: int, segment: int) -> int:
    """Checkpoints stand where segments begin, so that they change no bit of a gradient."""
    return (every + segment - 1) // segment * segment if every > 1 else every


_Sizes = tuple[int, ...]


def _kept_shapes(
    kind: str, x: Tensor, weight_hh: Tensor, every: int
) -> tuple[_Sizes | None, _Sizes | None, _Sizes | None]:
    """Of what the backward pass needs besides h: c or some of it, the gates, and GRU's q."""
    if every == 0 or kind in ("rnn_tanh", "rnn_relu") or (every > 1 and kind == "gru"):
        return None, None, None
    (steps, batch), (rows, hidden) = x.shape[:2], weight_hh.shape
    if every > 1:
        every = _rounded(every, _segment(x, weight_hh))
        return ((steps + every - 1) // every, batch, hidden), None, None
    gates, other = (steps, batch, rows), (steps, batch, hidden)
    return (other, gates, None) if kind == "lstm" else (None, gates, other)


def _kept(kind: str, x: Tensor, weight_hh: Tensor, every: int) -> list[Tensor | None]:
    """Room for what the backward pass needs besides h."""
    shapes = _kept_shapes(kind, x, weight_hh, every)
    return [None if shape is None else weight_hh.new_empty(shape) for shape in shapes]


def _or_none(tensor: Tensor | None, like: Tensor) -> Tensor:
    return _none(like) if tensor is None else tensor


def _as_read(arguments: Sequence[Any]) -> list[Tensor | None]:
    """The tensors that C++ reads, in its order: features or None, ids or None, and the rest."""
    x, *rest = arguments[:12]
    return [None, x, *rest] if is_ids(x) else [x, None, *rest]


_NAMES = (
    "input", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "h0", "c0", "h_initial", "c_initial", "lengths", "reset",
    "mask",
)  # fmt: skip


def _check(kind: str, arguments: Sequence[Any]) -> tuple[int, int, int, int]:
    """T, B, I and H. C++ reads by address: RuntimeError for whatever has not the dtype and shape that it counts on."""
    x, weight_ih, weight_hh = arguments[:3]
    (steps, batch), width, (rows, hidden), dtype = x.shape[:2], weight_ih.shape[1], weight_hh.shape, weight_hh.dtype
    ids = is_ids(x)
    bias, state = (_GATES[kind] * hidden,), (batch, hidden)
    shapes = (
        (steps, batch) if ids else (steps, batch, width), (rows, width), (*bias, hidden), bias, bias,
        state, state, state, state, (batch,), (steps, batch), state,
    )  # fmt: skip
    dtypes = (torch.int64 if ids else dtype, *(dtype,) * 8, torch.int64, torch.bool, dtype)
    for tensor, shape, wanted, name in zip(arguments, shapes, dtypes, _NAMES, strict=False):
        if tensor is not None and (tensor.dtype is not wanted or tensor.shape != shape):
            raise RuntimeError(
                f"{name} should have dtype {wanted} and shape {shape}, got {tensor.dtype} and {tuple(tensor.shape)}"
            )
    return steps, batch, width, hidden


def _check_kept(kind: str, tensors: Sequence[Tensor | None], arguments: Sequence[Any]) -> None:
    """The same for the gradients from above and for what forward kept."""
    x, weight_hh, every = arguments[0], arguments[2], max(1, arguments[13])
    batch, hidden = x.shape[1], weight_hh.shape[1]
    steps, end = (x.shape[0], batch, hidden), (batch, hidden)
    h = steps if tensors[4] is None or tensors[4].numel() or _needs_h(kind, arguments) else (0,)
    kept = [(0,) if shape is None else shape for shape in _kept_shapes(kind, x, weight_hh, every)]
    names = ("d_h", "d_c", "d_h_n", "d_c_n", "h", "c", "gates", "extra")
    for tensor, shape, name in zip(tensors, (steps, steps, end, end, h, *kept), names, strict=True):
        if tensor is not None and (tensor.dtype is not weight_hh.dtype or tensor.shape != shape):
            raise RuntimeError(
                f"{name} should have dtype {weight_hh.dtype} and shape {shape}, got {tensor.dtype} and "
                f"{tuple(tensor.shape)}"
            )


def _backward(
    kind: str,
    d_h: Tensor | None,
    d_c: Tensor | None,
    d_h_n: Tensor | None,
    d_c_n: Tensor | None,
    h: Tensor,
    c: Tensor,
    gates: Tensor,
    q: Tensor,
    needs_input: bool,
    *arguments: Any,
) -> tuple[Tensor, ...]:
    sizes = _check(kind, arguments)
    _check_kept(kind, (d_h, d_c, d_h_n, d_c_n, h, c, gates, q), arguments)
    weight_hh, reverse = arguments[2], arguments[12]
    gradients = _gradients(kind, needs_input, arguments)
    if why_missing() is not None:
        return _backward_by_cells(kind, (d_h, d_c, d_h_n, d_c_n), gradients, arguments)
    kept = [t if t.numel() else None for t in (gates, q, h, c)]
    read, copies = lend((*_as_read(arguments), *kept, None, None, None))
    above, more_copies = lend((d_h, d_c, d_h_n, d_c_n))
    function = getattr(loaded(), f"backward_{DTYPES[weight_hh.dtype]}")
    function(_CODES[kind], _sizes(sizes, arguments), reverse, read, above + of_new(gradients), torch.get_num_threads())
    del copies, more_copies  # held until C++ has read them
    return tuple(_or_none(d, h) for d in gradients)


def _backward_by_cells(
    kind: str, above: Sequence[Tensor | None], gradients: Sequence[Tensor | None], arguments: Sequence[Any]
) -> tuple[Tensor, ...]:
    like, zeros = arguments[2], arguments[2].new_zeros(arguments[0].shape[1], arguments[2].shape[1])
    leaves = [zeros if t is None and d is not None else t for t, d in zip(arguments[:9], gradients, strict=True)]
    found = first_gradients(lambda leaves: _reference(kind, leaves, arguments[9:12], arguments[12]), above, leaves)
    return tuple(_none(like) if d is None or made is None else d for d, made in zip(found, gradients, strict=True))


def _gradients(kind: str, needs_input: bool, arguments: Sequence[Any]) -> list[Tensor | None]:
    """Room for the gradients of the arguments that have one."""
    x, weight_ih, weight_hh, bias_ih, bias_hh = arguments[:5]
    restarts = arguments[10] is not None
    state = (x.shape[1], weight_hh.shape[1])
    used = (True, kind == "lstm", restarts, kind == "lstm" and restarts)
    return [
        _empty(x) if needs_input else None,
        *(_empty(weight) for weight in (weight_ih, weight_hh, bias_ih, bias_hh)),
        *(weight_hh.new_empty(state) if is_used else None for is_used in used),
    ]


def _empty(like: Tensor | None) -> Tensor | None:
    return None if like is None else torch.empty_like(like, memory_format=torch.contiguous_format)


def _fake_forward(kind: str, *arguments: Any) -> tuple[Tensor, ...]:
    x, weight_hh, every = arguments[0], arguments[2], arguments[13]
    one_device(arguments)
    (steps, batch), hidden = x.shape[:2], weight_hh.shape[1]
    c, gates, q = _kept(kind, x, weight_hh, every)
    h, h_n = weight_hh.new_empty((steps, batch, hidden)), weight_hh.new_empty((batch, hidden))
    c_n = torch.empty_like(h_n) if kind == "lstm" else None
    kept = torch.empty_like(h) if _is_apart(kind, arguments) else None
    return h, _or_none(c, h), h_n, _or_none(c_n, h), _or_none(gates, h), _or_none(q, h), _or_none(kept, h)


def _fake_backward(kind: str, *everything: Any) -> tuple[Tensor, ...]:
    needs_input, arguments = everything[8], everything[9:]
    one_device(everything)
    return tuple(_or_none(d, arguments[2]) for d in _gradients(kind, needs_input, arguments))


def _keep_forward(kind: str, ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    h, c, _, _, gates, q, kept = output
    ctx.mark_non_differentiable(gates, q, kept)
    read = kept if _is_apart(kind, inputs) else h if _needs_h(kind, inputs) else _none(h)
    ctx.save_for_backward(read, c, gates, q, *as_torch_keeps(ctx, inputs[:12], _H0))
    ctx.reverse, ctx.every, ctx.count = *inputs[12:14], len(inputs)
    ctx.set_materialize_grads(False)


def _differentiate_forward(kind: str, ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
    h, c, gates, q, *tensors = ctx.saved_tensors
    d_h, d_c, d_h_n, d_c_n = grads[:4]
    if kind != "lstm":
        d_c = d_c_n = None
    check_upstream(grads)
    direct = not torch.is_grad_enabled() and unwatched(h) and all(map(lies_in_memory, grads[:4]))
    operator = partial(_backward, kind) if direct else _BACKWARD[kind]
    needed = ctx.needs_input_grad[1 : 1 + _DIFFERENTIABLE]
    found = operator(d_h, d_c, d_h_n, d_c_n, h, c, gates, q, needed[0], *tensors, ctx.reverse, ctx.every)
    gradients = [
        d if need and tensor is not None and d.numel() == tensor.numel() else None
        for d, need, tensor in zip(found, needed, tensors, strict=False)
    ]
    return (*gradients, *[None] * (ctx.count - _DIFFERENTIABLE))


def _keep_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs[:4], *inputs[9:21])
    ctx.reverse, ctx.every = inputs[21:]
    ctx.set_materialize_grads(False)


def _differentiate_backward(kind: str, ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
    """Second and higher orders, by the reference loop."""
    saved = ctx.saved_tensors
    rest = saved[4 + _DIFFERENTIABLE :]
    d_above, d_leaves = differentiate_again(
        lambda leaves: _reference(kind, leaves, rest, ctx.reverse), saved[:4], saved[4 : 4 + _DIFFERENTIABLE], grads
    )
    return (*d_above, None, None, None, None, None, *d_leaves, None, None, None, None, None)


def _reference(
    kind: str, leaves: Sequence[Any], rest: Sequence[Tensor | None], reverse: bool
) -> tuple[Tensor | None, ...]:
    x, weight_ih, weight_hh, bias_ih, bias_hh, h0, c0, h_initial, c_initial = leaves
    lengths, reset, mask = rest
    cell = RECURRENCES[kind]
    zeros = weight_hh.new_zeros(x.shape[1], weight_hh.shape[1])
    names = cell.state_names
    fields = [zeros if state is None else state for state in (h0, c0)[: len(names)]]
    initial = [zeros if state is None else state for state in (h_initial, c_initial)[: len(names)]]
    valid = None if lengths is None else torch.arange(x.shape[0], device=x.device).unsqueeze(1) < lengths
    parameters = DirectionParameters(weight_ih, weight_hh, bias_ih, bias_hh)
    run = unroll(
        cell, product(x, weight_ih, bias_ih, None), cell.make_state(*fields), parameters.recurrent(cell),
        initial=cell.make_state(*initial), valid=valid, reset=reset, reverse=reverse, mask_h=mask,
    )  # fmt: skip
    h_n, *c_n = run.final
    return run.states[0], run.states[1] if c_n else None, h_n, c_n[0] if c_n else None


def _kept_for_backward(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*arguments[:13], max(1, arguments[13]), *arguments[_APART:])


def _register(kind: str) -> None:
    saved = "Tensor h, Tensor c, Tensor gates, Tensor extra"
    upstream = "Tensor? d_h, Tensor? d_c, Tensor? d_h_n, Tensor? d_c_n"
    forward, backward = f"{kind}_forward", f"{kind}_backward"
    _LIBRARY.define(f"{forward}({_ARGUMENTS}, bool apart=False) -> {_RESULTS}")
    _LIBRARY.define(f"{backward}({upstream}, {saved}, bool needs_input, {_ARGUMENTS}) -> {_GRADIENTS}")
    _LIBRARY.impl(forward, partial(_forward, kind), "CPU")
    _LIBRARY.impl(backward, partial(_backward, kind), "CPU")
    torch.library.register_fake(f"longhold::{forward}", partial(_fake_forward, kind), lib=_LIBRARY)
    torch.library.register_fake(f"longhold::{backward}", partial(_fake_backward, kind), lib=_LIBRARY)
    rules = (
        (
            forward,
            partial(_keep_forward, kind),
            partial(_differentiate_forward, kind),
            _kept_for_backward,
            partial(_forward, kind),
        ),
        (backward, _keep_backward, partial(_differentiate_backward, kind), as_given, None),
    )
    for name, keep, differentiate, kept, kernel in rules:
        operator = getattr(torch.ops.longhold, name).default
        _LIBRARY.impl(name, autograd_rule(operator, keep, differentiate, kept, kernel), "Autograd", with_keyset=True)
    torch.library.register_vmap(f"longhold::{backward}", partial(one_by_one, backward), lib=_LIBRARY)


for _kind in RECURRENCES:
    _register(_kind)
    FORWARD[_kind] = getattr(torch.ops.longhold, f"{_kind}_forward").default
    _BACKWARD[_kind] = getattr(torch.ops.longhold, f"{_kind}_backward").default
