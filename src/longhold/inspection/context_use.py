"""Context use: what a language model's prediction gains from each further token of context."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from longhold.errors import InputError
from longhold.models import SequenceModel, State
from longhold.models.contract import evaluation_mode, state_leaves

_Floats = NDArray[np.float64]

_NUMBERS_AT_ONCE = 2**22  # logits of one call
_CHUNK = 256  # steps of the pass over the whole text
_POWERS = (1, 2, 4, 8, 16, 32, 64, 128)


@dataclass(frozen=True)
class ContextUse:
    """Bits per token at the same held-out targets, by how much true context the model is given.

    A weaker model can look longer, so read it beside `full_bits` and the length the model was trained on.
    """

    lengths: tuple[int, ...]
    """tokens of true context"""
    bits: tuple[float, ...]
    """bits per token given only the last so many tokens"""
    full_bits: float
    """bits per token given the whole text before the target"""
    excess: tuple[float, ...]
    """bits - full_bits at each length"""
    segment_excess: tuple[tuple[float, ...], ...]
    """the excess in each contiguous segment of the text, (segments, lengths): what a bootstrap draws from"""
    tolerance: float
    """bits per token up to which an excess counts as nothing"""
    horizon: int
    """tokens: the smallest tested length from which on the excess stays within the tolerance; where censored, the
    longest tested"""
    censored: bool
    """the excess is above the tolerance at the longest tested length: the horizon is longer"""
    low: int
    """lower end of the horizon's interval, by bootstrap over segments"""
    high: int
    """upper end of that interval"""
    high_censored: bool
    """the upper end is the longest length tested, and is a bound, `>`"""
    targets: int
    """tokens that were predicted"""

    def __str__(self) -> str:
        last = self.lengths[-1]
        horizon = f"> {last}" if self.censored else f"{self.horizon}"
        high = f"> {last}" if self.high_censored else f"{self.high}"
        return (
            f"uses {horizon} tokens of context ({self.low} to {high}): with them within {self.tolerance:g} of its "
            f"{self.full_bits:.4f} bits per token ({self.targets:,} targets)"
        )


def context_use(
    model: SequenceModel,
    tokens: Tensor,
    *,
    lengths: Sequence[int] = _POWERS,
    targets: int = 512,
    segments: int = 32,
    before: Tensor | None = None,
    tolerance: float = 0.01,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> ContextUse:
    """Predict the same tokens with the last 1, 2, 4 ... tokens of context and with all of it (Khandelwal et al. 2018).

    Targets are spread evenly over the text. With `before` the true tokens are preceded by other text, which keeps the
    state in the distribution that the model knows (the primary form); without it the state is the initial one, and the
    excess at short lengths is also the strangeness of an empty state. For an n-gram model of order k the excess at
    k - 1 tokens and more is exactly 0. The full context is one pass over the whole text from its beginning, so a text
    must be as long as a Transformer's cache may grow.

    Args:
        model: any `SequenceModel` over token ids; runs in evaluation mode, without a graph.
        tokens: `(N,)` ids of text that the model was not trained on.
        lengths: tokens of context, positive and rising.
        targets: tokens to predict, rounded down to a multiple of `segments`.
        segments: contiguous parts of the text over which the bootstrap draws.
        before: other text, `(M,)`, or `(M, R)` for R pieces of it that take turns; None: an empty state.
        tolerance: bits per token.
        confidence: of the horizon's interval.
        resamples: bootstrap draws.
        seed: of the bootstrap.

    Raises:
        InputError: lengths that are not positive and rising, fewer targets than segments, fewer than 2 segments, a text
            too short for the longest length and the targets, or a number out of range.
    """
    lengths = tuple(lengths)
    per_segment = _per_segment(tokens, lengths, targets, segments)
    _require_numbers(tolerance, confidence, resamples)
    at = torch.linspace(lengths[-1], len(tokens) - 1, per_segment * segments).long()
    with torch.no_grad(), evaluation_mode(model):
        full = _with_all(model, tokens, at)
        start = None if before is None else _after(model, before)
        bits = np.stack([_with_last(model, tokens, at, length, start) for length in lengths])  # (lengths, targets)
    excess = (bits - full).reshape(len(lengths), segments, per_segment).mean(2)  # (lengths, segments)
    horizon, censored = _horizon(lengths, excess.mean(1), tolerance)
    drawn = np.random.default_rng(seed).integers(segments, size=(resamples, segments))
    ends = _interval(excess, tolerance, confidence, drawn)
    low, high = (lengths[min(end, len(lengths) - 1)] for end in ends)
    return ContextUse(
        lengths=lengths,
        bits=tuple(bits.mean(1).tolist()),
        full_bits=float(full.mean()),
        excess=tuple(excess.mean(1).tolist()),
        segment_excess=tuple(map(tuple, excess.T.tolist())),
        tolerance=tolerance,
        horizon=horizon,
        censored=censored,
        low=low,
        high=high,
        high_censored=ends[1] == len(lengths),
        targets=len(at),
    )


def _horizon(lengths: tuple[int, ...], excess: _Floats, tolerance: float) -> tuple[int, bool]:
    first = first_within(excess, tolerance)
    return lengths[min(first, len(lengths) - 1)], first == len(lengths)


def _interval(excess: _Floats, tolerance: float, confidence: float, drawn: NDArray[np.int64]) -> tuple[int, int]:
    """Returns the indices of the lengths at both ends of a bootstrap interval, from segments drawn `(resamples, S)`."""
    held = sorted(first_within(excess[:, part].mean(1), tolerance) for part in drawn)
    low, high = np.quantile(held, [(1 - confidence) / 2, (1 + confidence) / 2], method="inverted_cdf")
    return int(low), int(high)


def first_within(excess: _Floats, tolerance: float) -> int:
    """Index of the first length from which on the excess stays within the tolerance; the number of lengths if none."""
    above = np.flatnonzero(excess > tolerance)
    return int(above[-1]) + 1 if above.size else 0


def _bits(logits: Tensor, targets: Tensor) -> _Floats:
    """-log2 p of each target, from logits `(..., V)`."""
    nats = F.cross_entropy(logits.double().flatten(0, -2), targets.flatten(), reduction="none")
    bits: _Floats = nats.cpu().numpy() / math.log(2)
    return bits


def _with_all(model: SequenceModel, tokens: Tensor, at: Tensor) -> _Floats:
    """Bits of the tokens at the positions `at`, given all before them."""
    state: State | None = None
    found = []
    for first in range(0, len(tokens) - 1, _CHUNK):
        piece = tokens[first : min(first + _CHUNK, len(tokens) - 1)]
        outputs, state = model(piece[:, None], state)
        here = at[(at > first) & (at <= first + len(piece))].to(tokens.device)
        found.append(_bits(outputs[here - 1 - first, 0], tokens[here]))
    return np.concatenate(found)


def _after(model: SequenceModel, before: Tensor) -> State:
    columns = before[:, None] if before.dim() == 1 else before
    if columns.dim() != 2 or not columns.numel():
        raise InputError(f"before {tuple(before.shape)}: expected some tokens, (M,) or (M, R)")
    state: State | None = None
    for piece in torch.split(columns, _CHUNK):
        _, state = model(piece, state)
    assert state is not None
    return state


def _with_last(model: SequenceModel, tokens: Tensor, at: Tensor, length: int, start: State | None) -> _Floats:
    """Bits of the tokens at the positions `at`, given the last `length` tokens, after `start`."""
    vocabulary = model(tokens[:1, None])[0].shape[-1]
    rows = max(1, _NUMBERS_AT_ONCE // (length * vocabulary))
    pieces = 1 if start is None else _rows_of(model, start)
    found = []
    for part in torch.split(torch.arange(len(at)), rows):
        ends = at[part].to(tokens.device)
        windows = tokens[ends - length + torch.arange(length, device=tokens.device)[:, None]]
        state = None if start is None else model.select(start, (part % pieces).to(tokens.device))
        outputs, _ = model(windows, state)
        found.append(_bits(outputs[-1], tokens[ends]))
    return np.concatenate(found)


def _rows_of(model: SequenceModel, state: State) -> int:
    return next(iter(state_leaves(state))).shape[model.state_batch_dim]


def _require_numbers(tolerance: float, confidence: float, resamples: int) -> None:
    if tolerance < 0 or not 0 < confidence < 1 or resamples < 1:
        raise InputError(
            f"tolerance={tolerance}, confidence={confidence}, resamples={resamples}: expected a tolerance of at least "
            "0, a confidence between 0 and 1, at least 1 resample"
        )


def _per_segment(tokens: Tensor, lengths: tuple[int, ...], targets: int, segments: int) -> int:
    if not lengths or any(late <= early for early, late in zip((0, *lengths), lengths, strict=False)):
        raise InputError(f"lengths {list(lengths)}: expected positive numbers of tokens, each more than the one before")
    if segments < 2 or targets < segments:
        raise InputError(f"targets={targets}, segments={segments}: expected at least 2 segments and a target in each")
    if tokens.dim() != 1 or tokens.is_floating_point():
        raise InputError(f"tokens {tuple(tokens.shape)} of {tokens.dtype}: expected ids (N,)")
    wanted = targets // segments * segments
    if len(tokens) - lengths[-1] < wanted:
        raise InputError(
            f"{len(tokens)} tokens: {wanted} targets with {lengths[-1]} tokens before each need {wanted + lengths[-1]}"
        )
    return targets // segments
