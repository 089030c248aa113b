"""One-symbol recall: hold one symbol across a stretch of noise, then name it. At one lag, and at a mixture of lags."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, final

import torch
from pydantic import Field

from longhold.errors import InputError
from longhold.tasks.task import Task, TaskBatch, at_steps, draw_lengths, supervised


@final
@dataclass(frozen=True)
class Recall(Task):
    """One of `K` symbols, `L` distractors from another alphabet, a question; the answer is the symbol.

    Ids are `0 ... K-1` for the symbols, `K ... K+D-1` for the distractors and `K+D` for the question. All are drawn
    uniformly and independently, so only the first step determines the answer, and guessing is right `1 / K` of the
    time. The lag is fixed: every sequence has `L + 2` steps, and only the last has a target. It needs
    `log2 K` bits of memory.

    Source: the latch task of Bengio, Simard and Frasconi (1994) with `K` symbols, as the memory study of this package
    defines it.

    Example:
        With `K = 4`, `D = 3`, lag 5 (symbols a-d, distractors x-z):

            input   c  z  x  x  y  z  ?
            answer  .  .  .  .  .  .  c
    """

    name: ClassVar[str] = "recall"

    lag: Annotated[int, Field(ge=0)] = field()
    """`L`, the distractors between the symbol and the question."""
    symbols: Annotated[int, Field(ge=2)] = 8
    """`K`, the symbols that may have to be recalled."""
    distractors: Annotated[int, Field(ge=1)] = 8
    """`D`, the size of the distractors' own alphabet."""

    @property
    def length(self) -> int:
        return self.lag + 2

    @property
    def input_size(self) -> int:
        return self.symbols + self.distractors + 1

    @property
    def output_size(self) -> int:
        return self.symbols

    @property
    def chance(self) -> float:
        return 1 / self.symbols

    def sample_batch(self, generator: torch.Generator, batch_size: int) -> TaskBatch:
        symbol = torch.randint(self.symbols, (1, batch_size), generator=generator)
        noise = torch.randint(self.distractors, (self.lag, batch_size), generator=generator) + self.symbols
        question = torch.full((1, batch_size), self.symbols + self.distractors)
        inputs = torch.cat([symbol, noise, question])
        return supervised(inputs, at_steps(torch.full((batch_size,), self.lag + 1), symbol[0], self.length))


@final
@dataclass(frozen=True)
class MixedRecall(Task):
    """One-symbol recall with a lag of its own in every sequence, uniform from `shortest` to `longest`.

    What a model is trained on for the extrapolated horizon: alphabets and sizes are those of `Recall`, so the same
    model is then tested by `at_lag`, inside the range and beyond it. Padding repeats the question. Guessing is right
    `1 / K` of the time at every lag.
    """

    name: ClassVar[str] = "mixed_recall"

    shortest: Annotated[int, Field(ge=0)] = 1
    """The smallest lag."""
    longest: Annotated[int, Field(ge=0)] = 64
    """The largest lag, not below the smallest."""
    symbols: Annotated[int, Field(ge=2)] = 8
    """`K`, the symbols that may have to be recalled."""
    distractors: Annotated[int, Field(ge=1)] = 8
    """`D`, the size of the distractors' own alphabet."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.longest < self.shortest:
            raise InputError(f"mixed_recall: longest={self.longest}: expected at least shortest={self.shortest}")

    @property
    def length(self) -> int:
        return self.longest + 2

    @property
    def input_size(self) -> int:
        return self.symbols + self.distractors + 1

    @property
    def output_size(self) -> int:
        return self.symbols

    @property
    def chance(self) -> float:
        return 1 / self.symbols

    def at_lag(self, lag: int) -> Recall:
        return Recall(lag, self.symbols, self.distractors)

    def sample_batch(self, generator: torch.Generator, batch_size: int) -> TaskBatch:
        lags = draw_lengths(self.shortest, self.longest, batch_size, generator)
        symbol = torch.randint(self.symbols, (batch_size,), generator=generator)
        length = int(lags.max()) + 2
        inputs = torch.randint(self.distractors, (length, batch_size), generator=generator) + self.symbols
        inputs[0] = symbol
        inputs[torch.arange(length)[:, None] > lags] = self.symbols + self.distractors
        return supervised(inputs, at_steps(lags + 1, symbol, length))
