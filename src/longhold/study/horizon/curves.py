"""Smooth curves through recall by lag. They are drawings: no horizon is read off them and no claim rests on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.optimize import least_squares
from scipy.special import expit

from longhold.errors import InputError
from longhold.study.statistics.estimates import Floats, sample


@final
@dataclass(frozen=True)
class Curve:
    r"""\((1 - \lambda) \, \sigma((\log_2 h - \log_2 L) / w)\), a falling logistic in log lag.

    Recall is already corrected for chance, so chance is fixed at 0 and only the lapse is free (Wichmann and Hill 2001,
    Perception & Psychophysics 63(8)). A cliff has no finite slope, so the width has a floor and says nothing there.
    """

    middle: float
    """h, steps: where half of what is held at short lags is left."""
    width: float
    """w, octaves."""
    lapse: float
    """lambda: what is missing from perfect recall even at short lags."""

    def at(self, lags: Sequence[float]) -> Floats:
        """`(K,)` recall at some lags."""
        curve: Floats = _logistic(
            np.log2(np.asarray(lags, dtype=np.float64)), np.log2(self.middle), self.width, self.lapse
        )
        return curve


def fit_curve(lags: Sequence[int], recall: Sequence[float]) -> Curve:
    """The least-squares curve through recall by lag.

    The middle stays within an octave of the grid, the width between 1/20 and 8 octaves.

    Raises:
        InputError: there are fewer than three lags, or not one recall for each, or lags that do not rise from 1.
    """
    known = sample(recall, "recall")
    if len(lags) < 3 or len(lags) != len(known):
        raise InputError(f"{len(known)} recalls at {len(lags)} lags: expected one for each of at least 3")
    if any(late <= early for early, late in zip([0, *lags], lags, strict=False)):
        raise InputError(f"lags {list(lags)}: expected positive steps, each longer than the one before")
    octaves = np.log2(np.asarray(lags, dtype=np.float64))
    low, high = [octaves[0] - 1, 0.05, 0.0], [octaves[-1] + 1, 8.0, 1.0]
    starts = [(middle, 0.5, float(np.clip(1 - known.max(), 0.0, 0.99))) for middle in (octaves[:-1] + octaves[1:]) / 2]

    def misfit(x: Floats) -> Floats:
        return _logistic(octaves, x[0], x[1], x[2]) - known

    fits = [least_squares(misfit, start, bounds=(low, high)) for start in starts]
    middle, width, lapse = min(fits, key=lambda fit: float(fit.cost)).x
    return Curve(float(2**middle), float(width), float(lapse))


def _logistic(octaves: Floats, middle: float, width: float, lapse: float) -> Floats:
    curve: Floats = (1 - lapse) * expit((middle - octaves) / width)
    return curve
