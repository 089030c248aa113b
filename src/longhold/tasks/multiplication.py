"""The multiplication problem."""

from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from longhold.tasks.marked_pair import MarkedPair


@final
@dataclass(frozen=True)
class Multiplication(MarkedPair):
    """Multiply the two marked values; see `MarkedPair` for the sequences.

    After experiment 5 of Hochreiter and Schmidhuber (1997), with the sequences of today's adding problem: one marker in
    each half and a fixed length, where theirs had a varying length and the first marker among the first ten steps. A
    sum can be had by integration; a product cannot. The best blind answer is 1/4, and its error is
    `Var(x_1 x_2) = 1/9 - 1/16 = 7/144`.
    """

    name: ClassVar[str] = "multiplication"

    @property
    def chance(self) -> float:
        return 7 / 144

    def combine(self, first: Tensor, second: Tensor) -> Tensor:
        return first * second
