"""Stream recall: repeat a stream of symbols some steps late, without an end."""

from dataclasses import dataclass, field
from math import log2
from typing import Annotated, ClassVar, final

import torch
from pydantic import Field

from longhold.tasks.task import IGNORE_INDEX, Task, TaskBatch, supervised


@final
@dataclass(frozen=True)
class StreamRecall(Task):
    """`y_t = x_(t-L)`: symbols uniform over `K`, independent, answered from step `L` on.

    A sequence has `L + max(asked, L)` steps, so that at step `L` every one of the last `L` symbols is still to be
    answered: `L log2 K` bits have to be held at once. That makes it a measure of capacity, not of how long one symbol
    lasts. Guessing is right `1 / K` of the time.

    Source: the delayed recall of the echo-state literature (Jaeger 2001) with discrete symbols, "simple memory" of
    CogScale.

    Example:
        With `L = 2`:

            input   c  a  d  d  b
            answer  .  .  c  a  d
    """

    name: ClassVar[str] = "stream_recall"

    lag: Annotated[int, Field(ge=1)] = field()
    """`L`, the steps from a symbol to its answer."""
    symbols: Annotated[int, Field(ge=2)] = 8
    """`K`, the size of the alphabet."""
    asked: Annotated[int, Field(ge=1)] = 32
    """The answers in a sequence; never fewer than the lag."""

    @property
    def length(self) -> int:
        return self.lag + max(self.asked, self.lag)

    @property
    def input_size(self) -> int:
        return self.symbols

    @property
    def output_size(self) -> int:
        return self.symbols

    @property
    def chance(self) -> float:
        return 1 / self.symbols

    @property
    def bits(self) -> float:
        """`L log2 K`, what has to be held."""
        return self.lag * log2(self.symbols)

    def sample_batch(self, generator: torch.Generator, batch_size: int) -> TaskBatch:
        inputs = torch.randint(self.symbols, (self.length, batch_size), generator=generator)
        targets = torch.full_like(inputs, IGNORE_INDEX)
        targets[self.lag :] = inputs[: -self.lag]
        return supervised(inputs, targets)
