"""Serial recall of several symbols: how many can be held at a fixed lag."""

from dataclasses import dataclass, field
from math import log2
from typing import Annotated, ClassVar, final

import torch
from pydantic import Field

from longhold.tasks.task import IGNORE_INDEX, Task, TaskBatch, supervised


@final
@dataclass(frozen=True)
class SpanRecall(Task):
    """`n` of `K` symbols, `L` distractors, `n` questions; the answers are the symbols in their order.

    For the capacity of a model `n` grows while the lag stays; with `n = 1` it is `Recall`. Ids are those of `Recall`.
    The symbols are independent, so `n log2 K` bits have to be held, and guessing is right `1 / K` of the time. A score
    is the fraction of the `n` answers. `L + n` steps lie between a symbol and its question.

    Example:
        With `n = 2`, `K = 4`, `D = 3`, lag 3:

            input   c  a  x  y  z  ?  ?
            answer  .  .  .  .  .  c  a
    """

    name: ClassVar[str] = "span_recall"

    items: Annotated[int, Field(ge=1)]
    """`n`, the symbols in each sequence."""
    lag: Annotated[int, Field(ge=0)] = field()
    """`L`, the distractors between the last symbol and the first question."""
    symbols: Annotated[int, Field(ge=2)] = 8
    """`K`, the size of their alphabet."""
    distractors: Annotated[int, Field(ge=1)] = 8
    """`D`, the size of the distractors' own alphabet."""

    @property
    def length(self) -> int:
        return 2 * self.items + self.lag

    @property
    def input_size(self) -> int:
        return self.symbols + self.distractors + 1

    @property
    def output_size(self) -> int:
        return self.symbols

    @property
    def chance(self) -> float:
        return 1 / self.symbols

    @property
    def bits(self) -> float:
        """`n log2 K`, what has to be held."""
        return self.items * log2(self.symbols)

    def sample_batch(self, generator: torch.Generator, batch_size: int) -> TaskBatch:
        shown = torch.randint(self.symbols, (self.items, batch_size), generator=generator)
        noise = torch.randint(self.distractors, (self.lag, batch_size), generator=generator) + self.symbols
        questions = torch.full_like(shown, self.symbols + self.distractors)
        inputs = torch.cat([shown, noise, questions])
        targets = torch.full_like(inputs, IGNORE_INDEX)
        targets[-self.items :] = shown
        return supervised(inputs, targets)
