"""A sequence in chunks whose insides are computed again for the backward pass: memory for time, whatever the cell."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from longhold.cells import Unrolled
from longhold.kernels.call import Direction, DirectionNoise, StackCall


def in_chunks(direction: Direction) -> Direction:
    """The same function of one layer and direction, which keeps only the state every `checkpoint_every` steps.

    Results are those without chunks up to rounding: the product over all steps of a chunk is torch's, whose rounding
    may depend on the number of rows, and a gradient that is a sum over time is summed chunk by chunk. With one chunk
    the output has the same bits.
    """

    def run(call: StackCall, x: Tensor, lengths: Tensor | None, row: int) -> Unrolled:
        if call.checkpoint_every is None:
            return direction(call, x, lengths, row)
        parts: list[Unrolled] = []
        state, backwards = tuple(field[row] for field in call.state), row % call.directions == 1
        for begin, end in _bounds(x.shape[0], call.checkpoint_every, backwards):
            if backwards and call.reset is not None and end < x.shape[0]:
                # read backwards, a reset at `end` cuts between it and the step before, which is this chunk's first
                cut = call.reset[end].unsqueeze(-1)
                state = tuple(torch.where(cut, new[row], old) for new, old in zip(call.initial, state, strict=True))
            part = _narrowed(call, begin, end)
            there = None if lengths is None else (lengths - begin).clamp(0, end - begin)
            parts.append(_again(direction, part, x[begin:end], there, row, state))
            state = tuple(parts[-1].final)
        final = parts[-1].final
        parts = parts[::-1] if backwards else parts
        states, gates = ([*zip(*(getattr(part, name) for part in parts), strict=True)] for name in ("states", "gates"))
        return Unrolled(tuple(map(_joined, states)), tuple(map(_joined, gates)), final)

    return run


def _bounds(steps: int, every: int, backwards: bool) -> Iterator[tuple[int, int]]:
    begins = range(0, steps, every)
    for begin in reversed(begins) if backwards else begins:
        yield begin, min(begin + every, steps)


def _narrowed(call: StackCall, begin: int, end: int) -> StackCall:
    """The call with everything that holds one entry per step cut to some steps."""

    def cut(noise: DirectionNoise) -> DirectionNoise:
        zones = tuple(zone[begin:end] if isinstance(zone, Tensor) else zone for zone in noise.zoneout)
        return replace(noise, zoneout=zones)

    reset = None if call.reset is None else call.reset[begin:end]
    return replace(call, reset=reset, noise=[cut(noise) for noise in call.noise], checkpoint_every=None)


def _again(
    direction: Direction, call: StackCall, x: Tensor, lengths: Tensor | None, row: int, state: tuple[Tensor, ...]
) -> Unrolled:
    def run(x: Tensor, *state: Tensor) -> Unrolled:
        everywhere = tuple(field.expand(len(call.parameters), *field.shape) for field in state)
        return direction(replace(call, hx=everywhere), x, lengths, row)

    result: Unrolled = checkpoint(run, x, *state, use_reentrant=False, preserve_rng_state=False)
    return result


def _joined(parts: tuple[Tensor, ...]) -> Tensor:
    return torch.cat(parts)
