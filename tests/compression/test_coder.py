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
    return encoder.finish()


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
