"""Resets for operators that have none: each segment between two resets becomes a row of its own."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

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
    """The same call with one row per segment, ragged, without resets."""
    assert isinstance(call.input, Tensor)
    assert call.reset is not None
    segments = find_segments(call.reset, call.lengths)
    steps = torch.arange(int(segments.length.max()), device=call.input.device).unsqueeze(1)
    time = (segments.start + steps).clamp(max=call.input.shape[0] - 1)
    state = tuple(
        _segment_state(given, initial, call, segments) for given, initial in zip(call.state, call.initial, strict=True)
    )
    pieces = replace(
        call,
        input=call.input[time, segments.row],
        lengths=segments.length,
        reset=None,
        state=state,
        initial=tuple(field[:, segments.row] for field in call.initial),
    )
    return pieces, segments


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
    assert isinstance(result.output, Tensor)
    steps = torch.arange(result.output.shape[0], device=result.output.device).unsqueeze(1)
    at, segment = (steps < segments.length).nonzero(as_tuple=True)
    output = result.output.new_zeros(*call.input.shape[:2], result.output.shape[-1])
    places = (segments.start[segment] + at, segments.row[segment])
    output = output.index_put(places, result.output[at, segment])
    return StackResult(output, tuple(_final_state(field, call, segments) for field in result.state))


def _final_state(field: Tensor, call: StackCall, segments: Segments) -> Tensor:
    forward = torch.arange(field.shape[0], device=field.device) % call.directions == 0
    leaves = torch.where(forward.unsqueeze(1), segments.last, segments.first)
    return field.gather(1, leaves.unsqueeze(-1).expand(-1, -1, field.shape[-1]))
