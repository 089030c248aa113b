"""The range coder alone: lossless, as short as theory says, carries, ends."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longhold.compression.coder import RangeDecoder, RangeEncoder

Interval = tuple[int, int, int]


def coded(intervals: list[Interval]) -> bytes:
    encoder = RangeEncoder()
    for begin, width, total in intervals:
        encoder.encode(begin, width, total)
    found = encoder.finish()
    assert found is not None
    return found


def assert_decodes(data: bytes, intervals: list[Interval]) -> None:
    decoder = RangeDecoder(data)
    for begin, width, total in intervals:
        assert begin <= decoder.target(total) < begin + width
        decoder.consume(begin, width)


@st.composite
def interval(draw: st.DrawFn) -> Interval:
    total = draw(st.integers(1, 2**25))
    begin = draw(st.integers(0, total - 1))
    return begin, draw(st.integers(1, total - begin)), total


@given(st.lists(interval(), max_size=60))
def test_what_was_coded_is_decoded(intervals: list[Interval]) -> None:
    assert_decodes(coded(intervals), intervals)


@pytest.mark.parametrize("share", [1, 2, 2**12, 2**24])
def test_it_takes_what_the_frequencies_say(share: int) -> None:
    generator = np.random.default_rng(share)
    total, intervals = 2**24 + 4096, []
    for _ in range(3000):
        width = int(generator.integers(1, share + 1))
        intervals.append((int(generator.integers(0, total - width + 1)), width, total))
    data = coded(intervals)
    assert_decodes(data, intervals)
    bits = sum(math.log2(total / width) for _, width, _ in intervals)
    assert bits <= 8 * len(data) + 48  # the decoder may have read zeros beyond the end
    assert 8 * len(data) <= bits + 0.0001 * len(intervals) + 16


def test_a_carry_runs_through_bytes_that_went_out() -> None:
    total = 2**24
    last, tiny = (total - 1, 1, total), (0, 1, total)
    for intervals in ([last] * 40, [last] * 20 + [tiny], [tiny] * 5 + [last] * 30 + [tiny] * 5):
        assert_decodes(coded(intervals), intervals)
    generator = np.random.default_rng(0)
    # parts at the very end of ever narrower intervals: low has long rows of 255, and some of them overflow
    for _ in range(200):
        intervals = [(total - 2, 1, total), *[(total - 1, 1, total)] * int(generator.integers(1, 9))]
        intervals += [(int(generator.integers(0, total)), 1, total) for _ in range(3)]
        assert_decodes(coded(intervals), intervals)


def test_nothing_takes_nothing_and_what_is_sure_takes_nothing() -> None:
    assert coded([]) == b""
    assert coded([(0, 2**20, 2**20)] * 1000) == b""
    assert_decodes(b"", [(0, 2**20, 2**20)] * 1000)


def test_a_decoder_goes_no_further_than_the_bytes() -> None:
    generator = np.random.default_rng(0)
    for length in (0, 1, 7, 110):
        read = 20 * decoded(RangeDecoder(generator.bytes(length)), 2**20)
        assert 8 * length - 20 <= read <= 8 * (length + 6 + 8) + 20


def decoded(decoder: RangeDecoder, total: int) -> int:
    """How many symbols of width 1 are read before the decoder knows that no more are there."""
    count = 0
    try:
        while not decoder.only_first_symbols:
            decoder.consume(decoder.target(total), 1)
            count += 1
    except ValueError:
        pass
    return count


def test_bytes_outside_every_interval_are_refused() -> None:
    total = 2**24 + 4096  # nothing lies in what the division by the total leaves over
    assert decoded(RangeDecoder(b"\xff" * 10_000), total) == 1


def test_behind_the_bytes_all_symbols_are_the_first() -> None:
    sure, rare = (0, 2**20 - 1, 2**20), (0, 1, 2**20)
    intervals = [(4, 3, 7), (6, 1, 7), *[rare] * 50, *[sure] * 1000, *[rare] * 50]
    data = coded(intervals)
    assert len(data) < 10, "zeros at the end are implied"
    assert_decodes(data, intervals)
    decoder = RangeDecoder(data)
    for begin, width, total in intervals[:30]:
        decoder.target(total)
        decoder.consume(begin, width)
    assert decoder.only_first_symbols


def around_a_half(count: int, total: int) -> list[Interval]:
    """Intervals with 1/2 in each of them, so that the bytes are 128 and then zeros alone."""
    left, size, found = 2**47, 2**48, []
    for _ in range(count):
        unit = size // total
        begin = min(left // unit, total - 1)
        left, size = left - unit * begin, unit
        found.append((begin, 1, total))
        while size < 2**40:
            left, size = left << 8, size << 8
    return found


def test_symbols_whose_bytes_would_be_given_up_are_not_coded() -> None:
    few = around_a_half(7, 1001)
    assert coded(few) == b"\x80"
    assert_decodes(b"\x80", few)
    encoder = RangeEncoder()
    for begin, width, total in around_a_half(40, 1001):
        encoder.encode(begin, width, total)
    assert encoder.finish() is None
