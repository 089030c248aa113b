"""The `cpu` backend: the C++ extension, a layer and direction at a time."""

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from longhold.cells import GRURecurrence, LSTMRecurrence, Recurrence, RNNRecurrence, Unrolled
from longhold.kernels import operators
from longhold.kernels.call import StackCall, StackResult, check_call
from longhold.kernels.chunked import in_chunks
from longhold.kernels.extended import is_extended, run_extended
from longhold.kernels.extension import why_missing
from longhold.kernels.lookup import is_ids
from longhold.kernels.reference import run_layers, with_one_hot, without_padding


def cpu_refusal(call: StackCall) -> str | None:
    """Why the extension cannot run the call, or None."""
    p, data = call.parameters[0], call.data
    if not data.is_cpu:
        return f"it runs on the CPU, not on {data.device.type}"
    dtype = p.weight_ih.dtype if is_ids(data) else data.dtype
    if dtype not in operators.DTYPES:
        return f"it computes in float32 and float64, not in {dtype}"
    if torch.is_autocast_enabled("cpu"):
        return "autocast is active, and it casts nothing"
    if call.batch == 0:
        return "the batch is empty"
    return why_missing()


def run_cpu(call: StackCall) -> StackResult:
    """Run the stack by the extension. Differentiable to any order; beyond the first by the reference loop."""
    extended = is_extended(call)
    if call.data is not call.input or (extended and (call.lengths is not None or is_ids(call.data))):
        check_call(call)  # torch's operators read it first
    if extended:  # its products over all steps read the padding
        call = with_one_hot(without_padding(call))
    return run_layers(call, _run_direction)


def _hands_out(call: StackCall, row: int) -> bool:
    """Whether the h of a layer and direction is the output, which may be written in place, so not what backward reads.

    Two directions, or a packed output, are joined from such: that is a copy.
    """
    last = row + 1 == call.num_layers and not call.bidirectional
    traced = torch._C._get_tracing_state() is not None  # whose program is the same with and without gradients
    return last and torch.is_grad_enabled() and not traced and not isinstance(call.input, PackedSequence)


def _run_direction(call: StackCall, x: Tensor, lengths: Tensor | None, row: int) -> Unrolled:
    if is_extended(call):
        run = _run_extended(call, x, lengths, row)
        if not _hands_out(call, row) or call.checkpoint_every is not None:  # chunks are joined
            return run
        h, *rest = run.states
        return Unrolled((h.clone(), *rest), run.gates, run.final)
    p = call.parameters[row]
    h0, c0 = call.fields(call.start, row)
    h_initial, c_initial = call.fields(call.learned, row) if call.reset is not None else (None, None)
    operator = operators.FORWARD[kind_of(call.recurrence)]
    h, c, h_n, c_n, *_ = operator(
        x,
        p.weight_ih,
        p.weight_hh,
        p.bias_ih,
        p.bias_hh,
        h0,
        c0,
        h_initial,
        c_initial,
        lengths,
        call.reset,
        call.noise[row].recurrent_dropout if call.noise else None,
        row % call.directions == 1,
        call.checkpoint_every or 0,
        _hands_out(call, row),
    )
    if len(call.recurrence.state_names) == 2:
        return Unrolled((h, c), (), call.recurrence.make_state(h_n, c_n))
    return Unrolled((h,), (), call.recurrence.make_state(h_n))


_run_extended = in_chunks(run_extended)  # `operators` do this inside, without rounding a gradient differently


def kind_of(cell: Recurrence) -> str:
    """The name of a cell in the operators."""
    if isinstance(cell, LSTMRecurrence):
        return "lstm"
    if isinstance(cell, GRURecurrence):
        return "gru"
    assert isinstance(cell, RNNRecurrence)
    return f"rnn_{cell.nonlinearity}"
