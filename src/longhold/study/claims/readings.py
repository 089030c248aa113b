"""The result of one side of a comparison, in words of either language."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from longhold.study.horizon import TrainedHorizon
from longhold.study.horizon.seeds import describe as describe_seed
from longhold.study.horizon.trained import describe as describe_trained
from longhold.study.statistics import Interval, Proportion, Survival
from longhold.study.statistics.estimates import Floats

Language = Literal["en", "zh"]

Reading = Mapping[Language, str]
"""A side's figures in each language."""

_PERCENT = "{:.0f} %"


def between(low: str, high: str, confidence: float) -> Reading:
    """An interval in words."""
    percent = _PERCENT.format(100 * confidence)
    return {"en": f"{percent} interval {low} to {high}", "zh": f"{percent} 区间 {low} 至 {high}"}


def proportion_reading(proportion: Proportion) -> Reading:
    """`8 of 10 seeds (0.80; 95 % interval 0.49 to 0.94)`"""
    known = proportion.estimate()
    ends = _two_digits(known.interval)
    return {
        "en": f"{proportion.solved} of {proportion.seeds} seeds ({known.value:.2f}; {ends['en']})",
        "zh": f"{proportion.seeds} 个种子中 {proportion.solved} 个（{known.value:.2f}；{ends['zh']}）",
    }


def mean_reading(samples: Sequence[Floats]) -> Reading:
    """`mean recall 0.71, seeds from 0.02 to 1.00`; of several tasks, the mean of their means."""
    mean = float(np.mean([one.mean() for one in samples]))
    low, high = min(float(one.min()) for one in samples), max(float(one.max()) for one in samples)
    return {
        "en": f"mean recall {mean:.2f}, seeds from {low:.2f} to {high:.2f}",
        "zh": f"平均回忆率 {mean:.2f}，各种子从 {low:.2f} 到 {high:.2f}",
    }


def steps_reading(known: Survival) -> Reading:
    """`half of the seeds solve by step 420 (95 % interval 300 to 900; 8 of 10 solved)`"""
    last = f"> {known.times[-1]:,.0f}"
    middle, low, high = (
        last if math.isinf(value) else f"{value:,.0f}"
        for value in (known.median.value, known.median.interval.low, known.median.interval.high)
    )
    ends = between(low, high, known.median.interval.confidence)
    return {
        "en": f"median step {middle} ({ends['en']}; {known.solved} of {known.seeds} seeds solved)",
        "zh": f"中位步数 {middle}（{ends['zh']}；{known.seeds} 个种子中 {known.solved} 个解出）",
    }


def trained_reading(known: TrainedHorizon) -> Reading:
    """`90 steps (95 % interval 70 to >= 512)`"""
    ends = known.horizon.interval
    value, low, high = (describe_trained(end, known.lags) for end in (known.horizon.value, ends.low, ends.high))
    return _steps(value, between(low, high, ends.confidence), known.nonmonotone)


def seed_reading(known: Survival, longest: int) -> Reading:
    """`median over seeds 90 steps (95 % interval 70 to >= 512)`"""
    ends = known.median.interval
    value, low, high = (describe_seed(end, longest) for end in (known.median.value, ends.low, ends.high))
    steps = _steps(value, between(low, high, ends.confidence), False)
    return {"en": f"median over seeds {steps['en']}", "zh": f"种子中位数 {steps['zh']}"}


def _steps(value: str, ends: Reading, nonmonotone: bool) -> Reading:
    rises = nonmonotone
    return {
        "en": f"{value} steps ({ends['en']}{'; more seeds solve again at longer lags' if rises else ''})",
        "zh": f"{value} 步（{ends['zh']}{'；更长的间隔处解出的种子又增多' if rises else ''}）",
    }


def _two_digits(ends: Interval) -> Reading:
    return between(f"{ends.low:.2f}", f"{ends.high:.2f}", ends.confidence)
