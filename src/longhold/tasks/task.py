"""What a long-memory task is: batches on demand, what counts as an answer, and what guessing gets."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from longhold.errors import InputError

NOT_ASKED = -100
"""The target where no answer is asked; torch's `ignore_index`, so a cross-entropy passes over it."""


class TaskBatch(NamedTuple):
    """`B` sequences of a task, time-major."""

    inputs: Tensor
    """`(T, B)` long, in `[0, input_size)`."""
    targets: Tensor
    """`(T, B)` long, in `[0, output_size)`, and `NOT_ASKED` where `mask` is false."""
    mask: Tensor
    """`(T, B)` bool: where an answer is asked."""


class Task(ABC):
    """A family of sequences with questions whose answers need memory.

    A subclass is a frozen dataclass of the numbers that define it, so that two equal tasks are the same task. It gives
    the sizes, the chance level and `sample_batch`; the rest follows.
    """

    @property
    @abstractmethod
    def length(self) -> int:
        """`T`, the steps of every sequence."""

    @property
    @abstractmethod
    def input_size(self) -> int:
        """How many different input ids there are."""

    @property
    @abstractmethod
    def output_size(self) -> int:
        """How many different answers there are."""

    @property
    @abstractmethod
    def chance(self) -> float:
        """The accuracy of the best answer that looks at no input."""

    @abstractmethod
    def sample_batch(self, generator: torch.Generator, batch_size: int) -> TaskBatch:
        """Draw `batch_size` independent sequences from `generator` and from nothing else."""

    def batches(self, seed: int, batch_size: int) -> "TaskBatches":
        """The stream of batches that belongs to `seed`; see `TaskBatches`."""
        return TaskBatches(self, seed, batch_size)

    def accuracy(self, outputs: Tensor, batch: TaskBatch) -> float:
        """The share of asked steps at which the largest of `outputs` `(T, B, output_size)` is the target."""
        return float((outputs.argmax(-1) == batch.targets)[batch.mask].double().mean())


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
        mixed = np.random.SeedSequence((self.seed, step)).generate_state(1, np.uint64)
        return self.task.sample_batch(torch.Generator().manual_seed(int(mixed[0])), self.batch_size)
