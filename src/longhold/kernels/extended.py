"""The cells with options by the C++ extension: what `operators` leaves out, and the trace.

One operator for each cell runs one layer in one direction over the whole sequence, `longhold::extended_lstm_forward`
and so on: layer norm, peepholes, projection, coupled gates, the original GRU, zoneout, and gradients of the gates.
Products over all steps at once, and the layer norm of the input projection, are torch's; the loop over time is C++
(`kernels/cpu/extended.cpp`).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from longhold.cells import GRURecurrence, LSTMRecurrence, Recurrence, Unrolled, product, unroll
from longhold.kernels.addresses import check_memory, lend, of_new
from longhold.kernels.autograd import (
    as_given,
    as_torch_keeps,
    autograd_rule,
    check_upstream,
    one_by_one,
    one_device,
)
from longhold.kernels.by_cells import differentiate_again, first_gradients, forward_like
from longhold.kernels.call import DirectionNoise, StackCall
from longhold.kernels.extended_call import (
    EXTENDED,
    KEPT,
    LEAVES,
    RESULT_NAMES,
    SCHEMA,
    TENSORS,
    Arguments,
    Results,
    Shape,
    Upstream,
    check,
    check_kept,
    no_numbers,
    shape_of,
    split_backward,
    with_states,
)
from longhold.kernels.extended_products import (
    input_bias,
    input_norm_backward,
    normalize_input,
    operands,
    weight_gradient,
)
from longhold.kernels.extension import loaded, why_missing
from longhold.kernels.operators import DTYPES


def _results(n: Shape, a: Arguments, gates: Tensor, product_x: Tensor) -> Results:
    """Room for all results but those that torch's product makes."""
    new, none = a.weight_hh.new_empty, (0,)
    normed = a.keep and a.weight_norm_hh is not None
    return Results(
        h=new((n.T, n.B, n.P)),
        c=new((n.T, n.B, n.H) if n.has_c else none),
        h_n=new((n.B, n.P)),
        c_n=new((n.B, n.H) if n.has_c else none),
        gates=gates,
        product_x=product_x,
        norm=new((n.T, n.B, n.rows) if normed else none),
        scale=new((n.T, n.B, len(n.groups)) if normed else none),
        q=new((n.T, n.B, n.H) if a.keep and n.splits_candidate else none),
    )


def _forward(kind: str, *arguments: Any) -> tuple[Tensor, ...]:
    a = Arguments(*arguments)
    n, normed = shape_of(kind, a), a.weight_norm_ih is not None
    check(n, a)
    if why_missing() is not None:
        return forward_like(_fake_forward(kind, *arguments), _reference(kind, a))
    check_memory((a.input, a.weight_ih, a.bias_ih, a.bias_hh, a.weight_norm_ih))  # which torch's operators read
    a = with_states(n, a)
    product_x = F.linear(a.input, a.weight_ih, None if normed else input_bias(n, a)).contiguous()
    gates = normalize_input(n, product_x, a) if normed else product_x
    results = _results(n, a, gates, product_x if normed and a.keep else no_numbers(product_x))
    _walk("forward", n, a, results)
    return results if a.keep else results._replace(gates=no_numbers(gates))


def _arguments_read(n: Shape, a: Arguments) -> list[Tensor | None]:
    """What the walk reads, in the order of `ExtendedCall`."""
    inner = a.bias_hh[2 * n.H :] if n.splits_candidate and a.bias_hh is not None else None
    return [a.weight_hh, inner, *a.tensors[5:7], *a.tensors[8:]]


def _in_order(results: Results) -> list[Tensor | None]:
    h, c, h_n, c_n, gates, _, norm, scale, q = (r if r.numel() else None for r in results)
    return [gates, h, c, h_n, c_n, norm, scale, q]


def _walk(
    way: str,
    n: Shape,
    a: Arguments,
    results: Results,
    upstream: list[Tensor | None] | None = None,
    written: list[Tensor | None] | None = None,
) -> None:
    """Forward writes `results`; backward reads them and `upstream`, and writes `written`."""
    sizes = (list(EXTENDED).index(n.kind), n.T, n.B, n.H, n.P, a.reverse, a.rate_h, a.rate_c)
    function = getattr(loaded(), f"extended_{way}_{DTYPES[a.weight_hh.dtype]}")
    read, copies = lend(_arguments_read(n, a))
    if upstream is None or written is None:
        function(*sizes, of_new(_in_order(results)) + read, torch.get_num_threads())
    else:
        kept, more = lend([*_in_order(results), *upstream])
        count = len(kept) - len(upstream)
        function(*sizes, kept[:count] + read, kept[count:] + of_new(written), torch.get_num_threads())
        del more
    del copies  # held until C++ has read them


def _backward(kind: str, *everything: Any) -> tuple[Tensor, ...]:
    upstream, kept, needs_input, a = split_backward(everything)
    n, new = shape_of(kind, a), a.weight_hh.new_empty
    check(n, a)
    check_kept(n, a, upstream, kept)
    if why_missing() is not None:
        return _backward_by_cells(kind, upstream, needs_input, a)
    check_memory((upstream.h_n, upstream.c_n, a.input, a.weight_ih, a.weight_norm_ih))  # which torch's operators read
    leaves, a = a.leaves, with_states(n, a)

    def sums(like: Tensor | None) -> Tensor | None:
        return None if like is None else torch.empty_like(like, memory_format=torch.contiguous_format)

    d_gates = new(n.T, n.B, n.rows)
    d_product = torch.empty_like(d_gates) if n.splits_candidate or a.weight_norm_hh is not None else d_gates
    d_projected = new(n.T, n.B, n.P) if a.weight_hr is not None else None
    operand2 = new(n.T, n.B, n.H) if a.weight_hr is not None or kind == "gru_before" else None
    d_h0, d_c0 = _state_gradient(upstream.h_n, a.h0), _state_gradient(upstream.c_n, a.c0)
    d_initial = [None if d is None or a.reset is None else torch.zeros_like(d) for d in (d_h0, d_c0)]
    d_sums = [sums(t) for t in (a.bias_hh, a.weight_norm_hh, a.weight_peephole, a.weight_norm_c, a.bias_norm_c)]
    written = [d_h0, d_c0, *d_initial, d_gates, d_product, d_projected, operand2, *d_sums]
    _walk("backward", n, a, kept, [upstream.h, upstream.c, upstream.gates], written)
    d_bias, d_norm_hh, d_peephole, d_norm_c, d_shift_c = d_sums
    d_product_x, d_norm_ih = input_norm_backward(n, a, kept.product_x, d_gates)
    found = (
        d_product_x @ a.weight_ih if needs_input else None,
        d_product_x.flatten(0, 1).T @ a.input.flatten(0, 1),
        weight_gradient(n, d_product, operands(a, kept.h), operand2),
        None if d_bias is None else d_gates.sum((0, 1)) if n.splits_candidate else d_bias.clone(),
        d_bias,
        None if d_projected is None or operand2 is None else d_projected.flatten(0, 1).T @ operand2.flatten(0, 1),
        d_peephole,
        d_norm_ih,
        d_norm_hh,
        d_norm_c,
        d_shift_c,
        d_h0,
        d_c0,
        *d_initial,
    )
    return tuple(new(0) if d is None or leaf is None else d for d, leaf in zip(found, leaves, strict=True))


def _backward_by_cells(kind: str, upstream: Upstream, needs_input: bool, a: Arguments) -> tuple[Tensor, ...]:
    rest = a[LEAVES:]
    leaves = [t if needs_input or i > 0 else None for i, t in enumerate(a.leaves)]

    def run(given: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
        return _reference(kind, Arguments._make((a.input if given[0] is None else given[0], *given[1:], *rest)))

    found = first_gradients(run, upstream, leaves)
    present = [d if i < LEAVES - 2 or a.reset is not None else None for i, d in enumerate(found)]
    return tuple(no_numbers(a.weight_hh) if d is None else d for d in present)


def _state_gradient(upstream: Tensor | None, state: Tensor | None) -> Tensor | None:
    if state is None:
        return None
    return state.new_zeros(state.shape) if upstream is None else upstream.clone(memory_format=torch.contiguous_format)


def _fake_forward(kind: str, *arguments: Any) -> tuple[Tensor, ...]:
    a = Arguments(*arguments)
    one_device(arguments)
    n = shape_of(kind, a)
    stack, none = (n.T, n.B, n.rows), (0,)
    gates = a.weight_hh.new_empty(stack if a.keep else none)
    return _results(n, a, gates, gates.new_empty(stack if a.keep and a.weight_norm_ih is not None else none))


def _fake_backward(kind: str, *everything: Any) -> tuple[Tensor, ...]:
    _, _, needs_input, a = split_backward(everything)
    one_device(everything)
    given = (a.input if needs_input else None, *a.leaves[1:])
    if a.reset is None:
        given = (*given[:-2], None, None)
    return tuple(no_numbers(a.weight_hh) if t is None else t.new_empty(t.shape) for t in given)


def _keep_forward(kind: str, ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    has_gates = len(EXTENDED[kind].gate_names) > 1
    ctx.mark_non_differentiable(*output[5 if has_gates else 4 :])
    h0 = Arguments._fields.index("h0")
    ctx.save_for_backward(*(output[i] for i in KEPT), *as_torch_keeps(ctx, inputs[:TENSORS], h0))
    ctx.rest = inputs[TENSORS:]
    ctx.set_materialize_grads(False)


def _differentiate_forward(kind: str, ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
    saved = ctx.saved_tensors  # once: what is computed again is handed out once
    kept, tensors = saved[: len(KEPT)], saved[len(KEPT) :]
    check_upstream(grads)
    above = Upstream(*grads[:5])
    if "c" not in EXTENDED[kind].state_names:
        above = above._replace(c=None, c_n=None)
    operator = getattr(torch.ops.longhold, f"extended_{kind}_backward")
    found = operator(*above, *kept, ctx.needs_input_grad[1], *tensors, *ctx.rest)
    a = Arguments(*tensors, *ctx.rest)
    present = [leaf is not None and (i < LEAVES - 2 or a.reset is not None) for i, leaf in enumerate(a.leaves)]
    gradients = [
        d if needed and exists else None
        for d, needed, exists in zip(found, ctx.needs_input_grad[1:], present, strict=False)
    ]
    return (*gradients, *[None] * (len(Arguments._fields) - LEAVES))


def _keep_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    upstream, _, _, a = split_backward(inputs)
    ctx.save_for_backward(*upstream, *a.tensors)
    ctx.rest = a[TENSORS:]
    ctx.set_materialize_grads(False)


def _differentiate_backward(kind: str, ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
    """Second and higher orders, by the reference loop."""
    saved = ctx.saved_tensors
    rest: Sequence[Any] = (*saved[5 + LEAVES :], *ctx.rest)
    d_above, d_leaves = differentiate_again(
        lambda leaves: _reference(kind, Arguments._make((*leaves, *rest))), saved[:5], saved[5 : 5 + LEAVES], grads
    )
    return (*d_above, *[None] * (len(KEPT) + 1), *d_leaves, *[None] * (len(Arguments._fields) - LEAVES))


def _reference(kind: str, a: Arguments) -> tuple[Tensor | None, ...]:
    """The differentiable results by the cells and the loop over time."""
    n, parameters = shape_of(kind, a), a.parameters
    a = with_states(n, a)
    initial = [state for state in (a.h_initial, a.c_initial) if state is not None]
    cell, pair = EXTENDED[kind], n.has_c
    zones = [(a.zoneout_h, a.rate_h), (a.zoneout_c, a.rate_c)][: 2 if pair else 1]
    valid = None if a.lengths is None else torch.arange(n.T, device=a.lengths.device).unsqueeze(1) < a.lengths
    run = unroll(
        cell,
        product(a.input, a.weight_ih, a.bias_ih, a.weight_norm_ih, n.groups),
        cell.make_state(*(state for state in (a.h0, a.c0) if state is not None)),
        parameters.recurrent(cell),
        initial=None if a.reset is None else cell.make_state(*initial),
        valid=valid,
        reset=a.reset,
        reverse=a.reverse,
        mask_h=a.mask,
        zoneout=tuple(rate or None if mask is None else mask for mask, rate in zones),
        keep_gates=True,
    )
    h_n, *c_n = run.final
    gates = [gate for gate, name in zip(run.gates, _all_gates(cell), strict=True) if name in cell.gate_names]
    return run.states[0], run.states[1] if pair else None, h_n, c_n[0] if pair else None, _joined(gates)


def _all_gates(cell: Recurrence) -> tuple[str, ...]:
    """What the cell's step returns: a coupled forget gate too, and of an RNN nothing."""
    if len(cell.gate_names) == 1:
        return ()
    return ("i", "f", "g", "o") if isinstance(cell, LSTMRecurrence) else cell.gate_names


def _joined(gates: Sequence[Tensor]) -> Tensor | None:
    return torch.cat(list(gates), dim=-1) if gates else None


def _kept_for_backward(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*arguments[:-1], True)


_LIBRARY: Any = torch.library.Library("longhold", "FRAGMENT")  # type: ignore[no-untyped-call]


def _register(kind: str) -> None:
    results = ", ".join(f"Tensor {name}" for name in RESULT_NAMES)
    gradients = ", ".join(f"Tensor d_{name}" for name in Arguments._fields[:LEAVES])
    upstream = ", ".join(f"Tensor? d_{name}" for name in Upstream._fields)
    kept = ", ".join(f"Tensor {RESULT_NAMES[i]}" for i in KEPT)
    forward, backward = f"extended_{kind}_forward", f"extended_{kind}_backward"
    _LIBRARY.define(f"{forward}({SCHEMA}) -> ({results})")
    _LIBRARY.define(f"{backward}({upstream}, {kept}, bool needs_input, {SCHEMA}) -> ({gradients})")
    _LIBRARY.impl(forward, partial(_forward, kind), "CPU")
    _LIBRARY.impl(backward, partial(_backward, kind), "CPU")
    torch.library.register_fake(f"longhold::{forward}", partial(_fake_forward, kind), lib=_LIBRARY)
    torch.library.register_fake(f"longhold::{backward}", partial(_fake_backward, kind), lib=_LIBRARY)
    operators = torch.ops.longhold
    rules = (
        (forward, partial(_keep_forward, kind), partial(_differentiate_forward, kind), _kept_for_backward),
        (backward, _keep_backward, partial(_differentiate_backward, kind), as_given),
    )
    for name, keep, differentiate, kept_for in rules:
        rule = autograd_rule(getattr(operators, name).default, keep, differentiate, kept_for)
        _LIBRARY.impl(name, rule, "Autograd", with_keyset=True)
    torch.library.register_vmap(f"longhold::{backward}", partial(one_by_one, backward), lib=_LIBRARY)


for _kind in EXTENDED:
    _register(_kind)


def kind_of(cell: Recurrence) -> str:
    """The name of a cell in the operators with options."""
    return next(kind for kind, other in EXTENDED.items() if other == cell)


def is_extended(call: StackCall) -> bool:
    """Whether the call needs what `operators` leaves out."""
    cell, p = call.recurrence, call.parameters[0]
    options = (p.weight_hr, p.weight_peephole, p.weight_norm_ih, p.weight_norm_hh, p.weight_norm_c)
    return (
        call.trace
        or any(option is not None for option in options)
        or (isinstance(cell, LSTMRecurrence) and cell.coupled)
        or (isinstance(cell, GRURecurrence) and not cell.reset_after)
        or any(zone is not None for noise in call.noise for zone in noise.zoneout)
    )


def run_extended(call: StackCall, x: Tensor, lengths: Tensor | None, row: int) -> Unrolled:
    """One layer and direction: the call, the layer's input (T, B, .), the lengths (B,), and which of the L*D it is."""
    cell, p = call.recurrence, call.parameters[row]
    noise = call.noise[row] if call.noise else DirectionNoise()
    pair = len(cell.state_names) == 2
    state, initial = (call.fields(state, row) for state in (call.start, call.learned))
    zones = [*noise.zoneout, None, None][:2]
    masks = [zone if isinstance(zone, Tensor) else None for zone in zones]
    rates = [0.0 if zone is None or isinstance(zone, Tensor) else float(zone) for zone in zones]
    parameters = (
        p.weight_ih, p.weight_hh, p.bias_ih, p.bias_hh, p.weight_hr, p.weight_peephole,
        p.weight_norm_ih, p.weight_norm_hh, p.weight_norm_c, p.bias_norm_c,
    )  # fmt: skip
    operator = getattr(torch.ops.longhold, f"extended_{kind_of(cell)}_forward")
    h, c, h_n, c_n, gates, *_ = operator(
        x, *parameters, *state, *initial, lengths, call.reset, noise.recurrent_dropout,
        *masks, *rates, row % call.directions == 1, call.trace,
    )  # fmt: skip
    fields, final = ((h, c), (h_n, c_n)) if pair else ((h,), (h_n,))
    gates_by_name = _split_gates(cell, gates, lengths) if call.trace else ()
    return Unrolled(fields, gates_by_name, cell.make_state(*final))


def _split_gates(cell: Recurrence, gates: Tensor, lengths: Tensor | None) -> tuple[Tensor, ...]:
    """Each gate as the cell's step returns it."""
    count = len(cell.gate_names)
    if count == 1:
        return ()
    parts = gates.chunk(count, dim=-1)
    if not (isinstance(cell, LSTMRecurrence) and cell.coupled):
        return parts
    forget = 1 - parts[0]
    if lengths is not None:
        valid = torch.arange(gates.shape[0], device=gates.device).unsqueeze(1) < lengths
        forget = torch.where(valid.unsqueeze(-1), forget, 0.0)
    return parts[0], forget, *parts[1:]
