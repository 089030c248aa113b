"""Temporal order: in which order two or three marks came, long after they did."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, final

import torch
from pydantic import Field

from longhold.tasks.task import Task, TaskBatch, at_steps, draw_lengths, supervised

START, TRIGGER, NOISE, X = 0, 1, 2, 6
"""The ids of E and B, of the first of a, b, c, d, and of X; Y follows it."""

_WINDOWS = {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}


@final
@dataclass(frozen=True)
class TemporalOrder(Task):
    """E, noise from a, b, c, d, and B; at two or three steps X or Y instead. At B their order is the target.

    Experiments 6a (two marks) and 6b (three) of Hochreiter and Schmidhuber (1997). The length is uniform from `T` to
    `T + T/10`. Counted from E at step 0 and for `T = 100`, the marks stand at steps uniform from 10 to 20 and 50 to 60,
    or 10 to 20, 33 to 43 and 66 to 76; for another `T` in proportion, rounded down. Each mark is X or Y with equal
    chances, so guessing among the 4 or 8 orders is right once in as many. The class is the order read as binary digits,
    X = 0, Y = 1, the first mark leading. Padding is B.
    """

    name: ClassVar[str] = "temporal_order"

    marks: Literal[2, 3] = 2
    """2 for experiment 6a, 3 for 6b."""
    steps: Annotated[int, Field(ge=10)] = 100
    """`T`, the steps of the shortest sequence."""

    @property
    def length(self) -> int:
        return self.steps + self.steps // 10

    @property
    def input_size(self) -> int:
        return 8

    @property
    def output_size(self) -> int:
        return 2**self.marks

    @property
    def chance(self) -> float:
        return 1 / self.output_size

    def sample_batch(self, generator: torch.Generator, batch_size: int) -> TaskBatch:
        lengths = draw_lengths(self.steps, self.length, batch_size, generator)
        inputs = torch.randint(NOISE, X, (int(lengths.max()), batch_size), generator=generator)
        inputs[0] = START
        inputs[torch.arange(len(inputs))[:, None] >= lengths - 1] = TRIGGER
        order = torch.zeros(batch_size, dtype=torch.long)
        for window in _WINDOWS[self.marks]:
            first, last = (bound * self.steps // 100 for bound in window)
            mark = torch.randint(2, (batch_size,), generator=generator)
            inputs.scatter_(0, draw_lengths(first, last, batch_size, generator)[None], X + mark[None])
            order = 2 * order + mark
        return supervised(inputs, at_steps(lengths - 1, order, len(inputs)))
