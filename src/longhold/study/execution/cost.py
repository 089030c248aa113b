"""What a plan costs before it runs: processor time, from a few steps of each kind of run."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import final

from longhold.errors import InputError
from longhold.study.execution.workers import Job, Pool
from longhold.study.plan.agenda import Agenda
from longhold.study.plan.plan import Plan
from longhold.study.rows.row import Row
from longhold.study.rows.spec import TrialSpec, digest_of
from longhold.study.trial.trial import StepTime, sequences
from longhold.tasks import task_from_json

_FORWARD = 1 / 3
"""A forward pass as a proportion of a step."""

_OWN = (
    *("plan", "experiment", "stage", "protocol", "init", "told", "lr", "clip_norm", "seed", "steps", "stop_at"),
    *("shuffled_labels", "training_seconds", "step_seconds", "trial"),
)
"""What a run may have of its own and still take as long for a step as another."""


def kind_of(spec: TrialSpec) -> str:
    """Names the runs whose steps take equally long."""
    return digest_of(spec.model_dump(mode="json", exclude=set(_OWN)))


def _rough_kind_of(spec: TrialSpec) -> str:
    """Names those that take about as long: widths of embeddings that a search may yet choose are not distinguished."""
    return "about " + digest_of(spec.model_dump(mode="json", exclude={*_OWN, "embedding_size"}))


def representatives(specs: Iterable[TrialSpec]) -> dict[str, TrialSpec]:
    """One run of each kind, by its kind."""
    found: dict[str, TrialSpec] = {}
    for spec in specs:
        found.setdefault(kind_of(spec), spec)
    return found


@final
@dataclass(frozen=True)
class Costs:
    """What runs cost on this machine, in core-seconds."""

    step_seconds: Mapping[str, float]
    """Processor time of an optimizer step, by the kind of run, or by what it is about."""
    slowdown: float = 1.0
    """Time on the clock for a second of processor time, while steps were timed: above 1 on a busy machine."""
    _known: dict[str, float] = field(default_factory=dict, repr=False, compare=False)

    def at_most(self, spec: TrialSpec) -> float:
        """A run that takes all its steps, with its tests."""
        if spec.digest not in self._known:
            self._known[spec.digest] = self._worked_out(spec)
        return self._known[spec.digest]

    def step_and_tests(self, spec: TrialSpec) -> tuple[float, float]:
        """One optimizer step of a run, and its tests."""
        step = self.step_seconds.get(kind_of(spec)) or self.step_seconds[_rough_kind_of(spec)]
        if spec.stage == "timing":
            return step, 0.0
        batches = sum(sequences(spec, task) * task.length for task in map(task_from_json, spec.tests))
        trained = spec.batch_size * task_from_json(spec.task).length
        return step, step * _FORWARD * batches / trained

    def _worked_out(self, spec: TrialSpec) -> float:
        step, tests = self.step_and_tests(spec)
        return (step * spec.steps if spec.training_seconds is None else spec.training_seconds) + tests


def measure(specs: Iterable[TrialSpec], pool: Pool) -> Costs:
    """Time a few steps of each kind of run, in the pool's processes."""
    kinds = representatives(specs)
    tickets = {pool.submit(Job("step_time", spec.model_dump(mode="json"))): kind for kind, spec in kinds.items()}
    found: dict[str, StepTime] = {}
    while len(found) < len(kinds):
        ended = pool.collect()
        if ended is not None:
            found[tickets[ended[0]]] = StepTime(*ended[1])
    wall, core = (sum(times) for times in zip(*found.values(), strict=True)) if found else (0.0, 0.0)
    about = {_rough_kind_of(spec): found[kind].core for kind, spec in kinds.items()}
    steps = {**about, **{kind: times.core for kind, times in found.items()}}
    return Costs(steps, max(1.0, wall / core) if core else 1.0)


@final
@dataclass(frozen=True)
class Bill:
    """What an experiment costs."""

    experiment: str
    """Its name."""
    runs: int
    """Runs at most."""
    at_most: float
    """Core-seconds if no run stops early and no level is skipped; tuning grids are not widened."""
    predicted: float
    """Core-seconds expected: `at_most` times the experiment's `expected_share`."""


def bills(plan: Plan, agenda: Agenda, costs: Costs) -> tuple[Bill, ...]:
    """What is left of each experiment."""
    left: dict[str, list[float]] = defaultdict(list)
    for spec in agenda.specs():
        left[spec.experiment].append(costs.at_most(spec))
    return tuple(
        Bill(e.name, len(left[e.name]), sum(left[e.name]), e.expected_share * sum(left[e.name]))
        for e in plan.experiments
    )


def refuse_beyond_budget(plan: Plan, account: tuple[Bill, ...], used: float = 0.0) -> None:
    """Raise InputError, with what to cut, where a plan is predicted to take more than its core-seconds.

    Args:
        plan: the plan.
        account: what is left of it.
        used: core-seconds of the rows that there are.
    """
    predicted = used + sum(bill.predicted for bill in account)
    if predicted <= plan.core_seconds:
        return
    dearest = max(account, key=lambda bill: bill.predicted)
    others = predicted - dearest.predicted
    proportion = max(0.0, plan.core_seconds - others) / dearest.predicted
    experiment = plan.experiment(dearest.experiment)
    if experiment.steps is None:
        cut = f"cut its training_seconds to {(experiment.training_seconds or 0.0) * proportion:.2g}, or its seeds"
    else:
        steps = math.floor(experiment.steps * proportion)
        cut = f"cut its steps to {steps}, or its seeds"
    cut = cut if proportion else "leave it out and cut others"
    raise InputError(
        f"plan {plan.name!r} is predicted to take {predicted:,.0f} core-seconds, over its budget of "
        f"{plan.core_seconds:,.0f}; {dearest.predicted:,.0f} are for {dearest.experiment!r}: {cut}"
    )


@final
class Forecast:
    """Core-seconds that are left, from the rows that there are; where none is like a run, from its costs if known."""

    def __init__(self, plan: Plan, rows: Iterable[Row], costs: Costs | None = None) -> None:
        self._shares = {experiment.name: experiment.expected_share for experiment in plan.experiments}
        self._costs = costs
        self._alike: dict[tuple[object, ...], list[float]] = defaultdict(list)
        for row in rows:
            for key in _likeness(row.spec):
                self._alike[key].append(row.core_seconds)

    def of(self, spec: TrialSpec) -> float | None:
        """What one run is expected to take; None where nothing tells."""
        nearest, *others = _likeness(spec)
        if nearest in self._alike:
            return statistics.fmean(self._alike[nearest])
        if self._costs is not None:
            return self._costs.at_most(spec) * self._shares[spec.experiment]
        return next((statistics.fmean(self._alike[key]) for key in others if key in self._alike), None)

    def total(self, specs: Iterable[TrialSpec]) -> float | None:
        """What several runs are expected to take; None where nothing tells for one of them."""
        known = [self.of(spec) for spec in specs]
        return None if None in known else sum(seconds for seconds in known if seconds is not None)


def _likeness(spec: TrialSpec) -> tuple[tuple[object, ...], ...]:
    """What makes runs alike, from near to far."""
    return (
        (spec.experiment, spec.stage, spec.arm, spec.level),
        (spec.experiment, spec.level),
        (spec.experiment,),
        (),
    )
