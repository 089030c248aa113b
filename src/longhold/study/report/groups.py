"""Rows by experiment, arm and level, in the plan's order."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar, final

from longhold.config import Config
from longhold.errors import InputError
from longhold.study.claims.rows import Run, runs
from longhold.study.horizon import Outcomes, outcomes
from longhold.study.horizon.levels import skipped
from longhold.study.plan.plan import Plan
from longhold.study.report.localized import LocalizedText, counted, exact, spread
from longhold.study.rows.results import LagScore
from longhold.study.rows.row import Row
from longhold.study.rows.spec import cut_label
from longhold.study.statistics import Proportion
from longhold.training import printable

Value = TypeVar("Value")

PROTOCOLS: dict[str, LocalizedText] = {
    "trained": LocalizedText("trained: a fresh model at every lag", "trained：每个间隔各训练一个新模型"),
    "extrapolated": LocalizedText(
        "extrapolated: one model, tested at the lags of its training and beyond",
        "extrapolated：一个模型，在训练过的间隔及更长的间隔上测试",
    ),
    "capacity": LocalizedText(
        "capacity: a fresh model for every amount to be held", "capacity：每种容量各训练一个新模型"
    ),
    "readable": LocalizedText("readable: a linear probe reads the frozen state", "readable：用线性探针读取冻结的状态"),
    "text": LocalizedText("text: a model of a text, tested on the part held out", "text：文本模型，在留出的部分上检验"),
    "plain": LocalizedText("plain: a task as it is, without a horizon", "plain：任务本身，不谈跨度"),
}
"""What each protocol does; rows of two are never merged."""


@final
@dataclass(frozen=True)
class Result:
    """How one model did in one of several tests."""

    place: int
    """The lag, or the value of the field in which the tests differ."""
    recall: float
    """0 for guessing, 1 for perfect."""
    solved: bool
    """Whether that counts as solved."""


def results_of(tests: Iterable[LagScore]) -> tuple[Result, ...]:
    """Returns the tests of a run, or those of its control, in order; without those that have no place."""
    placed = [(test.lag if test.level is None else test.level, test) for test in tests]
    found = [Result(place, test.recall, test.solved) for place, test in placed if place is not None]
    return tuple(sorted(found, key=lambda test: test.place))


def untruncated(run: Run) -> tuple[str, int | None]:
    """A run's arm without its truncation, and the truncation."""
    cut = run.row.spec.truncation
    return run.arm.removesuffix(cut_label(cut)), cut


def hidden_size_of(row: Row) -> int:
    """Returns the number of units."""
    return row.hidden_size


def parameters_of(row: Row) -> int:
    """Returns the number of trainable numbers."""
    return row.parameters


def steps_of(row: Row) -> int:
    """Returns the steps allowed."""
    return row.spec.steps


def learning_rate_of(row: Row) -> float:
    """Returns the learning rate of the first step."""
    return row.spec.lr


@final
@dataclass(frozen=True)
class Group:
    """The runs of one experiment."""

    name: str
    """The experiment."""
    arms: tuple[str, ...]
    """In the plan's order, or as the rows have them."""
    runs: tuple[Run, ...]
    """Every run that is reported, by arm, level and seed."""

    @property
    def protocol(self) -> str:
        """Which of the protocols."""
        return self.runs[0].protocol

    @property
    def is_of_text(self) -> bool:
        """Whether its models learn a text: they get better or worse at it and never solve it."""
        return self.protocol == "text"

    @property
    def task(self) -> str:
        """The task with its fields."""
        return self.runs[0].task

    @property
    def vary(self) -> str:
        """What the levels are."""
        return self.runs[0].vary

    @cached_property
    def levels(self) -> tuple[int, ...]:
        """What varies from one fresh model to the next; empty where nothing does."""
        return () if self.by_test else tuple(sorted({run.level for run in self.runs if run.level is not None}))

    @property
    def by_test(self) -> bool:
        """Whether each model was tested at several places."""
        return bool(self.places)

    @cached_property
    def places(self) -> tuple[int, ...]:
        """Where models were tested, where each was at several lags or at several values of another field."""
        return tuple(sorted({test.place for run in self.runs for test in results_of(run.row.by_lag)}))

    @cached_property
    def scale(self) -> str:
        """The field that places or levels are values of."""
        if not self.by_test:
            return self.vary
        return next((name for run in self.runs if (name := run.row.spec.examine) is not None), "lag")

    @cached_property
    def _of_arm(self) -> Mapping[str, tuple[Run, ...]]:
        return {arm: tuple(run for run in self.runs if run.arm == arm) for arm in self.arms}

    def at(self, arm: str, level: int | None = None) -> tuple[Run, ...]:
        """The runs of an arm at a level; None: at all."""
        return tuple(run for run in self._of_arm.get(arm, ()) if level in (None, run.level))

    def cell(self, arm: str) -> str:
        """The architecture of an arm."""
        return next((run.row.spec.cell for run in self.at(arm)), arm)

    @property
    def seeds(self) -> tuple[int, ...]:
        """All seeds."""
        return tuple(sorted({run.seed for run in self.runs}))

    def outcomes(self, arm: str) -> Outcomes | None:
        """Which seeds solved which level; None where no seed is complete or there are no levels."""
        table: dict[int, dict[int, bool]] = {}
        for run in self.at(arm):
            if run.level is not None:
                table.setdefault(run.seed, {})[run.level] = run.solved
        try:
            return outcomes(table)
        except InputError:
            return None

    def skipped(self, arm: str) -> Mapping[int, tuple[int, ...]]:
        """Levels, each with the seeds that were not run there since they had failed at two lower ones in a row."""
        return self._skipped[arm]

    @cached_property
    def _skipped(self) -> Mapping[str, Mapping[int, tuple[int, ...]]]:
        return {arm: self._skipped_of(arm) for arm in self.arms}

    def _skipped_of(self, arm: str) -> Mapping[int, tuple[int, ...]]:
        solved: dict[int, dict[int, bool]] = {}
        for run in self.at(arm):
            if run.level is not None:
                solved.setdefault(run.seed, {})[run.level] = run.solved
        found: dict[int, list[int]] = {}
        for seed, known in sorted(solved.items()):
            for level in skipped(known, self.levels):
                found.setdefault(level, []).append(seed)
        return {level: tuple(seeds) for level, seeds in found.items()}

    def solve_rate(self, arm: str, level: int | None) -> Proportion | None:
        """Seeds that solve; those that were skipped a level count as not solving it."""
        known = self.at(arm, level)
        count = len(known) + len(self.skipped(arm).get(level, ()) if level is not None else ())
        return Proportion(sum(run.solved for run in known), count) if count else None

    def known(self, read: Callable[[Row], Value | None], arm: str | None = None) -> list[Value]:
        """Returns what is read of every row, of an arm or of all, where it is not None."""
        values = [read(run.row) for run in (self.runs if arm is None else self.at(arm))]
        return [value for value in values if value is not None]

    @property
    def _budget(self) -> LocalizedText:
        """The most steps, or what they follow from."""
        steps = LocalizedText("at most {} steps", "至多 {} 步").format(exact(self.known(steps_of)))
        name, seconds = self.runs[0].budget
        if name == "steps":
            return steps
        return LocalizedText("{} core-seconds of training, {}", "训练 {} 核·秒，{}").format(f"{seconds:g}", steps)

    @property
    def _annealed(self) -> LocalizedText:
        """How far the learning rate falls; nothing where it is constant."""
        proportions = {run.row.spec.final_fraction for run in self.runs}
        if proportions <= {1.0}:
            return LocalizedText.same("")
        return LocalizedText(", falling to {} of it", "（降至其 {} 倍）").format(spread(sorted(proportions)))

    @property
    def settings(self) -> LocalizedText:
        """What every run shares, in a sentence or two."""
        fewest = min(run.row.test_sequences for run in self.runs)
        tested = LocalizedText("at least {} fresh test sequences", "至少 {} 条新的测试序列").format(exact([fewest]))
        parts = [
            LocalizedText("task {}", "任务 {}").format(self.task),
            PROTOCOLS.get(self.protocol, LocalizedText.same(self.protocol)),
            LocalizedText("{} parameters", "{} 个参数").format(exact(self.known(parameters_of))),
            self._budget,
            LocalizedText("learning rate {}{}", "学习率 {}{}").format(
                spread(self.known(learning_rate_of)), self._annealed
            ),
            counted(len(self.seeds), "seed", "seeds", "个种子"),
            tested,
        ]
        return LocalizedText("; ".join(part.en for part in parts) + ".", "；".join(part.zh for part in parts) + "。")


def scale_name(group: Group) -> LocalizedText:
    """What levels and places are values of."""
    return LocalizedText("lag, steps", "间隔（步）") if group.scale == "lag" else LocalizedText.same(group.scale)


def groups(rows: Iterable[Row], plan: Plan | None) -> tuple[Group, ...]:
    """Rows that are reported, by experiment.

    Raises:
        InputError: a row occurs twice.
    """
    found: dict[str, list[Run]] = {}
    for run in runs(rows):
        found.setdefault(run.row.spec.experiment, []).append(run)
    order = {} if plan is None else {experiment.name: experiment.labels() for experiment in plan.experiments}
    names = [name for name in order if name in found] + sorted(set(found) - set(order))
    return tuple(_group(name, found[name], order.get(name, ())) for name in names)


def _group(name: str, known: Sequence[Run], order: Sequence[str]) -> Group:
    arms = tuple(dict.fromkeys([*order, *(run.arm for run in known)]))
    place = {arm: number for number, arm in enumerate(arms)}
    placed = sorted(known, key=lambda run: (place[run.arm], -1 if run.level is None else run.level, run.seed))
    there = {run.arm for run in known}
    return Group(name, tuple(arm for arm in arms if arm in there), tuple(placed))


def visible(row: Row) -> Row:
    """Returns a row whose texts hold nothing that steers a terminal or reorders a line."""
    shown: Row = _visible(row)
    return shown


def _visible(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Config):
        return value.model_copy(update={name: _visible(part) for name, part in value})
    if isinstance(value, Mapping):
        return {printable(str(name)): _visible(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_visible(entry) for entry in value)
    return value
