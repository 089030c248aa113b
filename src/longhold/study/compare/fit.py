"""Steps that fit a time: how many every run of a plan may take, so that all of them are through by then."""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import final

from longhold.study.execution.cost import Costs
from longhold.study.plan.plan import Experiment, Plan


@final
@dataclass(frozen=True)
class Part:
    """Experiments of a plan that share a part of the time; every run of theirs gets as many steps as the others."""

    names: tuple[str, ...]
    """The experiments."""
    fraction: float
    """Of all processor time, what they may take at most; what they leave is for the parts after them."""
    most: int
    """Steps beyond which they gain nothing."""
    aside: float = 0.0
    """Seconds that each of their runs takes besides its steps and tests."""


def fitted(plan: Plan, parts: Sequence[Part], costs: Costs, seconds: float, workers: int) -> Plan:
    """The plan with as many steps for each part as fit the time, even if no run ends early; at least 1.

    Runs are distributed as the executor distributes them, the longest first, each to the process that is free first.

    Args:
        plan: each of its experiments in one of the parts.
        parts: in the order in which time is given to them.
        costs: of its runs; their slowdown counts.
        seconds: until the last run is to be through, on the clock.
        workers: processes.
    """
    taken: list[float] = []
    steps: dict[str, int] = {}
    for part in parts:
        runs = [run for name in part.names for run in _runs(plan.experiment(name), costs, part.aside)]
        fits = partial(_fits, runs, tuple(taken), part.fraction, seconds, workers)
        found = _largest(fits, part.most)
        taken += [run.lasts(found) for run in runs]
        steps |= dict.fromkeys(part.names, found)
    experiments = tuple(one.model_copy(update={"steps": steps[one.name]}) for one in plan.experiments)
    return plan.model_copy(update={"experiments": experiments})


def makespan(times: Sequence[float], workers: int) -> float:
    """When the last of these runs ends, if the longest begin first and each goes to the process that is free first.

    Example:
        >>> makespan([3, 3, 3, 1], 2)
        6.0
    """
    free = [0.0] * workers
    for time in sorted(times, reverse=True):
        heapq.heapreplace(free, free[0] + time)
    return max(free)


@dataclass(frozen=True)
class _Run:
    step: float
    rest: float

    def lasts(self, steps: int) -> float:
        return self.step * steps + self.rest


def _fits(
    runs: Sequence[_Run], taken: Sequence[float], fraction: float, seconds: float, workers: int, steps: int
) -> bool:
    times = [run.lasts(steps) for run in runs]
    return sum(times) <= fraction * seconds * workers and makespan([*taken, *times], workers) <= seconds


def _runs(experiment: Experiment, costs: Costs, aside: float) -> list[_Run]:
    found = []
    for arm in experiment.every_arm():
        for test_spec in experiment.protocol.test_specs():
            spec = experiment.spec("", arm, test_spec, experiment.seeds[0], experiment.some_setting)
            step, tests = (costs.slowdown * part for part in costs.step_and_tests(spec))
            found += [_Run(step, tests + aside)] * len(experiment.seeds)
    return found


def _largest(fits: Callable[[int], bool], most: int) -> int:
    """The largest number from 1 to `most` that fits; 1 where none does."""
    low, high = 1, most
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low
