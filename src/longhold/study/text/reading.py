"""What a text model is tested on besides its bits: how much context it uses, and whether its verbs agree."""

import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from longhold.errors import InputError
from longhold.models.contract import SequenceModel, evaluation_mode
from longhold.study.rows.results import PairAccuracy, TextReading
from longhold.study.text.task import TextTask, ngram, pair_nats, read_text
from longhold.tasks import IGNORE_INDEX, MinimalPair, paradigm_path, read_pairs

if TYPE_CHECKING:
    from longhold.inspection import ContextUse

LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
"""Characters of context that are tried."""

_TARGETS, _SEGMENTS = 2048, 32
_PIECES, _PIECE = 16, 256  # of other held-out text, which stands before the context
_LEAST = _PIECES * _PIECE + LENGTHS[-1] + _TARGETS  # tokens of held-out text
_MOST = 60_000  # tokens of held-out text that the full context runs over
_SENTENCES = 200  # read at once


def require_held_out(corpus: str) -> None:
    """Refuse a text whose held-out part is too short to measure how much context a model uses.

    Raises:
        InputError: it is, or the corpus cannot be read.
    """
    found = len(read_text(corpus).held_out)
    if found < _LEAST:
        raise InputError(
            f"text: {corpus} has {found:,} held-out tokens: expected at least {_LEAST:,} to measure context use, or "
            "contexts = false"
        )


def read_model_of_text(model: SequenceModel, task: TextTask, paradigms: tuple[str, ...]) -> TextReading:
    """The text horizon of a trained model at fixed held-out targets, and its choices between minimal pairs.

    Args:
        model: over the task's tokens.
        task: what it was trained on.
        paradigms: sets of BLiMP, read from `LONGHOLD_DATA`.

    Raises:
        InputError: the held-out text is too short, or a set is missing.
    """
    require_held_out(task.corpus)
    held_out = torch.from_numpy(read_text(task.corpus).held_out)
    before, tokens = held_out[: _PIECES * _PIECE], held_out[_PIECES * _PIECE :][:_MOST]
    used = _context(model, tokens, before.view(_PIECES, _PIECE).T.contiguous())
    empty = _context(model, tokens, None)
    return TextReading(
        window=task.window,
        full_bits=used.full_bits,
        lengths=used.lengths,
        bits=used.bits,
        excess=used.excess,
        excess_from_nothing=empty.excess,
        segment_excess=used.segment_excess,
        targets=used.targets,
        tolerance=used.tolerance,
        horizon=used.horizon,
        censored=used.censored,
        ngram_bits=_ngram_bits(task.corpus),
        pairs=tuple(_pair_accuracy(model, task.corpus, paradigm) for paradigm in paradigms),
    )


def _context(model: SequenceModel, tokens: Tensor, before: Tensor | None) -> "ContextUse":
    from longhold.inspection import context_use  # which imports scipy, for a second

    return context_use(model, tokens, lengths=LENGTHS, targets=_TARGETS, segments=_SEGMENTS, before=before, resamples=1)


@cache
def _ngram_bits(corpus: str) -> float:
    nats = ngram(corpus).nats(read_text(corpus).held_out[:_MOST])
    return float(nats[1:].mean()) / math.log(2)


def _pair_accuracy(model: SequenceModel, corpus: str, paradigm: str) -> PairAccuracy:
    pairs = read_pairs(paradigm_path(paradigm))
    return PairAccuracy(
        paradigm=paradigm,
        right=_right(model, corpus, pairs),
        ngram_right=_right_by_counting(corpus, paradigm),
        pairs=len(pairs),
    )


@cache
def _right_by_counting(corpus: str, paradigm: str) -> int:
    return _right(ngram(corpus), corpus, read_pairs(paradigm_path(paradigm)))


def _right(model: SequenceModel, corpus: str, pairs: tuple[MinimalPair, ...]) -> int:
    """Pairs whose grammatical sentence has the larger summed log-probability; a draw is not right."""
    nats = [_nats(model, corpus, [getattr(pair, side) for pair in pairs]) for side in ("good", "bad")]
    return int((nats[0] < nats[1]).sum())


def _nats(model: SequenceModel, corpus: str, sentences: list[str]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """-ln p of each sentence, whole, its end too."""
    found = []
    with torch.no_grad(), evaluation_mode(model):
        for first in range(0, len(sentences), _SENTENCES):
            inputs, targets = pair_nats(corpus, sentences[first : first + _SENTENCES])
            outputs = model(inputs)[0].double().flatten(0, 1)
            each = F.cross_entropy(outputs, targets.flatten(), ignore_index=IGNORE_INDEX, reduction="none")
            found.append(each.view(targets.shape).sum(0).numpy())
    return np.concatenate(found)
