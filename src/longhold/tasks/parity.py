"""Parity: whether the ones of a bit string are odd, answered at its end."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import torch
from pydantic import Field

from longhold.errors import InputError
from longhold.tasks.task import Task, TaskBatch, at_steps, draw_lengths, supervised


@final
@dataclass(frozen=True)
class Parity(Task):
    """The sum modulo 2 of `n` random bits, answered at the last bit; `n` is uniform from `shortest` to `longest`.

    In signs, the running product of the string. Nothing marks the end, so a model has to have the answer at every step.
    One bit of memory is enough, but the state has to be rewritten by every input: a test of tracking, not of holding.
    Guessing is right half of the time.

    Lengths after the Chomsky-hierarchy suite of Delétang et al. (2023): trained on 1 to 40; `examination` has the
    lengths above, 41 to 256 (their test goes to 500). Padding is the bit 0.
    """

    name: ClassVar[str] = "parity"

    shortest: Annotated[int, Field(ge=1)] = 1
    """Bits of the shortest string."""
    longest: Annotated[int, Field(ge=1)] = 40
    """Bits of the longest string, not below the shortest."""
    tested: Annotated[int, Field(ge=1)] = 256
    """Bits of the longest string that is tested; as many as `longest`: tested on the lengths it is trained on."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.longest < self.shortest:
            raise InputError(f"parity: longest={self.longest}: expected at least shortest={self.shortest}")
        if self.tested < self.longest:
            raise InputError(f"parity: tested={self.tested}: expected at least longest={self.longest}")

    @property
    def length(self) -> int:
        return self.longest

    @property
    def input_size(self) -> int:
        return 2

    @property
    def output_size(self) -> int:
        return 2

    @property
    def chance(self) -> float:
        return 1 / 2

    @property
    def examination(self) -> "Parity":
        """The strings from one bit beyond `longest` to `tested`."""
        return self if self.tested == self.longest else Parity(self.longest + 1, self.tested, self.tested)

    def sample_batch(self, generator: torch.Generator, batch_size: int) -> TaskBatch:
        lengths = draw_lengths(self.shortest, self.longest, batch_size, generator)
        bits = torch.randint(2, (int(lengths.max()), batch_size), generator=generator)
        bits[torch.arange(len(bits))[:, None] >= lengths] = 0
        return supervised(bits, at_steps(lengths - 1, bits.sum(0) % 2, len(bits)))
