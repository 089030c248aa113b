"""The C++ extension's recurrences as operators of torch: schema, shapes for tracing, gradients of any order.

One operator runs one layer in one direction over the whole sequence, `longhold::lstm_forward` and so on. Its input is
(T, B, I), or (T, B) int64 ids that stand for one-hot vectors (`kernels/lookup.py`). Products over
all steps at once (the input's share before the loop, the weight gradients after it) are torch's matrix products; what
has to walk through time is C++ (`kernels/cpu/`).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from longhold.cells import GRURecurrence, LSTMRecurrence, Recurrence, RNNRecurrence, product, unroll
from longhold.kernels.call import DirectionParameters
from longhold.kernels.extension import loaded
from longhold.kernels.lookup import input_gradients, input_share, is_ids

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
    "Tensor input, Tensor weight_ih, Tensor weight_hh, Tensor? bias_ih, Tensor? bias_hh, Tensor h0, Tensor? c0, "
    "Tensor h_initial, Tensor? c_initial, Tensor? lengths, Tensor? reset, Tensor? mask, bool reverse"
)
_RESULTS = "(Tensor h, Tensor c, Tensor h_n, Tensor c_n, Tensor gates, Tensor extra)"
_GRADIENTS = (
    "(Tensor d_input, Tensor d_weight_ih, Tensor d_weight_hh, Tensor d_bias_ih, Tensor d_bias_hh, Tensor d_h0, "
    "Tensor d_c0, Tensor d_h_initial, Tensor d_c_initial)"
)
_DIFFERENTIABLE = 9
"""Arguments that have a gradient come first."""

_LIBRARY: Any = torch.library.Library("longhold", "DEF")  # type: ignore[no-untyped-call]


def _none(like: Tensor) -> Tensor:
    return like.new_empty(0)


def _forward(kind: str, *arguments: Any) -> tuple[Tensor, ...]:
    _check(kind, arguments)
    x, weight_ih, weight_hh, bias_ih, bias_hh, *_ = arguments
    steps, batch, hidden = x.shape[0], x.shape[1], weight_hh.shape[1]
    has_c, has_extra = kind == "lstm", kind == "gru"
    gates = input_share(x, weight_ih, _bias(kind, bias_ih, bias_hh))
    h, h_n = weight_hh.new_empty(steps, batch, hidden), weight_hh.new_empty(batch, hidden)
    c, c_n = (torch.empty_like(h), torch.empty_like(h_n)) if has_c else (_none(weight_hh), _none(weight_hh))
    extra = torch.empty_like(h) if has_extra else _none(weight_hh)
    held = _held(kind, arguments)
    outputs = (gates, extra if has_extra else None, h, c if has_c else None, h_n, c_n if has_c else None)
    _walk(kind, "forward", x, weight_hh, bool(arguments[12]), _addresses(held, outputs))
    return h, c, h_n, c_n, gates, extra


def _check(kind: str, arguments: Sequence[Any]) -> None:
    """C++ reads by address: RuntimeError for whatever has not the dtype and shape that it counts on."""
    names = ("input", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "h0", "c0", "h_initial", "c_initial", "mask")
    x, weight_ih, weight_hh, *_ = arguments
    steps, batch, *_ = x.shape
    dtype, width, hidden = weight_hh.dtype, weight_ih.shape[1], weight_hh.shape[1]
    rows, state = len(RECURRENCES[kind].gate_names) * hidden, (batch, hidden)
    bias, read = (rows,), (steps, batch) if is_ids(x) else (steps, batch, width)
    shapes = (read, (rows, width), (rows, hidden), bias, bias, state, state, state, state, state)
    for name, tensor, shape in zip(names, (*arguments[:9], arguments[11]), shapes, strict=True):
        wanted = x.dtype if is_ids(x) and tensor is x else dtype
        if tensor is not None and (tensor.dtype != wanted or tuple(tensor.shape) != shape):
            raise RuntimeError(
                f"{name} should have dtype {wanted} and shape {shape}, got {tensor.dtype} and {tuple(tensor.shape)}"
            )
    if kind == "lstm" and (arguments[6] is None or arguments[8] is None):
        raise RuntimeError("an LSTM needs c0 and c_initial")
    for name, tensor, dtype, wanted in (
        ("lengths", arguments[9], torch.int64, (batch,)),
        ("reset", arguments[10], torch.bool, (steps, batch)),
    ):
        if tensor is not None and (tensor.dtype != dtype or tuple(tensor.shape) != wanted):
            raise RuntimeError(
                f"{name} should have dtype {dtype} and shape {wanted}, got {tensor.dtype} and {tuple(tensor.shape)}"
            )


def _bias(kind: str, bias_ih: Tensor | None, bias_hh: Tensor | None) -> Tensor | None:
    """What is added before the loop: both biases, but GRU's b_hn, which stands inside the reset product."""
    if bias_ih is None or bias_hh is None:
        return None
    if kind != "gru":
        return bias_ih + bias_hh
    cut = 2 * (bias_hh.shape[0] // 3)
    return torch.cat([bias_ih[:cut] + bias_hh[:cut], bias_ih[cut:]])


def _held(kind: str, arguments: Sequence[Any]) -> list[Tensor | None]:
    """What the walk reads, dense: weight, inner bias, h0, c0, h_initial, c_initial, lengths, reset, mask."""
    _, _, weight_hh, _, bias_hh, h0, c0, h_initial, c_initial, lengths, reset, mask, _ = arguments
    inner = bias_hh[2 * weight_hh.shape[1] :] if kind == "gru" and bias_hh is not None else None
    read = (weight_hh, inner, h0, c0, h_initial, c_initial, lengths, reset, mask)
    return [None if tensor is None else tensor.contiguous() for tensor in read]


def _addresses(held: Sequence[Tensor | None], outputs: Sequence[Tensor | None]) -> list[int]:
    weight, inner, *states = held
    gates, extra, *ends = outputs
    order = (weight, inner, gates, extra, *states, *ends)
    return [0 if tensor is None else tensor.data_ptr() for tensor in order]


def _walk(
    kind: str,
    way: str,
    x: Tensor,
    weight_hh: Tensor,
    reverse: bool,
    addresses: list[int],
    gradients: list[int] | None = None,
) -> None:
    steps, batch = x.shape[:2]
    sizes = (list(RECURRENCES).index(kind), steps, batch, weight_hh.shape[1], reverse, addresses)
    threads = torch.get_num_threads()
    function = getattr(loaded(), f"{way}_{DTYPES[weight_hh.dtype]}")
    function(*sizes, threads) if gradients is None else function(*sizes, gradients, threads)


def _backward(
    kind: str,
    d_h: Tensor,
    d_c: Tensor | None,
    d_h_n: Tensor,
    d_c_n: Tensor | None,
    h: Tensor,
    c: Tensor,
    gates: Tensor,
    extra: Tensor,
    needs_input: bool,
    *arguments: Any,
) -> tuple[Tensor, ...]:
    _check(kind, arguments)
    x, weight_ih, weight_hh, bias_ih, bias_hh, _, _, _, _, lengths, reset, _, reverse = arguments
    kept = {"d_h": d_h, "d_h_n": d_h_n, "h": h, "gates": gates}
    for name, tensor in kept.items():
        if tensor.dtype != weight_hh.dtype:
            raise RuntimeError(f"{name} should have dtype {weight_hh.dtype}, got {tensor.dtype}")
    has_c, has_extra = kind == "lstm", kind == "gru"
    held = _held(kind, arguments)
    addresses = _addresses(held, (gates, extra if has_extra else None, h, c if has_c else None, None, None))
    d_gates, d_extra = torch.empty_like(gates), torch.empty_like(h) if has_extra else None
    d_h0 = d_h_n.contiguous().clone()
    d_c0 = d_c_n.contiguous().clone() if has_c and d_c_n is not None else None
    d_initial = [None if d is None or reset is None else torch.zeros_like(d) for d in (d_h0, d_c0)]
    d_out = d_h.contiguous()
    d_cs = None if d_c is None or not has_c else d_c.contiguous()
    written = (d_out, d_cs, d_h0, d_c0, *d_initial, d_gates, d_extra)
    gradients = [0 if tensor is None else tensor.data_ptr() for tensor in written]
    _walk(kind, "backward", x, weight_hh, reverse, addresses, gradients)
    d_gates_h = d_gates if d_extra is None else torch.cat([d_gates[..., : 2 * h.shape[-1]], d_extra], dim=-1)
    before = _states_before(h, held[2], held[4], lengths, reset, reverse, arguments[11])
    flat = d_gates_h.flatten(0, 1)
    d_input, d_weight_ih, d_bias_ih = input_gradients(
        x, weight_ih, d_gates, needs_input=needs_input, has_bias=bias_ih is not None
    )
    return (
        d_input,
        d_weight_ih,
        flat.T @ before.flatten(0, 1),
        d_bias_ih,
        _none(weight_hh) if bias_hh is None else d_bias_ih.clone() if d_extra is None else flat.sum(0),
        d_h0,
        _none(weight_hh) if d_c0 is None else d_c0,
        *(_none(weight_hh) if d is None else d for d in d_initial),
    )


def _states_before(
    h: Tensor,
    h0: Tensor | None,
    h_initial: Tensor | None,
    lengths: Tensor | None,
    reset: Tensor | None,
    reverse: bool,
    mask: Tensor | None,
) -> Tensor:
    """The h that each step's recurrent product saw, (T, B, H)."""
    assert h0 is not None
    if reverse:
        before = torch.cat([h[1:], h0.unsqueeze(0)])
        if lengths is not None:
            last = torch.arange(h.shape[0]).unsqueeze(1) == lengths - 1
            before = torch.where(last.unsqueeze(-1), h0, before)
    else:
        before = torch.cat([h0.unsqueeze(0), h[:-1]])
    if reset is not None:
        assert h_initial is not None
        cuts = torch.cat([reset[1:], torch.zeros_like(reset[:1])]) if reverse else reset
        before = torch.where(cuts.unsqueeze(-1), h_initial, before)
    return before if mask is None else before * mask


def _fake_forward(kind: str, *arguments: Any) -> tuple[Tensor, ...]:
    x, weight_ih, weight_hh, *_ = arguments
    steps, batch, hidden = x.shape[0], x.shape[1], weight_hh.shape[1]
    h, h_n = weight_hh.new_empty(steps, batch, hidden), weight_hh.new_empty(batch, hidden)
    c, c_n = (torch.empty_like(h), torch.empty_like(h_n)) if kind == "lstm" else (_none(weight_hh), _none(weight_hh))
    return (
        h,
        c,
        h_n,
        c_n,
        weight_hh.new_empty(steps, batch, weight_ih.shape[0]),
        torch.empty_like(h) if kind == "gru" else _none(weight_hh),
    )


def _fake_backward(kind: str, *everything: Any) -> tuple[Tensor, ...]:
    needs_input, arguments = everything[8], everything[9:]
    x, weight_ih, weight_hh, bias_ih, bias_hh, h0, c0, _, _, _, reset, *_ = arguments
    has_c = kind == "lstm"

    def like(tensor: Tensor) -> Tensor:
        return tensor.new_empty(tensor.shape)

    return (
        like(x) if needs_input else _none(weight_hh),
        like(weight_ih),
        like(weight_hh),
        _none(weight_hh) if bias_ih is None else like(bias_ih),
        _none(weight_hh) if bias_hh is None else like(bias_hh),
        like(h0),
        like(c0) if has_c else _none(weight_hh),
        _none(weight_hh) if reset is None else like(h0),
        like(c0) if has_c and reset is not None else _none(weight_hh),
    )


def _keep_forward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    h, c, _, _, gates, extra = output
    ctx.mark_non_differentiable(gates, extra)
    ctx.save_for_backward(h, c, gates, extra, *inputs[:12])
    ctx.reverse = inputs[12]
    ctx.set_materialize_grads(False)


def _differentiate_forward(kind: str, ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
    h, c, gates, extra, *tensors = ctx.saved_tensors
    d_h, d_c, d_h_n, d_c_n, _, _ = grads
    h0 = tensors[5]
    d_h = torch.zeros_like(h) if d_h is None else d_h
    d_h_n = torch.zeros_like(h0) if d_h_n is None else d_h_n
    if kind == "lstm":
        d_c_n = torch.zeros_like(h0) if d_c_n is None else d_c_n
    else:
        d_c = d_c_n = None
    operator = getattr(torch.ops.longhold, f"{kind}_backward")
    found = operator(d_h, d_c, d_h_n, d_c_n, h, c, gates, extra, ctx.needs_input_grad[1], *tensors, ctx.reverse)
    needed = ctx.needs_input_grad[1 : 1 + _DIFFERENTIABLE]
    given = [
        d if need and tensor is not None and d.numel() == tensor.numel() else None
        for d, need, tensor in zip(found, needed, tensors, strict=False)
    ]
    return (*given, None, None, None, None)


def _keep_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs[:4], *inputs[9:21])
    ctx.reverse = inputs[21]
    ctx.set_materialize_grads(False)


def _differentiate_backward(kind: str, ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
    """Second and higher orders, by the reference loop: the first gradients are taken again, this time with a graph."""
    higher = torch.is_grad_enabled()
    with torch.enable_grad():
        above = [_aliased(t) for t in ctx.saved_tensors[:4]]
        leaves = [_aliased(t) for t in ctx.saved_tensors[4 : 4 + _DIFFERENTIABLE]]
        outputs = _reference(kind, leaves, ctx.saved_tensors[4 + _DIFFERENTIABLE :], ctx.reverse)
        pairs = [(o, d) for o, d in zip(outputs, above, strict=True) if o is not None and d is not None]
        inputs = [leaf for leaf in leaves if leaf is not None and leaf.requires_grad]
        first = torch.autograd.grad(
            [o for o, _ in pairs],
            inputs,
            [d for _, d in pairs],
            create_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        by_leaf = dict(zip(map(id, inputs), first, strict=True))
        told = [
            (by_leaf[id(leaf)], g)
            for leaf, g in zip(leaves, grads, strict=True)
            if leaf is not None and id(leaf) in by_leaf and g is not None and g.numel() == leaf.numel()
        ]
        sources = [t for t in above if t is not None] + inputs
        second = torch.autograd.grad(
            [f for f, _ in told], sources, [g for _, g in told], create_graph=higher, allow_unused=True
        )
    found = dict(zip(map(id, sources), second, strict=True))
    d_above = [None if t is None else found[id(t)] for t in above]
    d_leaves = [found.get(id(t)) for t in leaves]
    return (*d_above, None, None, None, None, None, *d_leaves, None, None, None, None)


def _aliased(tensor: Tensor | None) -> Tensor | None:
    """The same tensor as something to differentiate by, still part of the graph it came from; ids as they are."""
    if tensor is None or not tensor.is_floating_point():
        return tensor
    return tensor.view_as(tensor) if tensor.requires_grad else tensor.detach().requires_grad_()


def _reference(
    kind: str, leaves: Sequence[Any], rest: Sequence[Tensor | None], reverse: bool
) -> tuple[Tensor | None, ...]:
    x, weight_ih, weight_hh, bias_ih, bias_hh, h0, c0, h_initial, c_initial = leaves
    lengths, reset, mask = rest
    cell = RECURRENCES[kind]
    fields = [h0] if c0 is None else [h0, c0]
    initial = [h_initial] if c_initial is None else [h_initial, c_initial]
    valid = None if lengths is None else torch.arange(x.shape[0]).unsqueeze(1) < lengths
    parameters = DirectionParameters(weight_ih, weight_hh, bias_ih, bias_hh)
    run = unroll(
        cell, product(x, weight_ih, bias_ih, None), cell.make_state(*fields), parameters.recurrent(cell),
        initial=cell.make_state(*initial), valid=valid, reset=reset, reverse=reverse, mask_h=mask,
    )  # fmt: skip
    h_n, *c_n = run.final
    return run.states[0], run.states[1] if c_n else None, h_n, c_n[0] if c_n else None


def _autograd(operator: Any, keep: Callable[..., None], differentiate: Callable[..., tuple[Any, ...]]) -> Any:
    """The operator's autograd rule.

    As `torch.library.register_autograd` makes it, but without its search for default arguments: that alone takes some
    60 microseconds a call, as long as a small recurrence.
    """

    def redispatch(keys: Any, arguments: tuple[Any, ...]) -> tuple[Tensor, ...]:
        with torch._C._AutoDispatchBelowAutograd():
            found: tuple[Tensor, ...] = operator.redispatch(keys & torch._C._after_autograd_keyset, *arguments)
            return found

    class Recurrent(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, keys: Any, *arguments: Any) -> tuple[Tensor, ...]:
            output = redispatch(keys, arguments)
            keep(ctx, arguments, output)
            return output

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
            return (None, *differentiate(ctx, *grads))

    def implementation(keys: Any, *arguments: Any) -> tuple[Tensor, ...]:
        if torch.is_grad_enabled() and torch._C._any_requires_grad(*arguments):
            applied: tuple[Tensor, ...] = Recurrent.apply(keys, *arguments)  # type: ignore[no-untyped-call]
            return applied
        return redispatch(keys, arguments)

    return implementation


def _register(kind: str) -> None:
    saved = "Tensor h, Tensor c, Tensor gates, Tensor extra"
    upstream = "Tensor d_h, Tensor? d_c, Tensor d_h_n, Tensor? d_c_n"
    forward, backward = f"{kind}_forward", f"{kind}_backward"
    _LIBRARY.define(f"{forward}({_ARGUMENTS}) -> {_RESULTS}")
    _LIBRARY.define(f"{backward}({upstream}, {saved}, bool needs_input, {_ARGUMENTS}) -> {_GRADIENTS}")
    _LIBRARY.impl(forward, partial(_forward, kind), "CPU")
    _LIBRARY.impl(backward, partial(_backward, kind), "CPU")
    torch.library.register_fake(f"longhold::{forward}", partial(_fake_forward, kind), lib=_LIBRARY)
    torch.library.register_fake(f"longhold::{backward}", partial(_fake_backward, kind), lib=_LIBRARY)
    rules = (
        (forward, _keep_forward, partial(_differentiate_forward, kind)),
        (backward, _keep_backward, partial(_differentiate_backward, kind)),
    )
    for name, keep, differentiate in rules:
        operator = getattr(torch.ops.longhold, name).default
        _LIBRARY.impl(name, _autograd(operator, keep, differentiate), "Autograd", with_keyset=True)


for _kind in RECURRENCES:
    _register(_kind)
