"""Results of a model of text: bits per held-out character beside counting and `xz`, and what it writes."""

import math
from functools import cache
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from longhold.data.frequencies import log_frequencies
from longhold.models.contract import SequenceModel
from longhold.study.rows.results import Writing
from longhold.study.text.baselines import MOST_READ, conditional_xz_bits, xz_bits
from longhold.study.text.task import TextTask, ngram, read_text
from longhold.text import TextModel
from longhold.training import evaluate

MOST_TESTED = 60_000
"""Characters of the held-out text, the first ones, that bits are measured on."""

TEMPERATURE = 0.8
"""Of what a model writes."""

_LONGEST_PRIME = 32


def write_by_model(model: SequenceModel, task: TextTask, length: int, seed: int, best_step: int) -> Writing:
    """Ask a trained model for its bits per character on held-out text, and let it write.

    Args:
        model: over the task's tokens.
        task: what it was trained on.
        length: tokens to write.
        seed: of what it writes.
        best_step: the step whose weights it has.
    """
    text, floor, prime = read_text(task.corpus), _floor(task.corpus), prime_of(task.corpus)
    tested = _held_out(task.corpus)
    bits = evaluate(model, tested.ids) * tested.bits_per_nat
    pieces = TextModel(model, text.tokenizer).write(prime, length=length, temperature=TEMPERATURE, seed=seed)
    return Writing(
        bits=bits,
        characters=len(tested.text),
        **floor._asdict(),
        best_step=best_step,
        prime=prime,
        temperature=TEMPERATURE,
        sample="".join(pieces),
    )


def prime_of(corpus: str) -> str:
    """What every model of a text begins from: the first whole words of the held-out part."""
    after = read_text(corpus).after
    words = " ".join(after[:200].split()[1:])[:_LONGEST_PRIME]
    return words.rpartition(" ")[0] or words or after[:1]


@final
class _HeldOut(NamedTuple):
    text: str
    ids: NDArray[np.int64]
    """The last token of the training text, and those of the text."""

    @property
    def bits_per_nat(self) -> float:
        """From nats per token, the first of which is only context, to bits per character."""
        return (len(self.ids) - 1) / math.log(2) / len(self.text)


@final
class _Floor(NamedTuple):
    frequency_bits: float
    ngram_bits: float
    xz_bits: float
    xz_alone_bits: float


@cache
def _held_out(corpus: str) -> _HeldOut:
    text = read_text(corpus)
    tested = text.after[:MOST_TESTED]
    return _HeldOut(tested, np.concatenate([text.trained[-1:], text.tokenizer.encode(tested)]))


@cache
def _floor(corpus: str) -> _Floor:
    """Predictors without a network; they read the last `MOST_READ` characters of the training text."""
    text, tested = read_text(corpus), _held_out(corpus)
    counted = -log_frequencies(text.trained, text.tokenizer.vocab_size)[tested.ids[1:]].mean()
    return _Floor(
        frequency_bits=float(counted) * tested.bits_per_nat,
        ngram_bits=float(ngram(corpus).nats(tested.ids)[1:].mean()) * tested.bits_per_nat,
        xz_bits=conditional_xz_bits(text.before[-MOST_READ:], tested.text),
        xz_alone_bits=xz_bits(tested.text),
    )
