"""The generator against published numbers, and what is drawn with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from longhold.errors import InputError
from longhold.integer import TOTAL, IntegerGenerator, draw
from longhold.integer.generator import _split_mix


def test_words_are_those_of_xoshiro128_star_star() -> None:
    generator = IntegerGenerator(0)
    generator._state = [1, 2, 3, 4]
    published = [11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804]
    assert [generator.word() for _ in published] == published


def test_the_seed_goes_through_split_mix() -> None:
    state, found = 1234567, []
    for _ in range(5):
        state, number = _split_mix(state)
        found.append(number)
    assert found == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    low, high = found[0] & 0xFFFFFFFF, found[0] >> 32
    assert IntegerGenerator(1234567)._state[:2] == [low, high]


def test_numbers_below_a_limit_are_equally_likely() -> None:
    generator = IntegerGenerator(3)
    limit = TOTAL - 2**20
    numbers = [generator.below(limit) for _ in range(5000)]
    assert min(numbers) >= 0
    assert max(numbers) < limit
    assert stats.kstest(np.array(numbers) / limit, "uniform").pvalue > 0.01
    assert stats.chisquare(np.bincount([generator.below(7) for _ in range(7000)], minlength=7)).pvalue > 0.001
    assert {generator.below(1) for _ in range(9)} == {0}
    assert {generator.below(2) for _ in range(40)} == {0, 1}


def test_a_token_is_drawn_by_its_frequency_less_one() -> None:
    frequencies = np.array([[1, 1 + (TOTAL - 4) // 4, 1, 1 + 3 * (TOTAL - 4) // 4]])
    generator = IntegerGenerator(12)
    counts = np.bincount([int(draw(frequencies, generator)[0]) for _ in range(8000)], minlength=4)
    assert counts[0] == counts[2] == 0
    assert stats.chisquare(counts[[1, 3]], [2000, 6000]).pvalue > 0.01


def test_rows_take_one_number_each_in_order() -> None:
    frequencies = np.random.default_rng(0).integers(1, 100, (5, 6))
    frequencies[:, 0] += TOTAL - frequencies.sum(1)
    together, alone = IntegerGenerator(2), IntegerGenerator(2)
    for _ in range(20):
        assert draw(frequencies, together).tolist() == [int(draw(row[None], alone)[0]) for row in frequencies]


def test_the_ends_of_each_tokens_share() -> None:
    class Fixed:
        def __init__(self, number: int) -> None:
            self.number = number

        def below(self, limit: int) -> int:
            assert limit == TOTAL - 3
            return self.number

    frequencies = np.array([[6, 1, TOTAL - 7]])
    for number, token in ((0, 0), (4, 0), (5, 2), (TOTAL - 4, 2)):
        fixed: Any = Fixed(number)
        assert draw(frequencies, fixed).tolist() == [token]


@pytest.mark.parametrize("seed", [-1, 2**53, 1.5, "7"])
def test_a_seed_that_javascript_could_not_hold_is_refused(seed: Any) -> None:
    with pytest.raises(InputError, match=r"expected an integer from 0 to 2\^53 - 1"):
        IntegerGenerator(seed)


@pytest.mark.parametrize("limit", [0, 2**24 + 1])
def test_a_limit_out_of_range_is_refused(limit: int) -> None:
    with pytest.raises(InputError, match=f"limit={limit}"):
        IntegerGenerator(0).below(limit)
