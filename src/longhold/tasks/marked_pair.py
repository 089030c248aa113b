"""What the adding and the multiplication problem have in common: a stream of numbers, two of them marked."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import torch
from pydantic import Field
from torch import Tensor

from longhold.tasks.task import Regression, TaskBatch


@dataclass(frozen=True)
class MarkedPair(Regression):
    """`T` pairs (value, marker); the target at the last step depends on the two marked values.

    Values are uniform on [0, 1) and independent. One marker is 1 at a step before `T // 2`, uniformly chosen, the other
    at a step from `T // 2` on, uniformly chosen, unless the task sets its own; all other markers are 0.
    """

    continuous: ClassVar[bool] = True

    steps: Annotated[int, Field(ge=2)]
    """`T`, the steps of every sequence."""

    @property
    def length(self) -> int:
        return self.steps

    @property
    def input_size(self) -> int:
        return 2

    @property
    def output_size(self) -> int:
        return 1

    @abstractmethod
    def combine(self, first: Tensor, second: Tensor) -> Tensor:
        """The target of the marked values, all `(B,)`."""

    def places(self, generator: torch.Generator, batch_size: int) -> Tensor:
        """The steps of the two markers, `(2, B)`."""
        half = self.steps // 2
        first = torch.randint(half, (1, batch_size), generator=generator)
        second = torch.randint(half, self.steps, (1, batch_size), generator=generator)
        return torch.cat([first, second])

    @final
    def sample_batch(self, generator: torch.Generator, batch_size: int) -> TaskBatch:
        values = torch.rand(self.steps, batch_size, generator=generator)
        marked = self.places(generator, batch_size)
        markers = torch.zeros_like(values).scatter_(0, marked, 1.0)
        targets = torch.zeros(self.steps, batch_size, 1)
        targets[-1, :, 0] = self.combine(*values.gather(0, marked))
        mask = torch.zeros(self.steps, batch_size, dtype=torch.bool)
        mask[-1] = True
        return TaskBatch(torch.stack([values, markers], dim=-1), targets, mask)
