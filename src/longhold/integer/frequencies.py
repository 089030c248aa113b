"""From logits to integer frequencies: softmax without a rounding that anyone could do otherwise."""

from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from longhold.errors import InputError
from longhold.integer.fixed import TOTAL, Function, Integers, Tables

HUNDRED: Final = 100
"""Temperatures are whole hundredths; this is 1, the model's own distribution."""

LARGEST_TEMPERATURE: Final = 1000
"""In hundredths."""


@final
class Frequencies:
    """Logits (B, V) to frequencies (B, V), integers of at least 1, each row with the sum TOTAL = 2^24:

        d_v = floor(100 (max_u y_u - y_v) / temperature)          whole hundredths; at 0: 0 for the first largest logit
        e_v = exp(-d_v)                                           from the table; at 0: 0 for all others
        f_v = 1 + floor(e_v (TOTAL - V) / sum_u e_u)

    and what is then left of TOTAL, less than V, is added to the first of the largest logits. The quotients are computed
    in float64 and are nevertheless exact: dividend and divisor together are below 2^53. Where only some tokens may
    come, the largest logit is that of these, and e_v = 0 for all others, so that they have frequency 1.
    """

    def __init__(self, tables: Tables) -> None:
        self._exp = Function(tables.exp)

    def __call__(
        self, logits: Integers, temperature: int = HUNDRED, allowed: NDArray[np.bool_] | None = None
    ) -> Integers:
        """See the class; `allowed` (B, V) or (V,) are the tokens that may come, None: any.

        Raises:
            InputError: the temperature is not an integer number of hundredths from 0 to 1000, or no token is allowed.
        """
        if allowed is not None:
            if not allowed.any(-1).all():
                raise InputError("no token is allowed, expected at least one")
            logits = np.where(allowed, logits, -np.inf)
        best = logits.argmax(1)[:, None]
        below = np.take_along_axis(logits, best, 1) - logits
        weights = self._weights(below, best, temperature)
        if allowed is not None:
            weights = np.where(allowed, weights, 0.0)
        vocabulary = logits.shape[1]
        found: Integers = np.floor(weights * (TOTAL - vocabulary) / weights.sum(1, keepdims=True)) + 1.0
        rest = TOTAL - found.sum(1, keepdims=True)
        np.put_along_axis(found, best, np.take_along_axis(found, best, 1) + rest, 1)
        return found

    def _weights(self, below: Integers, best: np.ndarray, temperature: int) -> Integers:
        if not isinstance(temperature, int) or not 0 <= temperature <= LARGEST_TEMPERATURE:
            raise InputError(
                f"temperature={temperature!r}: expected whole hundredths from 0 to {LARGEST_TEMPERATURE}, 100 is 1.0"
            )
        if temperature == 0:
            weights: Integers = np.zeros_like(below)
            np.put_along_axis(weights, best, 1.0, 1)
            return weights
        return self._exp(below if temperature == HUNDRED else np.floor(below * HUNDRED / temperature))
