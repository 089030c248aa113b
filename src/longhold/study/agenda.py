"""What of a plan is to be run next: a pure function of the plan and of the rows that there are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import final

from longhold.study.plan import Experiment, Plan, Tuning
from longhold.study.protocols import Exam
from longhold.study.row import Row, Stage, TrialSpec, arm_label
from longhold.study.tuning import best_rate, wider

Rows = Mapping[str, Row]
"""Rows by their digest."""


@final
@dataclass(frozen=True)
class Item:
    """A run that may begin now."""

    spec: TrialSpec
    """What is run."""
    then: tuple[TrialSpec, ...] = ()
    """What may have to wait for it: higher levels of the same arm and seed."""


@final
@dataclass(frozen=True)
class Agenda:
    """Where a plan stands."""

    done: tuple[Row, ...]
    """The rows that it asks for and has, in the order of the plan."""
    ready: tuple[Item, ...]
    """May begin now, in the order of the plan."""
    later: tuple[TrialSpec, ...]
    """May follow, depending on rows that are not there yet. Where a learning rate is still to be tuned, the middle of
    the grid stands for it, and widening is not counted."""
    rates: Mapping[tuple[str, str], float]
    """The tuned learning rates that are decided, by experiment and arm."""

    @property
    def runs(self) -> int:
        """How many runs are left at most."""
        return len(self.ready) + len(self.later)

    def specs(self) -> Iterator[TrialSpec]:
        """All of them."""
        yield from (item.spec for item in self.ready)
        yield from self.later


def agenda(plan: Plan, rows: Rows) -> Agenda:
    """Where a plan stands, given the rows there are. Rows that it does not ask for play no part."""
    return Planner(plan).agenda(rows)


@final
class Planner:
    """A plan that is asked again and again where it stands; what its runs are told is worked out once."""

    def __init__(self, plan: Plan) -> None:
        self._arms = [
            _Arm(plan.name, experiment, cell, init)
            for experiment in plan.experiments
            for cell, init in experiment.arm_names()
        ]

    def agenda(self, rows: Rows) -> Agenda:
        """As `longhold.study.agenda.agenda`."""
        parts = [(arm, arm.stand(rows)) for arm in self._arms]
        return Agenda(
            done=tuple(row for _, part in parts for row in part.done),
            ready=tuple(item for _, part in parts for item in part.ready),
            later=tuple(spec for _, part in parts for spec in part.later),
            rates={arm.name: part.tuned for arm, part in parts if part.tuned is not None},
        )


class _Standing:
    """Where one arm stands."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.done: list[Row] = []
        self.ready: list[Item] = []
        self.later: list[TrialSpec] = []
        self.tuned: float | None = None

    def row(self, spec: TrialSpec) -> Row | None:
        row = self._rows.get(spec.digest)
        if row is not None:
            self.done.append(row)
        return row


class _Arm:
    """One arm of one experiment."""

    def __init__(self, plan: str, experiment: Experiment, cell: str, init: str) -> None:
        self.name = experiment.name, arm_label(cell, init)
        self._plan, self._experiment, self._cell, self._init = plan, experiment, cell, init
        self._exams = experiment.protocol.exams()
        self._known: dict[tuple[int | None, int, float, Stage], TrialSpec] = {}

    def stand(self, rows: Rows) -> _Standing:
        standing = _Standing(rows)
        rate = self._experiment.lr
        if self._experiment.tuning is not None:
            rate = standing.tuned = self._tune(self._experiment.tuning, standing)
        for seed in self._experiment.seeds:
            if rate is None:
                standing.later += self._specs(seed, self._experiment.some_rate)
            else:
                self._climb(seed, rate, standing)
        return standing

    def _tune(self, tuning: Tuning, standing: _Standing) -> float | None:
        """The rate that tuning chooses; None while it lacks runs, which are then ready."""
        exam, found = self._experiment.tuning_exam(), dict[float, list[Row]]()
        rates = list(tuning.grid)
        while len(found) < len(rates):
            for lr in rates[len(found) :]:
                specs = [self._spec(exam, seed, lr, "tuning") for seed in tuning.seeds]
                rows = [standing.row(spec) for spec in specs]
                standing.ready += [Item(spec) for spec, row in zip(specs, rows, strict=True) if row is None]
                found[lr] = [row for row in rows if row is not None]
            if standing.ready:
                return None
            further = wider(tuning, rates, best_rate(found))
            if further is not None:
                rates.append(further)
        return best_rate(found)

    def _climb(self, seed: int, lr: float, standing: _Standing) -> None:
        """The runs of a seed, in order: none after as many failures in a row as end its ladder."""
        failures, left, most = 0, list[TrialSpec](), self._experiment.protocol.failures_to_stop
        for spec in self._specs(seed, lr):
            if failures == most:
                break
            row = standing.row(spec)
            if row is None:
                left.append(spec)
            failures = failures + 1 if row is not None and not row.solved else 0
        begun = len(left) if most is None else 1
        standing.ready += [Item(spec, tuple(left[begun:])) for spec in left[:begun]]
        standing.later += left[begun:]

    def _specs(self, seed: int, lr: float) -> list[TrialSpec]:
        return [self._spec(exam, seed, lr, "result") for exam in self._exams]

    def _spec(self, exam: Exam, seed: int, lr: float, stage: Stage) -> TrialSpec:
        key = exam.level, seed, lr, stage
        if key not in self._known:
            self._known[key] = self._experiment.spec(self._plan, self._cell, self._init, exam, seed, lr, stage)
        return self._known[key]
