"""Timing of calls side by side: rounds, medians, and the interval of a ratio."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Call = Callable[[], object]


@dataclass(frozen=True)
class Budget:
    """How long a case is measured."""

    rounds: int = 5
    """Rounds at the least; in each round every call has one sample."""
    seconds: float = 0.3
    """Seconds at the least, over all rounds."""
    sample_seconds: float = 0.002
    """A call that is shorter is repeated within a sample until it has taken about as long."""


QUICK = Budget(rounds=2, seconds=0.0, sample_seconds=0.0)
"""For tests and a first look: two rounds of single calls."""


def interleaved(
    calls: Mapping[str, Call], budget: Budget, *, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds of one call, for every sample of every call: `{name: [round 0, round 1, ...]}`.

    Every round visits all calls, each odd one backwards, so that what changes slowly on the machine meets all of them
    and none always follows the same neighbour. Every call runs once beforehand, outside of the figures.
    """
    repeats = {name: _repeats(call, budget.sample_seconds, clock) for name, call in calls.items()}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        began, rounds = clock(), 0
        while rounds < budget.rounds or clock() - began < budget.seconds:
            for name in list(calls) if rounds % 2 == 0 else list(calls)[::-1]:
                samples[name].append(_sample(calls[name], repeats[name], clock))
            rounds += 1
    finally:
        if collecting:
            gc.enable()
    return samples


def _sample(call: Call, repeats: int, clock: Callable[[], float]) -> float:
    began = clock()
    for _ in range(repeats):
        call()
    return (clock() - began) / repeats


def _repeats(call: Call, sample_seconds: float, clock: Callable[[], float]) -> int:
    call()
    once = _sample(call, 1, clock) if sample_seconds > 0 else 1.0
    return max(1, round(sample_seconds / max(once, 1e-9)))


def medians(samples: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The median of each."""
    return {name: statistics.median(values) for name, values in samples.items()}


def ratio_interval(
    slower: Sequence[float], faster: Sequence[float], *, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """A 95 % interval of `median(slower) / median(faster)`: the percentile bootstrap over rounds.

    The two are samples of the same rounds, so a round is drawn as a pair.
    """
    if len(slower) != len(faster) or not slower:
        raise ValueError(f"expected as many rounds of both and at least one, got {len(slower)} and {len(faster)}")
    pairs = np.array([slower, faster])  # (2, rounds)
    drawn = np.random.default_rng(seed).integers(0, len(slower), (resamples, len(slower)))
    middle = np.median(pairs[:, drawn], axis=2)  # (2, resamples)
    low, high = np.percentile(middle[0] / middle[1], (2.5, 97.5))
    return float(low), float(high)
