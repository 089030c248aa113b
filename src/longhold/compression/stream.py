"""Symbols to coded bytes and back, with an integer model that says what is likely."""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from longhold.compression.coder import RangeDecoder, RangeEncoder
from longhold.compression.spelling import Spelling, Symbols
from longhold.integer import TOTAL, IntegerModel, IntegerStepper

ESCAPE: Final = 16
"""Frequency of each byte that has no token, beside the tokens' 2^24."""

MOST_SEGMENTS: Final = 64
"""Into how many segments a text is cut at most."""

OnProgress = Callable[[int, int], None]
"""Called with the symbols done and all symbols."""

_SHORTEST: Final = 4096
_SLACK: Final = 4096


def segments_for(symbols: int) -> int:
    """Into how many segments a text of so many symbols is cut: one for every 4,096, at most 64.

    Each begins without context, which costs it some dozen bytes, and all are read side by side, which is faster.
    """
    return max(1, min(MOST_SEGMENTS, symbols // _SHORTEST))


def fits(symbols: int, segments: int) -> bool:
    """Whether none of the segments would be empty."""
    return segments > 0 and (segments - 1) * _length(symbols, segments) < symbols


def encode_symbols(
    model: IntegerModel,
    spelling: Spelling,
    symbols: Symbols,
    start: int,
    segments: int,
    worth: int,
    on_progress: OnProgress | None = None,
) -> bytes | None:
    """The coded bytes, or None where they would not be fewer than `worth`, the bytes that the symbols stand for.

    It stops once an eighth and 4,096 bytes more went out than the symbols so far stand for on average.
    """
    encoder, total = RangeEncoder(), _total(spelling)
    stepper, ids = IntegerStepper(model, segments), np.full(segments, start)
    coded = 0
    for row in _side_by_side(symbols, segments):
        frequencies = stepper.step(ids)[: len(row)]
        ids = np.full(segments, start)
        ids[: len(row)] = np.where(row < model.vocab_size, row, start)
        for begin, width in zip(*_intervals(frequencies, row, ids), strict=True):
            encoder.encode(begin, width, total)
        coded += len(row)
        if len(encoder) >= worth or len(encoder) > 1.125 * worth * coded / len(symbols) + _SLACK:
            return None
        if on_progress is not None:
            on_progress(coded, len(symbols))
    found = encoder.finish()
    return found if found is not None and len(found) < worth else None


def decode_symbols(
    model: IntegerModel,
    spelling: Spelling,
    coded: bytes,
    count: int,
    start: int,
    segments: int,
    on_progress: OnProgress | None = None,
) -> Symbols:
    """The `count` symbols that `encode_symbols` coded; of damaged bytes some others.

    The model takes steps only as long as the bytes have something to say: at most `8 (N + 14) / b` symbols of N bytes,
    where b is what the surest symbol takes in bits.

    Raises:
        ValueError: the bytes are over, or were never written by a coder.
    """
    decoder, total = RangeDecoder(coded), _total(spelling)
    stepper, ids = IntegerStepper(model, segments), np.full(segments, start)
    length = _length(count, segments)
    found: Symbols = np.zeros((segments, length), dtype=np.int64)
    done = 0
    for step in range(length):
        if decoder.only_first_symbols:
            break
        active = _rows_at(count, segments, step)
        cumulated = np.cumsum(stepper.step(ids)[:active], axis=1)
        row = np.array([_next(decoder, ends, total) for ends in cumulated])
        found[:active, step] = row
        ids = np.full(segments, start)
        ids[:active] = np.where(row < model.vocab_size, row, start)
        done += active
        if on_progress is not None:
            on_progress(done, count)
    if on_progress is not None and done < count:
        on_progress(count, count)
    return found.ravel()[:count]


def _total(spelling: Spelling) -> int:
    return TOTAL + ESCAPE * spelling.escapes


def _intervals(frequencies: NDArray[np.int64], row: Symbols, ids: NDArray[np.int64]) -> tuple[list[int], list[int]]:
    """Where each symbol's part of the frequencies begins, and how wide it is."""
    lines, own = np.arange(len(row)), ids[: len(row)]
    widths = frequencies[lines, own]
    begins = np.cumsum(frequencies, axis=1)[lines, own] - widths
    beyond = row - frequencies.shape[1]
    return (
        np.where(beyond < 0, begins, TOTAL + ESCAPE * beyond).tolist(),
        np.where(beyond < 0, widths, ESCAPE).tolist(),
    )


def _next(decoder: RangeDecoder, ends: NDArray[np.int64], total: int) -> int:
    """The next symbol, given the cumulated frequencies of the tokens."""
    target = decoder.target(total)
    if target >= TOTAL:
        escape = (target - TOTAL) // ESCAPE
        decoder.consume(TOTAL + ESCAPE * escape, ESCAPE)
        return len(ends) + escape
    symbol = int(ends.searchsorted(target, side="right"))
    begin = int(ends[symbol - 1]) if symbol else 0
    decoder.consume(begin, int(ends[symbol]) - begin)
    return symbol


def _length(count: int, segments: int) -> int:
    """Symbols in each segment but the last, which may have fewer."""
    return -(-count // segments)


def _rows_at(count: int, segments: int, step: int) -> int:
    """How many segments have a symbol at this step; all, or all but the last."""
    return segments if (segments - 1) * _length(count, segments) + step < count else segments - 1


def _side_by_side(symbols: Symbols, segments: int) -> Iterator[Symbols]:
    """At each step the symbols of the segments that have one; segment b holds the b-th stretch of the text."""
    length = _length(len(symbols), segments)
    for step in range(length):
        yield symbols[step::length][: _rows_at(len(symbols), segments, step)]
