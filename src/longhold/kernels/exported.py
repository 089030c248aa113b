"""Calls that a tracer or an exporter writes down, so that what it writes runs where longhold is not installed.

`torch.onnx.export` gets ONNX's own recurrent operators: by dynamo as nodes made here, with steps and rows free; by the
TorchScript exporter as torch's operators, which it translates itself. `torch.jit.trace` gets torch's operators.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.compiler import is_exporting

from longhold.cells import GRURecurrence, LSTMRecurrence, Recurrence, RNNRecurrence, Unrolled
from longhold.errors import InputError
from longhold.kernels.call import DirectionParameters, StackCall, StackResult
from longhold.kernels.fused import run_torch, torch_refusal
from longhold.kernels.reference import run_layers, step_reference, with_one_hot, without_padding

ONNX_BLOCKS: dict[str, tuple[int | None, ...]] = {
    "RNN": (0,),
    "GRU": (1, 0, 2),  # z r h of r z n
    "LSTM": (0, 3, 1, 2),  # i o f c of i f g o
    "coupled LSTM": (0, 2, None, 1),  # of i g o
}
"""ONNX's blocks of H rows, as places in torch's order; None is a block that is there and never read."""

ONNX_PEEPHOLES: dict[str, tuple[int | None, ...]] = {"LSTM": (0, 2, 1), "coupled LSTM": (0, 1, None)}
"""The same for the peepholes."""

_tracing_state = torch._C._get_tracing_state
_OPSET = 14  # the newest version of the three operators that every runtime has
_WAY_OUT = 'dynamo=True within longhold.use_backend("reference") writes out the steps, for one number of them'


def is_written() -> bool:
    """Whether torch.export, torch.jit.trace or torch.onnx.export looks on."""
    return is_exporting() or _tracing_state() is not None


def is_onnx() -> bool:
    """Whether it is torch.onnx.export."""
    return is_written() and _is_onnx()


def _is_onnx() -> bool:
    return torch.onnx.is_in_onnx_export()


# Dynamo, which an exporter falls back to, holds torch's function for False, but calls what is marked so. It is what
# torch.compiler.assume_constant_result does, which imports the whole of it.
_is_onnx._dynamo_marked_constant = True  # type: ignore[attr-defined]


def run_written(call: StackCall) -> StackResult | None:
    """The call in operators that are known elsewhere; None where there are none, so that it may run as ever.

    Raises:
        InputError: ONNX has no form for it.
    """
    call = replace(call, checkpoint_every=None)  # which is about the memory of a backward pass
    if _is_onnx():
        _refuse(_beyond_onnx(call))
        if is_exporting():
            return run_layers(with_one_hot(without_padding(call)), _node)
        _refuse(_beyond_torchscript(call))
        return run_torch(call)
    if is_exporting() or call.reset is not None or torch_refusal(call) is not None:
        return None
    return run_torch(call)


def check_packed() -> None:
    """Before a PackedSequence is looked into, InputError where an exporter cannot write it."""
    if is_exporting() and _is_onnx():
        _refuse(": a PackedSequence has no form there; pass padded rows with lengths=")


def step_written(call: StackCall) -> tuple[Tensor, ...]:
    """One step of a cell for ONNX: it has no loop, so any operators will do.

    Raises:
        InputError: torch's exporter by TorchScript does not take it.
    """
    if not is_exporting() and call.parameters[0].weight_norm_ih is not None:
        _refuse(" with dynamo=False: torch's exporter takes no layer norm of a cell; dynamo=True does it")
    return step_reference(call)


def _refuse(reason: str | None) -> None:
    if reason is not None:
        raise InputError(f"cannot export to ONNX{reason}")


def _beyond_onnx(call: StackCall) -> str | None:
    """What ONNX's operators cannot do."""
    p = call.parameters[0]
    lacking = {
        "layer norm": p.weight_norm_ih is not None,
        "zoneout": any(zone is not None for noise in call.noise for zone in noise.zoneout),
        "recurrent dropout in training": any(noise.recurrent_dropout is not None for noise in call.noise),
        "reset": call.reset is not None,
        "projection that begins from a given state": p.weight_hr is not None and call.start is not None,
        "trace": call.trace,
    }
    for option, is_used in lacking.items():
        if is_used:
            return f": its {_operator(call.recurrence)} has no {option}; {_WAY_OUT}"
    return None


def _beyond_torchscript(call: StackCall) -> str | None:
    """What torch's exporter by TorchScript cannot do besides."""
    refusal = torch_refusal(call)
    if refusal is None and call.parameters[0].weight_hr is not None:
        refusal = "it has no projection"
    if refusal is None and call.lengths is not None:
        refusal = "it has no lengths"
    return None if refusal is None else f" with dynamo=False: {refusal}; dynamo=True does it"


def _operator(cell: Recurrence) -> str:
    return type(cell).__name__.removesuffix("Recurrence")


def _order(cell: Recurrence) -> str:
    return "coupled LSTM" if isinstance(cell, LSTMRecurrence) and cell.coupled else _operator(cell)


def _node(call: StackCall, x: Tensor, lengths: Tensor | None, row: int) -> Unrolled:
    """One layer and direction as one node."""
    p, cell = call.parameters[row], call.recurrence
    hidden = p.weight_ih.shape[0] // len(cell.gate_names)
    steps, batch = x.shape[:2]
    h0, c0 = call.fields(call.start, row)
    inputs = [x, *_weights(p, cell), None if lengths is None else lengths.to(torch.int32)]
    inputs += [None if state is None else state.unsqueeze(0) for state in (h0, c0)[: len(cell.state_names)]]
    if p.weight_peephole is not None:
        inputs.append(_ordered(p.weight_peephole, ONNX_PEEPHOLES[_order(cell)]).unsqueeze(0))
    last = [(1, batch, hidden)] * len(cell.state_names)
    output, *final = torch.onnx.ops.symbolic_multi_out(
        _operator(cell),
        inputs,
        {"hidden_size": hidden, "direction": "reverse" if row % call.directions else "forward", **_attributes(cell)},
        dtypes=[x.dtype] * (1 + len(last)),
        shapes=[(steps, 1, batch, hidden), *last],
        version=_OPSET,
    )
    h, h_n, *c_n = (output.squeeze(1), *(state.squeeze(0) for state in final))
    if p.weight_hr is not None:
        h, h_n = h @ p.weight_hr.T, h_n @ p.weight_hr.T
    return Unrolled((h,), (), cell.make_state(h_n, *c_n))


def _attributes(cell: Recurrence) -> dict[str, Any]:
    if isinstance(cell, RNNRecurrence):
        return {"activations": [cell.nonlinearity.capitalize()]}
    if isinstance(cell, GRURecurrence):
        return {"linear_before_reset": int(cell.reset_after)}
    assert isinstance(cell, LSTMRecurrence)
    return {"input_forget": int(cell.coupled)}


def _weights(p: DirectionParameters, cell: Recurrence) -> list[Tensor | None]:
    """ONNX's W, R and B.

    With a projection, h = W_hr m, the operator's state is m, whose recurrent weights are W_hh W_hr.
    """
    blocks = ONNX_BLOCKS[_order(cell)]
    recurrent = p.weight_hh if p.weight_hr is None else p.weight_hh @ p.weight_hr
    matrices: list[Tensor | None] = [_ordered(weight, blocks).unsqueeze(0) for weight in (p.weight_ih, recurrent)]
    if p.bias_ih is None or p.bias_hh is None:
        return [*matrices, None]
    return [*matrices, torch.cat([_ordered(p.bias_ih, blocks), _ordered(p.bias_hh, blocks)]).unsqueeze(0)]


def _ordered(values: Tensor, blocks: Sequence[int | None]) -> Tensor:
    parts = values.chunk(sum(block is not None for block in blocks))
    return torch.cat([torch.zeros_like(parts[0]) if block is None else parts[block] for block in blocks])
