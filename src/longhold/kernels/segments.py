"""Resets for operators that have none: each segment between two resets becomes a row of its own."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from longhold.kernels.call import StackCall, StackResult


@dataclass(frozen=True)
class Segments:
    """N segments of a (T, B) batch, ordered by row, then by time."""

    start: Tensor
    """(N,) first step"""
    row: Tensor
    """(N,) batch row"""
    length: Tensor
    """(N,) steps"""
    first: Tensor
    """(B,) each row's first segment"""
    last: Tensor
    """(B,) each row's last segment"""


def find_segments(reset: Tensor, lengths: Tensor | None) -> Segments:
    """Cut each row before every reset. `reset` is (T, B) bool, false beyond the lengths."""
    steps, batch = reset.shape
    begins = reset.clone()
    begins[0] = True
    row, start = begins.T.nonzero(as_tuple=True)
    ends = torch.full((batch,), steps, device=reset.device) if lengths is None else lengths.to(reset.device)
    count = begins.sum(0)
    last = count.cumsum(0) - 1
    stop = torch.cat([start[1:], start.new_zeros(1)]).index_put((last,), ends)
    return Segments(start, row, stop - start, last - count + 1, last)


def split_segments(call: StackCall) -> tuple[StackCall, Segments]:
    """The same call with one row per segment, packed, without resets."""
    assert isinstance(call.input, Tensor)
    assert call.reset is not None
    segments = find_segments(call.reset, call.lengths)
    order, places, batch_sizes = _packed_order(segments, call.input.shape[1])
    state = tuple(
        _segment_state(given, initial, call, segments)[:, order]
        for given, initial in zip(call.state, call.initial, strict=True)
    )
    pieces = replace(
        call,
        input=PackedSequence(call.input.flatten(0, 1)[places], batch_sizes),
        lengths=None,
        reset=None,
        hx=state,
        learned=tuple(field[:, segments.row[order]] for field in call.initial),
    )
    return pieces, segments


def _packed_order(segments: Segments, batch: int) -> tuple[Tensor, Tensor, Tensor]:
    """Segments by falling length; where each packed step lies in the flat (T*B) batch; and the batch sizes."""
    length, order = segments.length.sort(descending=True, stable=True)
    steps = torch.arange(int(length[0]), device=length.device)
    batch_sizes = torch.searchsorted(-length, -steps)  # segments longer than each step
    rank = torch.arange(length.shape[0], device=length.device).repeat_interleave(length)
    step = torch.arange(rank.shape[0], device=length.device) - (length.cumsum(0) - length)[rank]
    position = (batch_sizes.cumsum(0) - batch_sizes)[step] + rank
    flat = (segments.start[order][rank] + step) * batch + segments.row[order][rank]
    return order, torch.empty_like(flat).index_put((position,), flat), batch_sizes.cpu()


def _segment_state(given: Tensor, initial: Tensor, call: StackCall, segments: Segments) -> Tensor:
    """The state before each segment's first step: the given one where the walk enters the row, else the initial one."""
    assert call.reset is not None
    index = torch.arange(segments.row.shape[0], device=given.device)
    enters_forward = (index == segments.first[segments.row]) & ~call.reset[0, segments.row]
    enters_backward = index == segments.last[segments.row]
    forward = torch.arange(given.shape[0], device=given.device) % call.directions == 0
    enters = torch.where(forward.unsqueeze(1), enters_forward, enters_backward)
    return torch.where(enters.unsqueeze(-1), given[:, segments.row], initial[:, segments.row])


def join_segments(call: StackCall, result: StackResult, segments: Segments) -> StackResult:
    """Put the segments' outputs back to their places and pick each row's final state."""
    assert isinstance(call.input, Tensor)
    assert isinstance(result.output, PackedSequence)
    steps, batch = call.input.shape[:2]
    order, places, _ = _packed_order(segments, batch)
    output = result.output.data.new_zeros(steps * batch, result.output.data.shape[-1])
    output = output.index_put((places,), result.output.data).view(steps, batch, -1)
    return StackResult(output, tuple(_final_state(field, order, call, segments) for field in result.state))


def _final_state(field: Tensor, order: Tensor, call: StackCall, segments: Segments) -> Tensor:
    rank = torch.empty_like(order).index_put((order,), torch.arange(order.shape[0], device=order.device))
    forward = torch.arange(field.shape[0], device=field.device) % call.directions == 0
    leaves = torch.where(forward.unsqueeze(1), rank[segments.last], rank[segments.first])
    return field.gather(1, leaves.unsqueeze(-1).expand(-1, -1, field.shape[-1]))
