"""What a long-memory task is: batches on demand, what counts as an answer, and what guessing gets."""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, final, get_type_hints

import numpy as np
import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError
from torch import Tensor
from torch.nn import functional

from longhold.errors import InputError

IGNORE_INDEX = -100
"""Marks a step without a target: torch's `ignore_index`, which a cross-entropy leaves out."""

NOT_ASKED = IGNORE_INDEX
"""Its earlier name, for tasks of other packages."""

SOLVED = 0.9
"""The recall from which a task counts as solved, unless the task sets its own."""


class TaskBatch(NamedTuple):
    """`B` sequences of a task, time-major.

    Sequences of unequal length are padded after their last target, where a causal model can no longer be helped or
    harmed. `T` is the longest sequence of the batch.
    """

    inputs: Tensor
    """`(T, B)` long, in `[0, input_size)`; of a continuous task `(T, B, input_size)` float32."""
    targets: Tensor
    """`(T, B)` long, in `[0, output_size)`, and `IGNORE_INDEX` where `mask` is false; of a regression
    `(T, B, output_size)` float32, and 0 where `mask` is false."""
    mask: Tensor
    """`(T, B)` bool: where there is a target. Every sequence has at least one."""


@dataclass(frozen=True)
class Task(ABC):
    """A family of sequences with questions whose answers need memory.

    A subclass is a frozen dataclass of the numbers that define it, so that two equal tasks are the same task. It gives
    its name, the sizes, the chance level and `sample_batch`; the rest follows. Fields are checked against their
    annotations: `Annotated[int, Field(ge=1)]` is an integer of at least 1 (pydantic, strict). A field `lag` is
    declared as `lag: Annotated[...] = field()`, because of the default that this class has.
    """

    name: ClassVar[str]
    """A stable lower-case id, the key in `TASKS`."""
    unit: ClassVar[str] = "accuracy"
    """What `scores` are in: `accuracy`, where more is better, or `squared error`, where less is."""
    continuous: ClassVar[bool] = False
    """Whether the inputs are features rather than ids; see `TaskBatch.inputs`."""

    if TYPE_CHECKING:  # a property here would stand in the way of a field of that name

        @property
        def lag(self) -> int | None:
            """The lag in steps that the task probes; None where there is no single one."""
            return None
    else:
        lag = None

    def __post_init__(self) -> None:
        for name, adapter in _adapters(type(self)).items():
            value = getattr(self, name)
            try:
                adapter.validate_python(value)
            except ValidationError as error:
                expected = error.errors()[0]["msg"].removeprefix("Input ")
                raise InputError(f"{self.name}: {name}={value!r:.60}: {expected}") from None

    @property
    @abstractmethod
    def length(self) -> int:
        """`T`, the steps of the longest sequence."""

    @property
    @abstractmethod
    def input_size(self) -> int:
        """How many different input ids there are, or how many features."""

    @property
    @abstractmethod
    def output_size(self) -> int:
        """How many different answers there are, or of how many numbers one consists."""

    @property
    @abstractmethod
    def chance(self) -> float:
        """The expected score of the best answer that looks at no input, in the task's unit."""

    @property
    def perfect(self) -> float:
        """The best possible score, in the task's unit."""
        return 1.0

    @property
    def examination(self) -> "Task":
        """The task that a model trained on this one is tested on; the task itself unless overridden."""
        return self

    @property
    def tested_sequences(self) -> int:
        """How many sequences a test on this task has at least."""
        return 1000

    @abstractmethod
    def sample_batch(self, generator: torch.Generator, batch_size: int) -> TaskBatch:
        """Draw `batch_size` independent sequences from `generator` and from nothing else."""

    def batch_at(self, seed: int, step: int, batch_size: int) -> TaskBatch:
        """The batch of a stream's step: `sample_batch` from a generator that belongs to (seed, step) alone."""
        mixed = np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)
        return self.sample_batch(torch.Generator().manual_seed(int(mixed[0])), batch_size)

    def batches(self, seed: int, batch_size: int) -> "TaskBatches":
        """The stream of batches that belongs to `seed`; see `TaskBatches`."""
        return TaskBatches(self, seed, batch_size)

    def at_lag(self, lag: int) -> "Task":
        """The task at one lag, for a model that was trained on this one.

        Raises:
            InputError: the task has no lag to set, or not this one.
        """
        if "lag" not in _adapters(type(self)):
            raise InputError(f"{self.name}: lag={lag!r:.60}: the task has no lag to set")
        return self.from_json({**self.to_json(), "lag": lag})

    def loss(self, outputs: Tensor, batch: TaskBatch) -> Tensor:
        """What training makes small, a scalar: the mean cross-entropy over target steps, in nats.

        Args:
            outputs: `(T, B, output_size)`, logits.
            batch: what they are answers to.
        """
        wanted = batch.targets[batch.mask]
        if wanted.is_floating_point() or wanted.is_complex():
            raise InputError(
                f"{self.name}: targets of type {wanted.dtype}: expected classes as integers; a task whose answers are "
                "numbers is a Regression"
            )
        return functional.cross_entropy(outputs[batch.mask], wanted.long())

    def scores(self, outputs: Tensor, batch: TaskBatch) -> Tensor:
        """One figure for each sequence, `(B,)` float64, in the task's unit: the fraction of targets answered correctly.

        The answer of a step is the largest of its `outputs` `(T, B, output_size)`.
        """
        right = (outputs.argmax(-1) == batch.targets) & batch.mask
        return right.sum(0).double() / batch.mask.sum(0)

    def score(self, outputs: Tensor, batch: TaskBatch, loss: float) -> float:
        """The mean of `scores`; `loss` is that of the same outputs, for tasks whose score follows from it."""
        return float(self.scores(outputs, batch).mean())

    def accuracy(self, outputs: Tensor, batch: TaskBatch) -> float:
        """The fraction of target steps at which the largest of `outputs` `(T, B, output_size)` is the target."""
        return float((outputs.argmax(-1) == batch.targets)[batch.mask].double().mean())

    @final
    def recall(self, score: float) -> float:
        """`(score - chance) / (perfect - chance)`: 0 for guessing, 1 for perfect, whatever the unit."""
        return (score - self.chance) / (self.perfect - self.chance)

    def solved(self, score: float) -> bool:
        """Whether a mean score counts as having solved the task: a recall of at least `SOLVED`."""
        return self.recall(score) >= SOLVED

    @final
    def to_json(self) -> dict[str, Any]:
        """The task as plain values, `{"name": ..., field: value ...}`; `task_from_json` reads them."""
        return {"name": self.name, **asdict(self)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The task with these fields; `name`, where given, has to be the class's own.

        Raises:
            InputError: a field is unknown, missing or not what it has to be.
        """
        given = {key: value for key, value in values.items() if key != "name"}
        if values.get("name", cls.name) != cls.name:
            raise InputError(f"name={values['name']!r:.60}: expected {cls.name!r}")
        known = {field.name: field for field in fields(cls)}
        if unknown := [key for key in given if key not in known]:
            raise InputError(f"{cls.name}: unknown field {unknown[0]!r:.60}: expected {', '.join(known) or 'none'}")
        try:
            return cls(**given)
        except TypeError as error:  # a field without a default that was not given
            raise InputError(f"{cls.name}: {str(error).partition(': ')[2] or error}: expected a value") from None


@cache
def _adapters(task: type[Task]) -> dict[str, TypeAdapter[Any]]:
    hints = get_type_hints(task, include_extras=True)
    config = ConfigDict(strict=True, allow_inf_nan=False)
    return {field.name: TypeAdapter(hints[field.name], config=config) for field in fields(task)}


@dataclass(frozen=True)
class Regression(Task):
    """A task whose answers are numbers: trained and scored by the mean squared error. Its recall is `1 - MSE / chance`.

    `chance` is the variance of the target: the best blind answer is its mean.
    """

    unit: ClassVar[str] = "squared error"
    tolerance: ClassVar[float] = 0.04
    """The largest absolute error that counts as right in `accuracy` (Hochreiter and Schmidhuber 1997)."""

    @property
    def perfect(self) -> float:
        return 0.0

    def loss(self, outputs: Tensor, batch: TaskBatch) -> Tensor:
        """The mean squared error over target steps, a scalar; `outputs` `(T, B, output_size)`."""
        return functional.mse_loss(outputs[batch.mask], batch.targets[batch.mask].to(outputs.dtype))

    def scores(self, outputs: Tensor, batch: TaskBatch) -> Tensor:
        """The mean squared error over the target steps of each sequence, `(B,)` float64."""
        errors = (outputs.double() - batch.targets.double()).square().mean(-1)
        return errors.where(batch.mask, 0.0).sum(0) / batch.mask.sum(0)

    def accuracy(self, outputs: Tensor, batch: TaskBatch) -> float:
        """The fraction of target steps at which every number is off by less than `tolerance`."""
        near = (outputs.double() - batch.targets.double()).abs().amax(-1) < self.tolerance
        return float(near[batch.mask].double().mean())


@final
@dataclass(frozen=True)
class TaskBatches:
    """Batches that are addressed, not drawn: `at(step)` depends on the task, the seed and the step alone.

    Example:
        >>> from longhold.tasks import Recall
        >>> batches = Recall(lag=4).batches(seed=1, batch_size=2)
        >>> bool((batches.at(7).inputs == batches.at(7).inputs).all())
        True
    """

    task: Task
    """What is sampled."""
    seed: int
    """Names the stream; two seeds have nothing in common. At least 0."""
    batch_size: int
    """Sequences in each batch. At least 1."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise InputError(f"seed={self.seed}: expected 0 or more")
        if self.batch_size < 1:
            raise InputError(f"batch_size={self.batch_size}: expected at least 1")

    def at(self, step: int) -> TaskBatch:
        """The batch of one step."""
        if step < 0:
            raise InputError(f"step={step}: expected 0 or more")
        return self.task.batch_at(self.seed, step, self.batch_size)


def supervised(inputs: Tensor, targets: Tensor) -> TaskBatch:
    """Returns the batch of these ids, with a target wherever it is not `IGNORE_INDEX`; both `(T, B)`."""
    return TaskBatch(inputs, targets, targets != IGNORE_INDEX)


def draw_lengths(shortest: int, longest: int, batch_size: int, generator: torch.Generator) -> Tensor:
    """`(B,)` integers, uniform from `shortest` to `longest`."""
    return torch.randint(shortest, longest + 1, (batch_size,), generator=generator)


def at_steps(steps: Tensor, values: Tensor, length: int) -> Tensor:
    """Targets `(length, B)`: `values` `(B,)` at `steps` `(B,)`, `IGNORE_INDEX` elsewhere."""
    targets = torch.full((length, len(steps)), IGNORE_INDEX)
    return targets.scatter_(0, steps[None], values[None])
