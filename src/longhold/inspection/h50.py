"""H50: the horizon of one model from its recall by lag, a rule without a fitted curve."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from longhold.errors import InputError

HALF = 0.5
"""The recall below which a lag is no longer held."""

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Horizon:
    """How far back one model answers, in steps, on the grid of lags it was tested at.

    `str` gives it in one line: `17 steps (16 to 18; below half from lag 20)`, or `>= 512 steps` where it was censored.
    """

    value: int
    """steps: the last tested lag before isotonic recall first falls below one half; 0 if the first tested lag fails"""
    censored: bool
    """recall never fell below one half: the horizon is at least `value`, the longest lag tested"""
    below: int | None
    """steps: the first tested lag at which isotonic recall is below one half; None where censored. The horizon lies in
    [value, below)"""
    low: int | None
    """steps: lower end of the interval over test sequences; None where their number was not given"""
    high: int | None
    """steps: upper end of the interval over test sequences; None where their number was not given"""
    high_censored: bool
    """the upper end is the longest lag tested, and is a bound, `>=`"""
    p_value: float | None
    """of the hypothesis that recall never rises with the lag; None where the number of sequences was not given"""
    nonmonotone: bool | None
    """recall rises somewhere by more than chance allows (`p_value` below the test's level), so one number does not tell
    the story; None where the number of sequences was not given"""

    def __str__(self) -> str:
        parts = []
        if self.low is not None:
            parts.append(f"{self.low} to {'>= ' if self.high_censored else ''}{self.high}")
        if self.below is not None:
            parts.append(f"below half from lag {self.below}")
        if self.nonmonotone:
            parts.append("recall rises again at longer lags")
        remarks = f" ({'; '.join(parts)})" if parts else ""
        return f"{'>= ' if self.censored else ''}{self.value} steps{remarks}"


def h50(
    lags: Sequence[int],
    recall: Sequence[float],
    *,
    trials: int | None = None,
    chance: float = 0.0,
    confidence: float = 0.95,
    resamples: int = 1000,
) -> Horizon:
    r"""The last lag before isotonic recall first falls below 0.5.

    Recall is fitted by the least-squares sequence that never rises with the lag. The horizon is 0 if the first lag
    fails, and right-censored if no lag does. No curve is fitted: a cliff has no finite slope.

    With `trials`, also:

    - an interval over test sequences by bootstrap: the answers at each lag are drawn again (binomial, as the
      sequences of different lags are independent) and the rule applied anew; the percentiles are lags of the grid. It
      says nothing about other seeds.
    - a test that recall never rises. Accuracies are made equal in variance by \(z = 2 \sqrt{n + 1/2} \arcsin
      \sqrt{(x + 3/8) / (n + 3/4)}\) for `x` right answers of `n` (Anscombe 1948), and the squared distance of `z` from
      its isotonic fit is compared with its chi-bar-square distribution under equal accuracies, the least favourable
      case (Robertson, Wright and Dykstra 1988, section 2.3). It holds its level for every recall that does not rise.

    Args:
        lags: tested lags in steps, positive and rising.
        recall: (accuracy - chance) / (1 - chance) at each lag; 1 is perfect, 0 chance, less is worse than chance.
        trials: n, test sequences at each lag.
        chance: the accuracy of guessing, in [0, 1); read only with `trials`.
        confidence: of the interval; 1 - confidence is the level of the test.
        resamples: bootstrap draws; their generator is seeded, so the same call gives the same interval.

    Raises:
        InputError: for lags that are not positive and rising, a recall for each that is a number of at most 1, trials
            below 1, or a chance or confidence outside its range.
    """
    values = _checked(lags, recall)
    held = _held(values)
    value, censored = _last(lags, held)
    below = None if censored else int(lags[held])
    if trials is None:
        return Horizon(value, censored, below, None, None, False, None, None)
    accuracy = _accuracy(values, trials, chance, confidence)
    draws = np.random.default_rng(0).binomial(trials, accuracy, size=(resamples, len(lags))) / trials
    counts = sorted(_held((row - chance) / (1 - chance)) for row in draws)
    ends = np.quantile(counts, [(1 - confidence) / 2, (1 + confidence) / 2], method="inverted_cdf")
    (low, _), (high, open_end) = (_last(lags, int(end)) for end in ends)
    p_value = rising_p_value(accuracy, trials)
    return Horizon(value, censored, below, low, high, open_end, p_value, p_value < 1 - confidence)


def rising_p_value(accuracy: NDArray[np.float64], trials: int) -> float:
    """The p-value of the hypothesis that `accuracy`, `(K,)` proportions of `trials` each, never rises; see `h50`."""
    proportions = (accuracy * trials + 3 / 8) / (trials + 3 / 4)
    z = 2 * np.sqrt(trials + 1 / 2) * np.arcsin(np.sqrt(proportions))
    distance = float(((z - scipy.optimize.isotonic_regression(z, increasing=False).x) ** 2).sum())
    levels = _level_probabilities(len(z))
    tails = scipy.stats.chi2.sf(distance, len(z) - np.arange(1, len(z)))
    return min(1.0, float(levels[:-1] @ tails) + (float(levels[-1]) if distance == 0 else 0.0))


def _level_probabilities(size: int) -> _Floats:
    """The chance that the isotonic fit of `size` independent normal draws has 1, 2 ... `size` levels."""
    levels = np.array([1.0])
    for count in range(2, size + 1):
        levels = np.append(levels, 0.0) * (count - 1) / count + np.append(0.0, levels) / count
    return levels


def _held(recall: _Floats) -> int:
    """How many lags come before isotonic recall first falls below one half."""
    failed = scipy.optimize.isotonic_regression(recall, increasing=False).x < HALF
    return int(failed.argmax()) if failed.any() else len(recall)


def _last(lags: Sequence[int], held: int) -> tuple[int, bool]:
    return (int(lags[held - 1]) if held else 0), held == len(lags)


def _checked(lags: Sequence[int], recall: Sequence[float]) -> _Floats:
    if len(lags) == 0 or any(late <= early for early, late in zip([0, *lags], lags, strict=False)):
        raise InputError(f"lags {list(lags)}: expected positive steps, each longer than the one before")
    values = np.asarray(recall, dtype=np.float64)
    if values.shape != (len(lags),):
        raise InputError(f"{values.size} recalls for {len(lags)} lags: expected one for each")
    if not (np.isfinite(values).all() and values.max() <= 1 + 1e-9):
        raise InputError(f"recall {values.tolist()}: expected numbers of at most 1")
    return values


def _accuracy(recall: _Floats, trials: int, chance: float, confidence: float) -> _Floats:
    if trials < 1:
        raise InputError(f"trials={trials}: expected at least 1 sequence per lag")
    if not 0 <= chance < 1:
        raise InputError(f"chance={chance}: expected at least 0 and below 1")
    if not 0 < confidence < 1:
        raise InputError(f"confidence={confidence}: expected a number between 0 and 1")
    accuracy: _Floats = chance + recall * (1 - chance)
    if accuracy.min() < -1e-9:
        raise InputError(f"recall {recall.min():g} at chance {chance:g}: no accuracy of at least 0 gives it")
    return accuracy.clip(0, 1)
