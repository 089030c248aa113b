"""The adding problem, in the unit form of the unitary-RNN paper and in that of the TCN paper."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from longhold.tasks.marked_pair import MarkedPair


@dataclass(frozen=True)
class MarkedSum(MarkedPair):
    """The sum of the two marked values, wherever a form of the problem puts its markers."""

    @property
    def chance(self) -> float:
        return 1 / 6

    def combine(self, first: Tensor, second: Tensor) -> Tensor:
        return first + second

    def solved(self, score: float) -> bool:
        """Whether the mean squared error is below 0.01."""
        return score < 0.01


@final
@dataclass(frozen=True)
class Adding(MarkedSum):
    """Add the two marked values; see `MarkedPair` for the sequences.

    The unit form (Arjovsky, Shah and Bengio 2016, `adding_problem.py` of their code): values from [0, 1], one marker in
    each half, target `x_1 + x_2`, mean squared error. The best blind answer is 1, and its error is the variance of a
    sum of two uniform numbers, `2 / 12 = 1/6` exactly (0.1767, as printed in places, is not that number).

    It isn't the form of Hochreiter and Schmidhuber (1997), whose values come from [-1, 1], whose first marker is among
    the first ten steps and whose lengths vary, nor that of Bai, Kolter and Koltun (2018), whose markers may fall
    anywhere (`AddingAnywhere`): their figures aren't comparable.

    Solved means a mean squared error below 0.01.
    """

    name: ClassVar[str] = "adding"


@final
@dataclass(frozen=True)
class AddingAnywhere(MarkedSum):
    """Add the two marked values, the markers anywhere: two different steps of the sequence, uniformly chosen.

    The form of Bai, Kolter and Koltun (2018, `adding_problem` of their code). Values, target, error, chance and what
    counts as solved are those of `Adding`. Both values may stand near the end, so that a short memory gets further than
    with one marker in each half: the earlier marker lies on average a third of the sequence from its beginning, there a
    quarter.
    """

    name: ClassVar[str] = "adding_anywhere"

    def places(self, generator: torch.Generator, batch_size: int) -> Tensor:
        first = torch.randint(self.steps, (1, batch_size), generator=generator)
        second = torch.randint(self.steps - 1, (1, batch_size), generator=generator)
        return torch.cat([first, second + (second >= first)])
