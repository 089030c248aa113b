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
    done: list[Row] = []
    ready: list[Item] = []
    later: list[TrialSpec] = []
    rates: dict[tuple[str, str], float] = {}
    for experiment in plan.experiments:
        for cell, init in experiment.arm_names():
            arm = _Arm(plan.name, experiment, cell, init, rows)
            missing, lr = arm.tune()
            ready += [Item(spec) for spec in missing]
            for seed in experiment.seeds:
                if missing:
                    later += arm.specs(seed, lr)
                    continue
                chain = arm.chain(seed, lr)
                begun = 1 if experiment.protocol.failures_to_stop is not None else len(chain)
                ready += [Item(spec, tuple(chain[begun:])) for spec in chain[:begun]]
                later += chain[begun:]
            if experiment.tuning is not None and not missing:
                rates[experiment.name, arm_label(cell, init)] = lr
            done += arm.done.values()
    return Agenda(tuple(done), tuple(ready), tuple(later), rates)


class _Arm:
    """One arm of one experiment."""

    def __init__(self, plan: str, experiment: Experiment, cell: str, init: str, rows: Rows) -> None:
        self._plan, self._experiment, self._cell, self._init = plan, experiment, cell, init
        self._rows = rows
        self.done: dict[str, Row] = {}
        """The rows that were asked for and found."""
        self._exams = experiment.protocol.exams()

    def _spec(self, exam: Exam, seed: int, lr: float, *, tuning: bool = False) -> TrialSpec:
        stage: Stage = "tuning" if tuning else "result"
        return self._experiment.spec(self._plan, self._cell, self._init, exam, seed, lr, stage)

    def _row(self, spec: TrialSpec) -> Row | None:
        row = self._rows.get(spec.digest)
        if row is not None:
            self.done[row.digest] = row
        return row

    def tune(self) -> tuple[list[TrialSpec], float]:
        """Tuning runs that are missing, and the rate: decided where none is missing, else what stands for it."""
        tuning = self._experiment.tuning
        if tuning is None:
            assert self._experiment.lr is not None
            return [], self._experiment.lr
        rates = list(tuning.grid)
        while True:
            found = {lr: [(spec, self._row(spec)) for spec in self._tuning_specs(tuning, lr)] for lr in rates}
            if missing := [spec for pairs in found.values() for spec, row in pairs if row is None]:
                return missing, tuning.grid[len(tuning.grid) // 2]
            best = best_rate({lr: [row for _, row in pairs if row is not None] for lr, pairs in found.items()})
            further = wider(tuning, rates, best)
            if further is None:
                return [], best
            rates.append(further)

    def _tuning_specs(self, tuning: Tuning, lr: float) -> list[TrialSpec]:
        exam = self._experiment.tuning_exam()
        return [self._spec(exam, seed, lr, tuning=True) for seed in tuning.seeds]

    def specs(self, seed: int, lr: float) -> list[TrialSpec]:
        """Every run of a seed, in order."""
        return [self._spec(exam, seed, lr) for exam in self._exams]

    def chain(self, seed: int, lr: float) -> list[TrialSpec]:
        """The runs of a seed that are left, in order: none after as many failures in a row as stop it."""
        failures, left = 0, []
        for spec in self.specs(seed, lr):
            if failures == self._experiment.protocol.failures_to_stop:
                break
            row = self._row(spec)
            if row is None:
                left.append(spec)
            failures = failures + 1 if row is not None and not row.solved else 0
        return left
