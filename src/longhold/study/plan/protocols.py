"""Protocols: what a model is trained on and what it is then tested on. No horizon without its protocol."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Literal, Self, TypeAlias, final

from pydantic import Field, model_validator

from longhold.config import Config
from longhold.errors import InputError
from longhold.study.rows.spec import TaskValues
from longhold.study.text.reading import require_held_out
from longhold.study.text.task import TextTask
from longhold.tasks import Task, task_from_json
from longhold.tasks.blimp import PARADIGMS


@final
@dataclass(frozen=True)
class TestSpec:
    """A task to train a model on and the tests that follow."""

    task: Task
    """What is trained."""
    tests: tuple[Task, ...]
    """What it is tested on."""
    level: int | None
    """The value of the field that the protocol varies; None where it varies none."""
    examine: str | None = None
    """The field in which the tests differ, where it is not their lag."""
    probed: tuple[int, ...] = ()
    """Lags at which the frozen state is read."""
    pairs: tuple[str, ...] = ()
    """Sets of minimal pairs that a model of text is tested on."""
    contexts: bool = True
    """Whether a model of text is read with ever more true context."""
    written: int = 0
    """Tokens that a model of text writes."""


class _Base(Config):
    task: TaskValues
    """The task's name and fields, without the field that the protocol varies."""

    @abstractmethod
    def test_specs(self) -> tuple[TestSpec, ...]:
        """What is trained and tested, in the order in which an arm and seed go through it.

        Raises:
            InputError: there is no such task, or it does not take these values.
        """

    @property
    def varies(self) -> str | None:
        """The field of the task in which the test_specs differ."""
        return None

    @property
    def failures_to_stop(self) -> int | None:
        """After so many test_specs in a row that an arm and seed did not solve, the rest is left out; None: never."""
        return None

    def require_text(self) -> None:
        """Refuse a text that is too short for the training or for a test.

        Raises:
            InputError: it is, or the text cannot be read.
        """
        tasks = [task for test_spec in self.test_specs() for task in (test_spec.task, *test_spec.tests)]
        for task in tasks:
            if isinstance(task, TextTask):
                for part in filter(None, (task, task.validation)):
                    part.require_length()

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.varies is not None and self.varies in self.task:
            raise ValueError(f"task has {self.varies}={self.task[self.varies]!r}, which the protocol varies")
        self.test_specs()
        return self


class _LevelSequence(_Base):
    stop_after: Annotated[int, Field(ge=1)] | None = None
    """After so many levels in a row that an arm and seed did not solve, the higher ones are left out."""

    @property
    def failures_to_stop(self) -> int | None:
        return self.stop_after

    @property
    @abstractmethod
    def levels(self) -> tuple[int, ...]:
        """The values of the field that varies."""

    def test_specs(self) -> tuple[TestSpec, ...]:
        tasks = [task_from_json({**self.task, str(self.varies): level}) for level in self.levels]
        return tuple(TestSpec(task, (task.examination,), level) for task, level in zip(tasks, self.levels, strict=True))

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.varies is not None and (not self.levels or list(self.levels) != sorted(set(self.levels))):
            raise ValueError(f"{self.varies} {list(self.levels)}: expected rising values")
        return self


@final
class Trained(_LevelSequence):
    """The trained horizon: a fresh model for every lag, tested at the lag that it was trained at."""

    name: Literal["trained"] = "trained"
    """The protocol."""
    lags: tuple[int, ...]
    """From the shortest to the longest."""

    @property
    def varies(self) -> str | None:
        return "lag"

    @property
    def levels(self) -> tuple[int, ...]:
        return self.lags


@final
class Capacity(_LevelSequence):
    """Capacity: a fresh model for every amount to be held, tested on the same amount.

    `span_recall` with rising `items` at a fixed lag, or `stream_recall` with rising `lag`, which asks for as many
    symbols as it has steps of lag.
    """

    name: Literal["capacity"] = "capacity"
    """The protocol."""
    vary: str
    """The field that grows."""
    values: tuple[int, ...]
    """From the smallest to the largest."""

    @property
    def varies(self) -> str | None:
        return self.vary

    @property
    def levels(self) -> tuple[int, ...]:
        return self.values


@final
class Extrapolated(_Base):
    """The extrapolated horizon: one model, trained on the lags that its task draws, tested at each of these lags."""

    name: Literal["extrapolated"] = "extrapolated"
    """The protocol."""
    lags: Annotated[tuple[int, ...], Field(min_length=1)]
    """Where it is tested: lags of its training and lags beyond."""

    def test_specs(self) -> tuple[TestSpec, ...]:
        task = task_from_json(self.task)
        return (TestSpec(task, tuple(task.at_lag(lag) for lag in self.lags), None),)


@final
class Readable(_Base):
    """The readable horizon: one trained model, whose frozen state a linear probe reads at each of these lags.

    What is read is the input that many steps before the last, so the task's inputs should be drawn evenly at every
    step, as those of `stream_recall` are. Probes trained on shuffled labels are the control.
    """

    name: Literal["readable"] = "readable"
    """The protocol."""
    lags: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
    """Rising."""

    def test_specs(self) -> tuple[TestSpec, ...]:
        task = task_from_json(self.task)
        if task.continuous:
            raise InputError(
                f"protocol readable has task {task.name!r}, whose inputs are not ids: expected one with ids"
            )
        if list(self.lags) != sorted(set(self.lags)) or self.lags[-1] >= task.length:
            raise InputError(f"lags={list(self.lags)}: expected rising lags below the {task.length} steps of the task")
        return (TestSpec(task, (task.examination,), None, probed=self.lags),)


@final
class Plain(_LevelSequence):
    """A task as it is, without a horizon: trained on it, tested by its own examination; at one size or at several."""

    name: Literal["plain"] = "plain"
    """The protocol."""
    vary: str | None = None
    """The field that grows from one fresh model to the next; None: one size."""
    values: tuple[int, ...] = ()
    """From the smallest to the largest."""
    examined: TaskValues = Field(default_factory=dict)
    """Fields of the examination that are to be otherwise than the task has them."""
    examine: str | None = None
    """A field of the examination in which several tests differ; None: one test."""
    examine_values: tuple[int, ...] = ()
    """Its values, a test each."""

    @property
    def varies(self) -> str | None:
        return self.vary

    @property
    def levels(self) -> tuple[int, ...]:
        return self.values

    def test_specs(self) -> tuple[TestSpec, ...]:
        if self.vary is None:
            task = task_from_json(self.task)
            plain: tuple[TestSpec, ...] = (TestSpec(task, (task.examination,), None),)
        else:
            plain = super().test_specs()
        return tuple(
            TestSpec(test_spec.task, self._tests(test_spec.task), test_spec.level, self.examine) for test_spec in plain
        )

    def _tests(self, task: Task) -> tuple[Task, ...]:
        values = {**task.examination.to_json(), **self.examined}
        if self.examine is None:
            return (task_from_json(values),)
        return tuple(task_from_json({**values, self.examine: level}) for level in self.examine_values)

    @model_validator(mode="after")
    def _varies_by_values(self) -> Self:
        if self.vary is None and self.values:
            raise ValueError(f"values={list(self.values)} without vary: expected the field that takes them")
        if (self.examine is None) != (not self.examine_values):
            raise ValueError(f"examine={self.examine!r} with {list(self.examine_values)}: expected both or neither")
        return self


@final
class OfText(_Base):
    """The text horizon: one model of a text, tested at the same held-out targets with ever more true context.

    The task is `text`. BLiMP's agreement sets may be tested too; they are read from `LONGHOLD_DATA`. The model may
    write, and is then also tested for its bits per character beside an n-gram and `xz`.
    """

    name: Literal["text"] = "text"
    """The protocol."""
    pairs: tuple[str, ...] = ()
    """Sets of minimal pairs; they take `contexts`."""
    contexts: bool = True
    """Whether ever more true context is given, which takes minutes; without it there is no text horizon."""
    written: Annotated[int, Field(ge=0)] = 0
    """Tokens that the model writes after its training; 0: it writes nothing."""

    def test_specs(self) -> tuple[TestSpec, ...]:
        task = task_from_json(self.task)
        if not isinstance(task, TextTask):
            raise InputError(f"protocol text has task {task.name!r}: expected 'text'")
        if unknown := sorted(set(self.pairs) - set(PARADIGMS)):
            raise InputError(f"pairs {unknown[0]!r:.60}: expected some of {', '.join(PARADIGMS)}")
        if self.pairs and not self.contexts:
            raise InputError(f"pairs={list(self.pairs)} with contexts=false: expected contexts, or no pairs")
        test_spec = TestSpec(
            task, (task.examination,), None, pairs=self.pairs, contexts=self.contexts, written=self.written
        )
        return (test_spec,)

    def require_text(self) -> None:
        super().require_text()
        if self.contexts:
            require_held_out(str(self.task["corpus"]))


Protocol: TypeAlias = Annotated[
    Trained | Extrapolated | Capacity | Readable | Plain | OfText, Field(discriminator="name")
]
"""How an experiment trains and tests."""
