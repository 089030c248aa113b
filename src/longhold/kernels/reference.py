"""The `reference` backend: the cells and the loop over time, for every call."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from longhold.cells import Unrolled, product, unroll
from longhold.kernels.call import Direction, DirectionNoise, StackCall, StackResult
from longhold.kernels.chunked import in_chunks
from longhold.kernels.lookup import check_ids, is_ids, one_hot


def run_reference(call: StackCall) -> StackResult:
    """Run the stack layer by layer, direction by direction, step by step. Differentiable to any order."""
    call = without_padding(call)
    if is_ids(call.data):
        check_ids(call.data, call.parameters[0].weight_ih.shape[1])
    return run_layers(call, in_chunks(_run_direction))


def run_layers(call: StackCall, direction: Direction) -> StackResult:
    """Run a stack whose layers and directions are each run by `direction`."""
    if isinstance(call.input, PackedSequence):
        padded, lengths = pad_packed_sequence(call.input)
        result = _run_padded(call, direction, padded, lengths, call.input)
        assert isinstance(result.output, Tensor)
        return replace(result, output=pack_like(result.output, call.input))
    return _run_padded(call, direction, call.input, call.lengths, None)


def without_padding(call: StackCall) -> StackCall:
    """The same call with zeros, or ids of 0, where its input lies beyond a row's length."""
    if call.lengths is None or isinstance(call.input, PackedSequence):
        return call
    valid = _valid(call.input, call.lengths)
    return replace(call, input=torch.where(valid if is_ids(call.input) else valid.unsqueeze(-1), call.input, 0))


def with_one_hot(call: StackCall) -> StackCall:
    """The same call with one-hot vectors where its input is ids."""
    if not is_ids(call.data):
        return call
    weight = call.parameters[0].weight_ih
    data = one_hot(call.data, weight.shape[1], weight)
    return replace(call, input=call.input._replace(data=data) if isinstance(call.input, PackedSequence) else data)


def _valid(x: Tensor, lengths: Tensor) -> Tensor:
    return torch.arange(x.shape[0], device=x.device).unsqueeze(1) < lengths.to(x.device)


def _run_padded(
    call: StackCall, direction: Direction, x: Tensor, lengths: Tensor | None, packed: PackedSequence | None
) -> StackResult:
    runs: list[Unrolled] = []
    for layer in range(call.num_layers):
        runs += [direction(call, x, lengths, layer * call.directions + d) for d in range(call.directions)]
        x = runs[-1].states[0]
        if call.bidirectional:
            x = torch.cat([runs[-2].states[0], x], dim=-1)
        if layer + 1 < call.num_layers:
            x = _drop_between_layers(x, call, packed)
    final = tuple(torch.stack(field) for field in zip(*(run.final for run in runs), strict=True))
    if not call.trace:
        return StackResult(x, final)
    states = tuple(torch.stack(field) for field in zip(*(run.states for run in runs), strict=True))
    gates = tuple(torch.stack(gate) for gate in zip(*(run.gates for run in runs), strict=True))
    return StackResult(x, final, states, gates)


def _run_direction(call: StackCall, x: Tensor, lengths: Tensor | None, row: int) -> Unrolled:
    cell, parameters = call.recurrence, call.parameters[row]
    noise = call.noise[row] if call.noise else DirectionNoise()
    groups = cell.norm_groups(parameters.weight_ih.shape[0] // len(cell.gate_names))
    return unroll(
        cell,
        product(x, parameters.weight_ih, parameters.bias_ih, parameters.weight_norm_ih, groups),
        cell.make_state(*(field[row] for field in call.state)),
        parameters.recurrent(cell),
        initial=cell.make_state(*(field[row] for field in call.initial)),
        valid=None if lengths is None else _valid(x, lengths),
        reset=call.reset,
        reverse=row % call.directions == 1,
        mask_h=noise.recurrent_dropout,
        zoneout=noise.zoneout,
        keep_gates=call.trace,
    )


def step_reference(call: StackCall) -> tuple[Tensor, ...]:
    """One step of one layer by the cell's own function; `call.input` is (1, B, I)."""
    assert isinstance(call.input, Tensor)
    cell, parameters = call.recurrence, call.parameters[0]
    groups = cell.norm_groups(parameters.weight_ih.shape[0] // len(cell.gate_names))
    gates_x = product(call.input[0], parameters.weight_ih, parameters.bias_ih, parameters.weight_norm_ih, groups)
    state = cell.make_state(*(field[0] for field in call.state))
    new, _ = cell.step(gates_x, state, parameters.recurrent(cell), None)
    return tuple(field.clone() if field.requires_grad else field for field in new)  # it may be written in place


def _drop_between_layers(x: Tensor, call: StackCall, packed: PackedSequence | None) -> Tensor:
    if call.dropout == 0 or not call.training:
        return x
    if packed is None:
        return F.dropout(x, call.dropout, True)
    # torch drops in the packed layout; drawing there gives the same mask for the same seed
    drawn = F.dropout(x.new_ones(packed.data.shape[0], x.shape[-1]), call.dropout, True)
    mask, _ = pad_packed_sequence(packed._replace(data=drawn))
    return x * mask


def pack_like(padded: Tensor, packed: PackedSequence) -> PackedSequence:
    """Pack (T, B, .) into the order and batch sizes of another packed sequence."""
    if packed.sorted_indices is not None:
        padded = padded.index_select(1, packed.sorted_indices)
    batch = torch.arange(padded.shape[1], device=packed.batch_sizes.device)
    kept = (batch < packed.batch_sizes.unsqueeze(1)).to(padded.device)
    return packed._replace(data=padded[kept])
