"""What a network has to beat: counting, and a compressor that everyone has."""

import lzma
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import NDArray

from longhold.data import Tokenizer
from longhold.errors import InputError
from longhold.models.ngram import KneserNey

ORDERS = range(2, 7)
"""The orders that an n-gram is chosen from."""

MOST_READ = 4_000_000
"""Characters that a baseline reads; beyond it, minutes would go into the baselines."""
_SMALLEST_DICTIONARY, _LARGEST_DICTIONARY = 1 << 20, 1 << 28


@final
@dataclass(frozen=True)
class Baseline:
    """A predictor without a network and what it needs."""

    name: str
    """What it is called."""
    explanation: str
    """How its number comes about, in a line."""
    bits_per_character: float
    """Bits that a character of the held-out text costs."""
    seconds: float = field(compare=False)
    """Time taken."""


def baselines(train: str, validation: str, held_out: str, tokenizer: Tokenizer) -> tuple[Baseline, ...]:
    """Token frequencies, the Kneser-Ney n-gram of the best order, xz that has read the training text, and xz alone.

    All read `train` and are measured on `held_out`; `validation` chooses the order and does nothing else. Of a training
    text beyond 4,000,000 characters the last so many are read, and the rows say so.
    """
    read = train[-MOST_READ:]
    source = "the training text" if read == train else f"the last {MOST_READ:,} characters of the training text"
    ids, context = tokenizer.encode(read), int(tokenizer.encode(train[-1:])[-1])
    choosing, asked = tokenizer.encode(validation), tokenizer.encode(held_out)

    def bits(order: int, text: NDArray[np.int64]) -> float:
        nats = KneserNey(order, tokenizer.vocab_size).fit(ids).nats(np.concatenate([[context], text]))
        return float(nats[1:].sum()) / math.log(2) / len(held_out)

    def best() -> tuple[float, str]:
        order = min(ORDERS, key=lambda n: bits(n, choosing))
        told = f"order {order}, the best of {ORDERS[0]} to {ORDERS[-1]} on the validation text; counts from {source}"
        return bits(order, asked), f"interpolated modified Kneser-Ney of {told}"

    return (
        _timed("token frequencies", lambda: (bits(1, asked), f"how often each token occurs in {source}; no context")),
        _timed("n-gram", best),
        _timed(
            "xz after training text",
            lambda: (
                conditional_xz_bits(read, held_out),
                f"what xz -9e grows by when the held-out text follows {source}",
            ),
        ),
        _timed(
            "xz alone", lambda: (xz_bits(held_out), "the held-out text compressed by xz -9e with nothing before it")
        ),
    )


def xz_bits(text: str) -> float:
    """`8 len(xz(text)) / characters`, headers included.

    Raises:
        InputError: for an empty text.
    """
    raw = _require(text).encode()
    return 8 * _xz_bytes(raw, len(raw)) / len(text)


def conditional_xz_bits(train: str, held_out: str) -> float:
    """`8 (len(xz(train + held_out)) - len(xz(train))) / characters(held_out)`.

    The dictionary holds both texts (up to 256 MiB), so anything in `train` can be referred to.

    Raises:
        InputError: for an empty held-out text.
    """
    before, after = train.encode(), _require(held_out).encode()
    window = len(before) + len(after)
    return 8 * (_xz_bytes(before + after, window) - _xz_bytes(before, window)) / len(held_out)


def _xz_bytes(raw: bytes, window: int) -> int:
    dictionary = min(max(_SMALLEST_DICTIONARY, 1 << window.bit_length()), _LARGEST_DICTIONARY)
    chain = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": dictionary}]
    return len(lzma.compress(raw, format=lzma.FORMAT_XZ, filters=chain))


def _require(text: str) -> str:
    if not text:
        raise InputError("the held-out text is empty: expected at least one character")
    return text


def _timed(name: str, measure: Callable[[], tuple[float, str]]) -> Baseline:
    began = time.perf_counter()
    bits, explanation = measure()
    return Baseline(name, explanation, bits, time.perf_counter() - began)
