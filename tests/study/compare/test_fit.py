"""Steps that fit a time."""

import itertools

import pytest

from longhold.study.compare.fit import Part, fitted, makespan
from longhold.study.execution.cost import Costs, representatives
from longhold.study.plan.agenda import agenda
from longhold.study.plan.plan import Plan
from tests.study.tiny import experiment, plan


def dealt(times: list[float], workers: int) -> float:
    """Minute by minute: whoever is free takes the longest that is left."""
    waiting, busy, clock = sorted(times), [0.0] * workers, 0.0
    while waiting or any(busy):
        busy = [left or (waiting.pop() if waiting else 0.0) for left in busy]
        passing = min(left for left in busy if left)
        clock += passing
        busy = [max(0.0, left - passing) for left in busy]
    return clock


@pytest.mark.parametrize("workers", [1, 2, 3, 9])
def test_the_longest_go_first_to_whoever_is_free(workers: int) -> None:
    times = [float(n) for n in (7, 1, 1, 2, 5, 5, 3, 1)]
    assert makespan(times, workers) == dealt(times, workers)
    assert makespan([], workers) == 0.0


LONG = {"name": "long", "arms": {"lstm": ["uniform"]}, "seeds": [0], "steps": 1}
BOTH = plan(
    experiment(**LONG, protocol={"name": "plain", "task": {"name": "parity"}}),
    experiment(seeds=[0, 1, 2], steps=1),
)
"""One run, and 18: two arms, three lags, three seeds."""

COSTS = Costs(dict.fromkeys(representatives(agenda(BOTH, {}).specs()), 0.01), slowdown=2.0)


def lasting(study: Plan) -> list[float]:
    return [2.0 * COSTS.at_most(spec) for spec in agenda(study, {}).specs()]


def through(study: Plan, workers: int) -> float:
    return makespan(lasting(study), workers)


def more(study: Plan, place: int) -> Plan:
    parts = [one.model_copy(update={"steps": one.steps + (at == place)}) for at, one in enumerate(study.experiments)]
    return study.model_copy(update={"experiments": tuple(parts)})


@pytest.mark.parametrize(("seconds", "workers"), [*itertools.product([12.0, 60.0], [1, 2, 5])])
def test_as_many_steps_as_fit_and_not_one_more(seconds: float, workers: int) -> None:
    found = fitted(BOTH, [Part(("long",), 0.25, 10**6), Part(("hold",), 1.0, 10**6)], COSTS, seconds, workers)
    long, hold = (one.steps for one in found.experiments)
    assert through(found, workers) <= seconds < through(more(found, 1), workers)
    own = sum(lasting(found.model_copy(update={"experiments": found.experiments[:1]})))
    assert own <= 0.25 * seconds * workers
    assert own + 2 * 0.01 > min(0.25 * seconds * workers, seconds)  # one more step would pass its share, or the time
    assert (long, hold) != (1, 1)


def test_no_more_than_are_of_use_and_never_none() -> None:
    parts = [Part(("long",), 0.5, 7), Part(("hold",), 1.0, 9)]
    assert [one.steps for one in fitted(BOTH, parts, COSTS, 1e6, 2).experiments] == [7, 9]
    assert [one.steps for one in fitted(BOTH, parts, COSTS, 1e-6, 2).experiments] == [1, 1]


def test_what_a_run_takes_aside_is_taken_off_its_steps() -> None:
    free, bound = (
        fitted(BOTH, [Part(("long",), 1.0, 10**6, aside), Part(("hold",), 1.0, 1)], COSTS, 50.0, 1).experiments[0].steps
        for aside in (0.0, 10.0)
    )
    assert free - bound == pytest.approx(10.0 / 0.02, abs=1)
