"""Held-out loss, with the state carried over the whole stream."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longhold.errors import InputError
from longhold.models.contract import SequenceModel, State, device_of, evaluation_mode
from longhold.training.batches import Batches

Tokens: TypeAlias = Tensor | NDArray[Any] | Sequence[int]
HeldOut: TypeAlias = Tokens | Batches


def evaluate(model: SequenceModel, data: HeldOut, *, columns: int = 1, chunk: int = 256) -> float:
    """Mean nats per target over held-out data, in evaluation mode and with the state carried along.

    Of `N` tokens the last `N - 1` are each predicted once. With `columns` above 1 the stream is cut into that many
    pieces side by side, each started from the initial state: faster, and a little too high. `Batches` are read from
    step 0 for one epoch, with a new state where a batch is `fresh`. The model and the random generators stay as they
    were.

    Args:
        model: anything that keeps the state contract.
        data: token ids `(N,)` (a memory-mapped array is read piece by piece), or batches.
        columns: pieces side by side, for tokens.
        chunk: steps per call of the model, for tokens; it does not change the result beyond rounding.

    Raises:
        InputError: with fewer than two tokens, with what are no ids, or `columns` or `chunk` below 1.
    """
    if columns < 1 or chunk < 1:
        raise InputError(f"columns={columns}, chunk={chunk}: expected at least 1")
    with evaluation_mode(model), torch.no_grad():
        parts = _over_batches(model, data) if isinstance(data, Batches) else _over_tokens(model, data, columns, chunk)
        counted = list(parts)
    total = sum(count for _, count in counted)
    if total == 0:
        raise InputError("held-out data has nothing to predict: expected at least two tokens")
    return sum(nats * count for nats, count in counted) / total


def _over_batches(model: SequenceModel, batches: Batches) -> Iterator[tuple[float, int]]:
    device, state = device_of(model), None
    for step in range(batches.per_epoch):
        batch = batches.at(step)
        nats, state = model.loss(batch.inputs.to(device), batch.targets.to(device), None if batch.fresh else state)
        count = int((batch.targets != -100).sum())
        if count:
            yield float(nats), count


def _over_tokens(model: SequenceModel, tokens: Tokens, columns: int, chunk: int) -> Iterator[tuple[float, int]]:
    _require_ids(tokens)
    pairs = len(tokens) - 1
    if pairs < 1:
        raise InputError(f"held-out data of {len(tokens)} token(s): expected at least two")
    columns = min(columns, pairs)
    length = pairs // columns
    state: State | None = None
    for start in range(0, length, chunk):
        stop = min(start + chunk, length) + 1
        block = torch.stack([_ids(tokens, c * length + start, c * length + stop) for c in range(columns)], dim=1)
        nats, state, count = _score(model, block, state)
        yield nats, count
    rest = _ids(tokens, columns * length, pairs + 1)
    if state is not None and len(rest) > 1:  # fewer pairs than columns are left over; they continue the last one
        last = model.select(state, torch.tensor([columns - 1]))
        nats, _, count = _score(model, rest[:, None], last)
        yield nats, count


def _require_ids(tokens: Tokens) -> None:
    kept: Any = tokens if isinstance(tokens, Tensor) else np.asanyarray(tokens)
    whole = not (kept.is_floating_point() or kept.is_complex()) if isinstance(kept, Tensor) else kept.dtype.kind in "iu"
    if kept.ndim != 1 or (len(kept) and not whole):
        raise InputError(f"held-out data of shape {tuple(kept.shape)} and type {kept.dtype}: expected token ids (N,)")


def _score(model: SequenceModel, block: Tensor, state: State | None) -> tuple[float, State, int]:
    """Mean nats over a block `(T + 1, C)`, the state after it and the number of targets."""
    block = block.to(device_of(model))
    nats, state = model.loss(block[:-1], block[1:], state)
    return float(nats), state, block[1:].numel()


def _ids(tokens: Tokens, start: int, stop: int) -> Tensor:
    piece = tokens[start:stop]
    return piece.long() if isinstance(piece, Tensor) else torch.from_numpy(np.array(piece, dtype=np.int64))
