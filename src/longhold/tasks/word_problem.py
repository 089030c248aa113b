"""The word problem of S3: the running product of permutations, where the order of the factors counts."""

from dataclasses import dataclass
from itertools import permutations
from typing import Annotated, ClassVar, final

import torch
from pydantic import Field
from torch import Tensor

from longhold.errors import InputError
from longhold.tasks.task import IGNORE_INDEX, Task, TaskBatch, draw_lengths, supervised

ELEMENTS = tuple(permutations(range(3)))
"""The six permutations; an id is a place here, 0 the identity. `p` takes `i` to `p[i]`."""

PRODUCT = tuple(
    tuple(ELEMENTS.index((second[first[0]], second[first[1]], second[first[2]])) for second in ELEMENTS)
    for first in ELEMENTS
)
"""`PRODUCT[p][q]`: first `p`, then `q`."""


@final
@dataclass(frozen=True)
class WordProblem(Task):
    """`n` elements of S3, uniform and independent; after each, the product of all so far. `n` is uniform.

    Parity over a group that does not commute, so that the order counts (Merrill, Petty and Sabharwal 2024). The loss
    is over every step; a score is 1 if the product of the whole word is right, else 0. Each product is uniform over
    the six elements, so guessing is right once in six. `examination` has the lengths above `longest` to `tested`.
    Padding is the identity.
    """

    name: ClassVar[str] = "word_problem"

    shortest: Annotated[int, Field(ge=1)] = 1
    """Elements of the shortest word."""
    longest: Annotated[int, Field(ge=1)] = 20
    """Elements of the longest word, not below the shortest."""
    tested: Annotated[int, Field(ge=1)] = 40
    """Elements of the longest word that is tested; as many as `longest`: tested on what is trained."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.longest < self.shortest:
            raise InputError(f"word_problem: longest={self.longest}: expected at least shortest={self.shortest}")
        if self.tested < self.longest:
            raise InputError(f"word_problem: tested={self.tested}: expected at least longest={self.longest}")

    @property
    def length(self) -> int:
        return self.longest

    @property
    def input_size(self) -> int:
        return 6

    @property
    def output_size(self) -> int:
        return 6

    @property
    def chance(self) -> float:
        return 1 / 6

    @property
    def examination(self) -> "WordProblem":
        """The words from one element beyond `longest` to `tested`."""
        return self if self.tested == self.longest else WordProblem(self.longest + 1, self.tested, self.tested)

    def scores(self, outputs: Tensor, batch: TaskBatch) -> Tensor:
        """1 for each word whose product is answered rightly at its end, else 0: `(B,)` float64."""
        last = batch.mask.sum(0)[None] - 1
        return (outputs.argmax(-1).gather(0, last) == batch.targets.gather(0, last))[0].double()

    def sample_batch(self, generator: torch.Generator, batch_size: int) -> TaskBatch:
        lengths = draw_lengths(self.shortest, self.longest, batch_size, generator)
        inputs = torch.randint(6, (int(lengths.max()), batch_size), generator=generator)
        over = torch.arange(len(inputs))[:, None] >= lengths
        inputs[over] = 0
        table, product, targets = torch.tensor(PRODUCT), torch.zeros(batch_size, dtype=torch.long), []
        for element in inputs:
            product = table[product, element]
            targets.append(product)
        return supervised(inputs, torch.stack(targets).where(~over, IGNORE_INDEX))
