"""What of a plan is to be run next: a pure function of the plan and of the rows that there are."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import final

from longhold.study.plan.plan import Experiment, Plan
from longhold.study.plan.protocols import TestSpec
from longhold.study.plan.search import Search, suggestion
from longhold.study.plan.tuning import Setting, Tuning, best_rate, best_setting, wider, worth
from longhold.study.rows.row import Row
from longhold.study.rows.spec import Arm, Stage, TrialSpec

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
    """May follow, depending on rows that are not there yet. The middle of the grid or of the space stands for what is
    still to be tuned, 1 for steps that are still to be measured; widening is not counted."""
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
    """A plan that is asked again and again where it stands; what its runs depend on is computed once."""

    def __init__(self, plan: Plan) -> None:
        self._arms = [
            _Arm(plan.name, experiment, arm) for experiment in plan.experiments for arm in experiment.every_arm()
        ]

    def agenda(self, rows: Rows) -> Agenda:
        """As `longhold.study.plan.agenda.agenda`."""
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
        self._trials: dict[tuple[str, str, int], list[Row]] | None = None
        self.pace: dict[int | None, float] | None = None
        self.done: list[Row] = []
        self.ready: list[Item] = []
        self.later: list[TrialSpec] = []
        self.tuned: float | None = None

    def trials(self) -> Mapping[tuple[str, str, int], list[Row]]:
        """The rows of searches, by experiment, arm and trial."""
        if self._trials is None:
            self._trials = {}
            for _, row in sorted(self._rows.items()):
                if row.spec.trial is not None:
                    self._trials.setdefault((row.spec.experiment, row.spec.arm, row.spec.trial), []).append(row)
        return self._trials

    def row(self, spec: TrialSpec) -> Row | None:
        row = self._rows.get(spec.digest)
        if row is not None:
            self.done.append(row)
        return row


class _Arm:
    """One arm of one experiment."""

    def __init__(self, plan: str, experiment: Experiment, arm: Arm) -> None:
        self.name = experiment.name, arm.label
        self._plan, self._experiment, self._arm = plan, experiment, arm
        self._test_specs = experiment.protocol.test_specs()
        self._known: dict[tuple[int | None, int, Setting, Stage], TrialSpec] = {}

    def stand(self, rows: Rows) -> _Standing:
        standing = _Standing(rows)
        if not self._is_timed(standing):
            standing.later += self._tuning_first()
            setting = None
        else:
            setting = self._setting(standing)
        for seed in self._experiment.seeds:
            if setting is None:
                standing.later += self._specs(seed, self._experiment.some_setting, standing)
            else:
                self._run_levels(seed, setting, standing)
        return standing

    def _is_timed(self, standing: _Standing) -> bool:
        """Whether all steps are known; the runs that measure them are ready where they are not."""
        experiment = self._experiment
        if experiment.training_seconds is None:
            return True
        measured: dict[int | None, list[float]] = {}
        for test_spec in self._test_specs:
            specs = [
                self._spec(test_spec, seed, experiment.some_setting, "timing") for seed in experiment.timing_of.seeds
            ]
            rows = [standing.row(spec) for spec in specs]
            standing.ready += [Item(spec) for spec, row in zip(specs, rows, strict=True) if row is None]
            measured[test_spec.level] = [row.step_seconds for row in rows if row is not None and row.step_seconds]
        if standing.ready:
            return False
        standing.pace = {level: float(f"{min(seconds):.4g}") for level, seconds in measured.items()}
        return True

    def _tuning_first(self) -> list[TrialSpec]:
        tuning = self._experiment.tuning
        if tuning is None:
            return []
        test_spec = self._experiment.tuning_test_spec()
        return [self._spec(test_spec, seed, Setting(lr), "tuning") for lr in tuning.grid for seed in tuning.seeds]

    def _setting(self, standing: _Standing) -> Setting | None:
        """What is chosen for the arm; None while that lacks runs, which are then ready."""
        experiment, setting = self._experiment, None
        if experiment.tuning is not None:
            rate = self._tune(experiment.tuning, standing)
            setting = None if rate is None else Setting(rate)
        elif experiment.search is not None:
            setting = self._search(experiment.search, standing)
        else:
            return experiment.some_setting
        standing.tuned = None if setting is None else setting.lr
        return setting

    def _tune(self, tuning: Tuning, standing: _Standing) -> float | None:
        """The rate that tuning chooses; None while it lacks runs, which are then ready."""
        found = dict[float, list[Row]]()
        rates = list(tuning.grid)
        while len(found) < len(rates):
            for lr in rates[len(found) :]:
                found[lr] = self._tried(Setting(lr), tuning.seeds, standing)
            if standing.ready:
                return None
            further = wider(tuning, rates, best_rate(found))
            if further is not None:
                rates.append(further)
        return best_rate(found)

    def _tried(self, setting: Setting, seeds: Iterable[int], standing: _Standing) -> list[Row]:
        """The tuning rows of a setting; those that are not there are ready."""
        test_spec = self._experiment.tuning_test_spec()
        specs = [self._spec(test_spec, seed, self._paced(setting, test_spec, standing), "tuning") for seed in seeds]
        rows = [standing.row(spec) for spec in specs]
        standing.ready += [Item(spec) for spec, row in zip(specs, rows, strict=True) if row is None]
        return [row for row in rows if row is not None]

    def _search(self, search: Search, standing: _Standing) -> Setting | None:
        """What a search chooses; None while it lacks runs: those of the next trial are ready."""
        found = dict[Setting, list[Row]]()
        for number in range(search.trials):
            setting = self._kept(search, number, standing) or self._suggested(search, found)
            found[setting] = self._tried(setting, search.seeds, standing)
            if standing.ready:
                test_spec = self._experiment.tuning_test_spec()
                coming = range(number + 1, search.trials)
                stand_in = [search.middle._replace(trial=trial) for trial in coming]
                standing.later += [
                    self._spec(test_spec, seed, one, "tuning") for one in stand_in for seed in search.seeds
                ]
                return None
        return best_setting(found)._replace(trial=None)

    def _kept(self, search: Search, number: int, standing: _Standing) -> Setting | None:
        """The setting of a trial that has a row."""
        test_spec = self._experiment.tuning_test_spec()
        for row in standing.trials().get((*self.name, number), ()):
            values = {name: getattr(row.spec, name) for name in search.dimensions}
            setting = Setting(**values, trial=number)
            if self._spec(test_spec, row.spec.seed, setting, "tuning").digest == row.digest:
                return setting
        return None

    def _suggested(self, search: Search, found: Mapping[Setting, list[Row]]) -> Setting:
        return suggestion(search, tuple((setting, worth(rows)) for setting, rows in found.items()))

    def _run_levels(self, seed: int, setting: Setting, standing: _Standing) -> None:
        """The runs of a seed, in order: none after as many failures in a row as skip the rest."""
        failures, left, most = 0, list[TrialSpec](), self._experiment.protocol.failures_to_stop
        for spec in self._specs(seed, setting, standing):
            if failures == most:
                break
            row = standing.row(spec)
            if row is None:
                left.append(spec)
            failures = failures + 1 if row is not None and not row.solved else 0
        startable = len(left) if most is None else 1
        standing.ready += [Item(spec, tuple(left[startable:])) for spec in left[:startable]]
        standing.later += left[startable:]

    def _specs(self, seed: int, setting: Setting, standing: _Standing) -> list[TrialSpec]:
        return [
            self._spec(test_spec, seed, self._paced(setting, test_spec, standing), "result")
            for test_spec in self._test_specs
        ]

    def _paced(self, setting: Setting, test_spec: TestSpec, standing: _Standing) -> Setting:
        """The setting with the measured time of a step at this test_spec, where that decides the steps."""
        return setting if standing.pace is None else setting._replace(step_seconds=standing.pace[test_spec.level])

    def _spec(self, test_spec: TestSpec, seed: int, setting: Setting, stage: Stage) -> TrialSpec:
        key = test_spec.level, seed, setting, stage
        if key not in self._known:
            self._known[key] = self._experiment.spec(self._plan, self._arm, test_spec, seed, setting, stage)
        return self._known[key]
