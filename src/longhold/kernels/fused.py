"""The `torch` backend: the fused operators behind torch.nn (oneDNN, cuDNN, ATen)."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from longhold.cells import GRURecurrence, LSTMRecurrence, RNNRecurrence
from longhold.kernels.addresses import with_memory
from longhold.kernels.call import DirectionNoise, DirectionParameters, StackCall, StackResult
from longhold.kernels.lookup import is_ids
from longhold.kernels.reference import with_one_hot, without_padding
from longhold.kernels.segments import join_segments, split_segments


def torch_refusal(call: StackCall) -> str | None:
    """Why torch's operators cannot run the call, or None."""
    cell, p = call.recurrence, call.parameters[0]
    if call.lengths is not None or call.reset is not None:
        if call.batch == 0:
            return "it cannot pack an empty batch"
        if call.data.is_meta:
            return "it cannot pack on the meta device"
    if call.checkpoint_every is not None:
        return "its operators keep everything for the backward pass"
    if call.trace:
        return "its operators return neither cell states nor gates of every step"
    if _has_norm(p):
        return "it has no layer norm"
    if p.weight_peephole is not None:
        return "it has no peepholes"
    if isinstance(cell, LSTMRecurrence) and cell.coupled:
        return "its input and forget gates are not coupled"
    if isinstance(cell, GRURecurrence) and not cell.reset_after:
        return "its GRU applies the reset gate after the product only"
    if any(noise.recurrent_dropout is not None for noise in call.noise):
        return "it has no recurrent dropout"
    if any(_zones_out(noise) for noise in call.noise):
        return "it has no zoneout"
    return None


def _has_norm(p: DirectionParameters) -> bool:
    return any(w is not None for w in (p.weight_norm_ih, p.weight_norm_hh, p.weight_norm_c))


def _zones_out(noise: DirectionNoise) -> bool:
    return any(zone is not None for zone in noise.zoneout)


def run_torch(call: StackCall) -> StackResult:
    """Run the stack by torch's operators.

    Ragged lengths are packed inside; with resets each segment becomes a row of its own, so that one packed call serves
    all segments.
    """
    if is_ids(call.data):
        return run_torch(with_one_hot(without_padding(call)))
    if isinstance(call.input, PackedSequence):
        return _run_packed(call, call.input)
    if call.lengths is not None and bool((call.lengths == 0).any()):
        return _with_empty_rows(call, call.lengths)
    if call.lengths is None and call.reset is None:
        output, state = _operator(call, (call.input,), call.state)
        return StackResult(output, state)
    if call.dropout > 0 and call.training and call.num_layers > 1:
        return _layer_by_layer(call, call.input)
    if call.reset is not None:
        pieces, segments = split_segments(call)
        return join_segments(call, run_torch(pieces), segments)
    return _run_ragged(call)


def _with_empty_rows(call: StackCall, lengths: Tensor) -> StackResult:
    """Rows of length 0, which cannot be packed: each is run for a step of zeros, of which nothing stays."""
    result = run_torch(replace(without_padding(call), lengths=lengths.clamp(min=1)))
    assert isinstance(result.output, Tensor)
    empty = (lengths == 0).unsqueeze(-1).to(result.output.device)
    ends = zip(call.state, result.state, strict=True)
    return StackResult(
        torch.where(empty, 0.0, result.output),
        tuple(torch.where(empty, begun.to(final.dtype), final) for begun, final in ends),
    )


def _run_packed(call: StackCall, packed: PackedSequence) -> StackResult:
    state = call.state
    if packed.sorted_indices is not None:
        state = tuple(field.index_select(1, packed.sorted_indices) for field in state)
    output, final = _operator(call, (packed.data, packed.batch_sizes), state)
    if packed.unsorted_indices is not None:
        final = tuple(field.index_select(1, packed.unsorted_indices) for field in final)
    return StackResult(packed._replace(data=output), final)


def _run_ragged(call: StackCall) -> StackResult:
    assert isinstance(call.input, Tensor)
    assert call.lengths is not None
    packed = pack_padded_sequence(call.input, call.lengths.cpu(), enforce_sorted=False)
    result = _run_packed(call, packed)
    assert isinstance(result.output, PackedSequence)
    output, _ = pad_packed_sequence(result.output, total_length=call.input.shape[0])
    return StackResult(output, result.state)


def _layer_by_layer(call: StackCall, x: Tensor) -> StackResult:
    # dropout between layers is drawn in the padded layout, as the reference draws it
    states = []
    for index in range(call.num_layers):
        result = run_torch(call.layer(index, x))
        assert isinstance(result.output, Tensor)
        states.append(result.state)
        last = index + 1 == call.num_layers
        x = result.output if last else F.dropout(result.output, call.dropout, True)
    return StackResult(x, tuple(torch.cat(field) for field in zip(*states, strict=True)))


def _operator(call: StackCall, inputs: Sequence[Tensor], state: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
    cell = call.recurrence
    weights = [weight for parameters in call.parameters for weight in parameters.fused()]
    has_bias = call.parameters[0].bias_ih is not None
    weights, given, state = with_memory(weights), with_memory(inputs), with_memory(state)
    hx: Any = state if isinstance(cell, LSTMRecurrence) else state[0]
    settings: list[Any] = [has_bias, call.num_layers, call.dropout, call.training, call.bidirectional]
    packed = len(inputs) == 2
    arguments: list[Any] = [*given, hx, weights, *settings] if packed else [*given, hx, weights, *settings, False]
    with _quiet_about_chunks(weights):
        output, *final = _variable_functions(cell)(*arguments)
    return output, tuple(final)


def _variable_functions(cell: Any) -> Any:
    if isinstance(cell, LSTMRecurrence):
        return torch._VF.lstm
    if isinstance(cell, GRURecurrence):
        return torch._VF.gru
    assert isinstance(cell, RNNRecurrence)
    return torch._VF.rnn_tanh if cell.nonlinearity == "tanh" else torch._VF.rnn_relu


def step_torch(call: StackCall) -> tuple[Tensor, ...]:
    """One step of one layer by torch's cell operators; `call.input` is (1, B, I)."""
    assert isinstance(call.input, Tensor)
    cell, p = call.recurrence, call.parameters[0]
    state = with_memory([field[0] for field in call.state])
    hx: Any = state if isinstance(cell, LSTMRecurrence) else state[0]
    arguments = (call.input[0], hx, p.weight_ih, p.weight_hh, p.bias_ih, p.bias_hh)
    if isinstance(cell, LSTMRecurrence):
        return tuple(torch._VF.lstm_cell(*arguments))
    if isinstance(cell, GRURecurrence):
        return (torch._VF.gru_cell(*arguments),)
    assert isinstance(cell, RNNRecurrence)
    operator = torch._VF.rnn_tanh_cell if cell.nonlinearity == "tanh" else torch._VF.rnn_relu_cell
    return (operator(*arguments),)


@contextmanager
def _quiet_about_chunks(weights: list[Tensor]) -> Iterator[None]:
    if not weights[0].is_cuda or isinstance(weights[1], torch.nn.Parameter):
        yield
        return
    # dropped recurrent weights are a product, so they cannot lie in cuDNN's one chunk; compacting them is what is meant
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not part of single contiguous chunk.*")
        yield
