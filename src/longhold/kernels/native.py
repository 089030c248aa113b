"""The `cpu` backend: the C++ extension, a layer and direction at a time."""

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from longhold.cells import GRURecurrence, LSTMRecurrence, Recurrence, RNNRecurrence, Unrolled
from longhold.kernels import operators
from longhold.kernels.call import DirectionNoise, StackCall, StackResult
from longhold.kernels.extended import is_extended, run_extended
from longhold.kernels.extension import why_missing
from longhold.kernels.reference import run_layers


def cpu_refusal(call: StackCall) -> str | None:
    """Why the extension cannot do what is asked, or None."""
    data = call.input.data if isinstance(call.input, PackedSequence) else call.input
    missing = why_missing()
    refusals = {
        missing or "": missing is not None,
        f"it runs on the CPU, not on {data.device.type}": data.device.type != "cpu",
        f"it computes in float32 and float64, not in {data.dtype}": data.dtype not in operators.DTYPES,
        "autocast is active, and it casts nothing": torch.is_autocast_enabled("cpu"),
        "the batch is empty": call.state[0].shape[1] == 0,
    }
    return next((reason for reason, holds in refusals.items() if holds), None)


def run_cpu(call: StackCall) -> StackResult:
    """Run the stack by the extension. Differentiable to any order; beyond the first by the reference loop."""
    return run_layers(call, _run_direction)


def _run_direction(call: StackCall, x: Tensor, lengths: Tensor | None, row: int) -> Unrolled:
    if is_extended(call):
        return run_extended(call, x, lengths, row)
    p = call.parameters[row]
    noise = call.noise[row] if call.noise else DirectionNoise()
    state = [field[row] for field in call.state]
    initial = [field[row] for field in call.initial]
    pair = len(state) == 2
    operator = getattr(torch.ops.longhold, f"{kind_of(call.recurrence)}_forward")
    h, c, h_n, c_n, _, _ = operator(
        x,
        p.weight_ih,
        p.weight_hh,
        p.bias_ih,
        p.bias_hh,
        state[0],
        state[1] if pair else None,
        initial[0],
        initial[1] if pair else None,
        lengths,
        call.reset,
        noise.recurrent_dropout,
        row % call.directions == 1,
    )
    fields, final = ((h, c), (h_n, c_n)) if pair else ((h,), (h_n,))
    return Unrolled(fields, (), call.recurrence.make_state(*final))


def kind_of(cell: Recurrence) -> str:
    """The name of a cell in the operators."""
    if isinstance(cell, LSTMRecurrence):
        return "lstm"
    if isinstance(cell, GRURecurrence):
        return "gru"
    assert isinstance(cell, RNNRecurrence)
    return f"rnn_{cell.nonlinearity}"
