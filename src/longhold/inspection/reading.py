"""Reading: what a model expected of a sequence, token by token, and what its units did meanwhile."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from longhold.errors import InputError
from longhold.inspection.gates import GateRecord, gates
from longhold.models import SequenceModel, State
from longhold.models.contract import device_of, evaluation_mode

_CHUNK = 256  # steps whose logits are held at once


@dataclass(frozen=True, eq=False)
class Reading:
    """A sequence of `T` tokens as a model read it; everything is on the CPU and cut from the graph."""

    bits: Tensor
    """`(T,)` float64, surprise: -log2 p(token t | what came before it)"""
    rank: Tensor
    """`(T,)`, 1 plus the number of tokens that were more probable in that place"""
    likeliest: Tensor
    """`(T + 1, K)` ids: the K most probable tokens in place t, before token t was read; the last row: after all"""
    probabilities: Tensor
    """`(T + 1, K)` float64, theirs, falling"""
    h: Tensor
    """`(L, T, P)`, hidden states after each token"""
    c: Tensor | None
    """`(L, T, H)`, cell states of an LSTM"""
    gates: Mapping[str, Tensor]
    """`(L, T, H)` by letter, after their activations; empty where there are none"""


def read(
    model: SequenceModel,
    ids: Tensor,
    *,
    begin: int,
    likeliest: int = 10,
    on_step: Callable[[int, int], None] | None = None,
) -> Reading:
    """Let a model read `ids` `(T,)` after the token `begin`, with the state carried, in evaluation mode.

    Args:
        model: a model over token ids that holds one `longhold.RNN`, `GRU` or `LSTM`.
        ids: what is read, at least one token.
        begin: the token before the first, so that the first has odds too.
        likeliest: K, tokens kept for each place; at most V are there.
        on_step: called with the steps done and their number; what it raises stops the reading.

    Raises:
        InputError: there is nothing to read, `likeliest` is below 1, or the model holds no such layer.
    """
    if ids.dim() != 1 or len(ids) == 0 or likeliest < 1:
        raise InputError(f"ids {tuple(ids.shape)}, likeliest={likeliest}: expected at least one token and one kept")
    device = device_of(model)
    inputs = torch.cat([torch.tensor([begin]), ids.cpu()]).long()
    state: State | None = None
    parts, records = [], []
    with torch.no_grad(), evaluation_mode(model):
        for start in range(0, len(inputs), _CHUNK):
            chunk = inputs[start : start + _CHUNK]
            block = chunk[:, None].to(device)
            records.append(gates(model, block, state))
            outputs, state = model(block, state)
            parts.append(_odds(outputs[:, 0], ids[start : start + _CHUNK], likeliest))
            if on_step is not None:
                on_step(start + len(chunk), len(inputs))
    bits, rank, tokens, probabilities = (torch.cat(part) for part in zip(*parts, strict=True))
    return Reading(bits, rank, tokens, probabilities, *_after_the_first(records))


def _odds(logits: Tensor, targets: Tensor, likeliest: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Bits and rank of the targets, `(N,)`, and the likeliest tokens of each place, `(M, K)`, M = N or, last, N + 1."""
    logs = logits.double().cpu().log_softmax(-1)
    probabilities, tokens = logs.topk(min(likeliest, logs.shape[-1]))
    wanted = logs[: len(targets)]
    found = wanted.gather(1, targets.cpu().long()[:, None])
    return -found[:, 0] / math.log(2), 1 + (wanted > found).sum(1), tokens, probabilities.exp()


def _after_the_first(records: list[GateRecord]) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
    """The states and gates of one row after each token but the first, which only began."""

    def joined(parts: list[Tensor]) -> Tensor:
        return torch.cat([part[:, :, 0].cpu() for part in parts], dim=1)[:, 1:]

    cells = [record.c for record in records if record.c is not None]
    letters = records[0].gates
    return (
        joined([record.h for record in records]),
        joined(cells) if cells else None,
        {letter: joined([record.gates[letter] for record in records]) for letter in letters},
    )
