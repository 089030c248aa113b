"""Random numbers that are the same in every language, and a token drawn with them."""

from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from longhold.errors import InputError
from longhold.integer.fixed import TOTAL

_WORD: Final = 2**32 - 1
_LONG: Final = 2**64 - 1
LARGEST_SEED: Final = 2**53 - 1
"""The largest integer that a number of JavaScript is sure to hold."""


@final
class IntegerGenerator:
    """xoshiro128** (Blackman and Vigna 2021), its four words from two numbers of SplitMix64 (Steele et al. 2014).

    Words are taken low half first. A seed is an integer from 0 to 2^53 - 1, so that JavaScript has it too.
    """

    def __init__(self, seed: int) -> None:
        if not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED:
            raise InputError(f"seed={seed!r}: expected an integer from 0 to 2^53 - 1")
        self._state: list[int] = []
        for _ in range(2):
            seed, number = _split_mix(seed)
            self._state += [number & _WORD, number >> 32]

    def word(self) -> int:
        """The next 32 bits."""
        a, b, c, d = self._state
        result = (_rotated(b * 5 & _WORD, 7) * 9) & _WORD
        c, d = c ^ a, d ^ b
        self._state = [a ^ d, b ^ c, c ^ (b << 9 & _WORD), _rotated(d, 11)]
        return result

    def below(self, limit: int) -> int:
        """An integer from 0 to `limit - 1`, each as likely.

        As many upper bits of a word as `limit - 1` has (at least one), of word after word until they fit.

        Raises:
            InputError: the limit is not from 1 to 2^24.
        """
        if not 1 <= limit <= TOTAL:
            raise InputError(f"limit={limit}: expected an integer from 1 to 2^24")
        shift = 32 - max(1, (limit - 1).bit_length())
        while True:
            number = self.word() >> shift
            if number < limit:
                return number


def draw(frequencies: NDArray[np.int64], generator: IntegerGenerator) -> NDArray[np.int64]:
    """One token for each row of frequencies (B, V), as a stepper gives them: ids (B,).

    Each token weighs its frequency less 1: that 1 is there so that every token can be coded, not to be written. One
    number below `TOTAL - V` is drawn for each row, in order; the token is the first whose weight, added to those of all
    smaller ids, is above it.
    """
    weights = np.cumsum(frequencies - 1, axis=1)
    return np.array([int(np.searchsorted(row, generator.below(int(row[-1])), side="right")) for row in weights])


def _split_mix(state: int) -> tuple[int, int]:
    """SplitMix64: the state after the next number, and that number."""
    state = (state + 0x9E3779B97F4A7C15) & _LONG
    number = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & _LONG
    number = ((number ^ number >> 27) * 0x94D049BB133111EB) & _LONG
    return state, number ^ number >> 31


def _rotated(word: int, by: int) -> int:
    return (word << by | word >> (32 - by)) & _WORD
