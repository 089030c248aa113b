"""a^n b^n: a language that needs a counter, learned from its own strings alone."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import torch
from pydantic import Field
from torch import Tensor

from longhold.errors import InputError
from longhold.tasks.task import IGNORE_INDEX, Task, TaskBatch, draw_lengths, supervised

A, B, END = 0, 1, 2
"""The ids; `END` also begins a string."""


@dataclass(frozen=True)
class CountingStrings(Task):
    """Strings `a^n b^m` as next-symbol prediction, and what it means that a model accepts one.

    The string is read as `END a ... a b ... b`, and at every step its next symbol is the target, the last being `END`;
    the loss is the cross-entropy over all of them. Among strings of the language the first symbol is always `a`, and
    after the first `b` each next symbol follows from the count; only while `a`s are read may an `a` or a `b` come.

    A model **accepts** a string if at every step, but those where an `a` was read and an `a` or a `b` follows, it gives
    the string's next symbol a probability above `threshold`. As the threshold is at least one half, a model that
    accepts `a^n b^n` cannot accept `a^n b^(n-1)` or `a^n b^(n+1)`. The steps left out are not tested since what a model
    thinks there says only which `n` it was trained on. A score is 1 where the verdict is right, else 0: strings of the
    language are to be accepted, all others rejected. Solved means that every verdict is right.

    Trained by positive examples after Weiss, Goldberg and Yahav (2018). Their acceptance differs: every step is tested,
    and 0.01 is enough. The choice of tested steps is that of BLISS (Lan et al.).
    """

    @property
    def input_size(self) -> int:
        return 3

    @property
    def output_size(self) -> int:
        return 3

    @property
    @abstractmethod
    def _threshold(self) -> float:
        """The probability that an accepted symbol has to exceed."""

    @final
    def accepted(self, outputs: Tensor, batch: TaskBatch) -> Tensor:
        """Which strings the model accepts by its logits `(T, B, 3)`: `(B,)` bool."""
        choice = (batch.inputs == A) & (batch.targets != END)
        targets = batch.targets.where(batch.mask, END)
        given = outputs.double().softmax(-1).gather(-1, targets[..., None]).squeeze(-1)
        return ((given > self._threshold) | choice | ~batch.mask).all(0)

    @final
    def scores(self, outputs: Tensor, batch: TaskBatch) -> Tensor:
        """1 for each string with the right verdict, else 0: `(B,)` float64."""
        member = (batch.targets == A).sum(0) == (batch.targets == B).sum(0)
        return (self.accepted(outputs, batch) == member).double()

    @final
    def solved(self, score: float) -> bool:
        """Whether every verdict is right (up to the rounding of a mean)."""
        return score > 1 - 1e-9


@final
@dataclass(frozen=True)
class AnBn(CountingStrings):
    """`a^n b^n` with `n` uniform from 1 to `longest`; see `CountingStrings` for the questions and for acceptance.

    A score is whether a string of the language is accepted. An answer that sees no symbol but counts steps can accept
    `n = 1, 2, 4, 8 ...`, whose tested steps do not contradict each other, and no larger set. `examination` holds
    the language against near misses, see `AnBnStrings`.
    """

    name: ClassVar[str] = "anbn"

    longest: Annotated[int, Field(ge=3)] = 50
    """`N`, the largest `n` that is trained. Up to 2 an answer that sees no symbol can be perfect."""
    tested: Annotated[int, Field(ge=3)] = 200
    """`M`, the largest `n` that is tested; not below `N`."""
    threshold: Annotated[float, Field(ge=0.5, lt=1)] = 0.5
    """The probability that an accepted symbol has to exceed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tested < self.longest:
            raise InputError(f"anbn: tested={self.tested}: expected at least longest={self.longest}")

    @property
    def _threshold(self) -> float:
        return self.threshold

    @property
    def length(self) -> int:
        return 2 * self.longest + 1

    @property
    def chance(self) -> float:
        return self.longest.bit_length() / self.longest

    @property
    def examination(self) -> "AnBnStrings":
        return AnBnStrings(self.tested, self.threshold)

    def sample_batch(self, generator: torch.Generator, batch_size: int) -> TaskBatch:
        n = draw_lengths(1, self.longest, batch_size, generator)
        return _strings(n, n)


@final
@dataclass(frozen=True)
class AnBnStrings(CountingStrings):
    """For every `n` from 1 to `M`: twice `a^n b^n`, to be accepted; `a^n b^(n-1)` and `a^n b^(n+1)`, to be rejected.

    These `4 M` strings come in order and then again, whatever the seed, so a test on `tested_sequences` has
    every one of them, and a score of 1 means that every `n` up to `M` is accepted and every near miss rejected. A
    model that rejects everything gets half; the best answer that sees no symbol gets what it can accept besides.
    """

    name: ClassVar[str] = "anbn_strings"

    longest: Annotated[int, Field(ge=3)] = 200
    """`M`, the largest `n`."""
    threshold: Annotated[float, Field(ge=0.5, lt=1)] = 0.5
    """The probability that an accepted symbol has to exceed."""

    @property
    def _threshold(self) -> float:
        return self.threshold

    @property
    def length(self) -> int:
        return 2 * self.longest + 2

    @property
    def chance(self) -> float:
        return 1 / 2 + self.longest.bit_length() / (2 * self.longest)

    @property
    def tested_sequences(self) -> int:
        return max(1000, 4 * self.longest)

    def sample_batch(self, generator: torch.Generator, batch_size: int) -> TaskBatch:
        return self._numbered(torch.randint(4 * self.longest, (batch_size,), generator=generator))

    def batch_at(self, seed: int, step: int, batch_size: int) -> TaskBatch:
        return self._numbered((torch.arange(batch_size) + step * batch_size) % (4 * self.longest))

    def _numbered(self, number: Tensor) -> TaskBatch:
        n = number // 4 + 1
        return _strings(n, n + torch.tensor([0, -1, 0, 1])[number % 4])


def _strings(n: Tensor, m: Tensor) -> TaskBatch:
    """`a^n b^m` for each of `n` and `m`, `(B,)`."""
    step = torch.arange(int((n + m).max()) + 1)[:, None]
    symbols = torch.full(step.shape, B).where(step >= n, A).where(step < n + m, END)  # (T, B): what comes next
    inputs = torch.cat([torch.full((1, len(n)), END), symbols[:-1]])
    return supervised(inputs, symbols.where(step <= n + m, IGNORE_INDEX))
