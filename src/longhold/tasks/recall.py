"""One-symbol recall: hold one symbol across a stretch of noise, then name it."""

from dataclasses import dataclass
from typing import final

import torch

from longhold.errors import InputError
from longhold.tasks.task import NOT_ASKED, Task, TaskBatch


@final
@dataclass(frozen=True)
class Recall(Task):
    """One of `K` symbols, `L` distractors from another alphabet, a question; the answer is the symbol.

    Ids are `0 ... K-1` for the symbols, `K ... K+D-1` for the distractors and `K+D` for the question. All are drawn
    uniformly and independently, so nothing but the first step tells the answer, and guessing is right `1 / K` of the
    time. The lag is fixed: every sequence has `L + 2` steps, and the answer is asked at the last of them only.

    Example:
        With `K = 4`, `D = 3`, lag 5 (symbols a-d, distractors x-z):

            input   c  z  x  x  y  z  ?
            answer  .  .  .  .  .  .  c
    """

    lag: int
    """`L`, the distractors between the symbol and the question. At least 0."""
    symbols: int = 8
    """`K`, the symbols that may have to be recalled. At least 2."""
    distractors: int = 8
    """`D`, the size of the distractors' own alphabet. At least 1."""

    def __post_init__(self) -> None:
        for name, least in (("lag", 0), ("symbols", 2), ("distractors", 1)):
            value = getattr(self, name)
            if value < least:
                raise InputError(f"{name}={value}: one-symbol recall needs at least {least}")

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
        targets = torch.full_like(inputs, NOT_ASKED)
        targets[-1] = symbol[0]
        return TaskBatch(inputs, targets, targets != NOT_ASKED)
