"""What of a plan is to be run next: a pure function of the plan and of the rows that there are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import final

from longhold.study.plan import Experiment, Plan, Tuning
from longhold.study.protocols import Exam
from longhold.study.row import Row, Stage, TrialSpec
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
    """What is left of a plan."""

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
    """What is left of a plan, given the rows there are. Rows that are not of the plan play no part."""
    ready: list[Item] = []
    later: list[TrialSpec] = []
    rates: dict[tuple[str, str], float] = {}
    for experiment in plan.experiments:
        for cell, init in experiment.arm_names():
            arm = _Arm(plan.name, experiment, cell, init, rows)
            missing, lr = arm.tune()
            ready += [Item(spec) for spec in missing]
            for seed in experiment.seeds:
                chain = arm.chain(seed, lr)
                if missing:
                    later += chain
                    continue
                begun = 1 if experiment.protocol.failures_to_stop is not None else len(chain)
                ready += [Item(spec, tuple(chain[begun:])) for spec in chain[:begun]]
                later += chain[begun:]
            if experiment.tuning is not None and not missing:
                rates[experiment.name, arm.label] = lr
    return Agenda(tuple(ready), tuple(later), rates)


class _Arm:
    """One arm of one experiment."""

    def __init__(self, plan: str, experiment: Experiment, cell: str, init: str, rows: Rows) -> None:
        self._plan, self._experiment, self._cell, self._init = plan, experiment, cell, init
        self._rows = rows
        self._exams = experiment.protocol.exams()

    def _spec(self, exam: Exam, seed: int, lr: float, *, tuning: bool = False) -> TrialSpec:
        stage: Stage = "tuning" if tuning else "result"
        return self._experiment.spec(self._plan, self._cell, self._init, exam, seed, lr, stage)

    @property
    def label(self) -> str:
        return self._spec(self._exams[0], self._experiment.seeds[0], 1.0).arm

    def tune(self) -> tuple[list[TrialSpec], float]:
        """Tuning runs that are missing, and the rate: decided where none is missing, else what stands for it."""
        tuning = self._experiment.tuning
        if tuning is None:
            assert self._experiment.lr is not None
            return [], self._experiment.lr
        rates = list(tuning.grid)
        while True:
            specs = self._tuning_specs(tuning, rates)
            if missing := [spec for found in specs.values() for spec in found if spec.digest not in self._rows]:
                return missing, tuning.grid[len(tuning.grid) // 2]
            best = best_rate({lr: [self._rows[spec.digest] for spec in found] for lr, found in specs.items()})
            further = wider(tuning, rates, best)
            if further is None:
                return [], best
            rates.append(further)

    def _tuning_specs(self, tuning: Tuning, rates: list[float]) -> dict[float, list[TrialSpec]]:
        exam = self._experiment.tuning_exam()
        return {lr: [self._spec(exam, seed, lr, tuning=True) for seed in tuning.seeds] for lr in rates}

    def chain(self, seed: int, lr: float) -> list[TrialSpec]:
        """The runs of a seed that are left, in order: none after as many failures in a row as stop it."""
        failures, left = 0, []
        for exam in self._exams:
            if failures == self._experiment.protocol.failures_to_stop:
                break
            spec = self._spec(exam, seed, lr)
            row = self._rows.get(spec.digest)
            if row is None:
                left.append(spec)
            failures = failures + 1 if row is not None and not row.solved else 0
        return left
