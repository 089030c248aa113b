"""Dyck languages: which bracket may close here."""

from dataclasses import dataclass
from functools import cache
from typing import Annotated, ClassVar, final

import torch
from pydantic import Field

from longhold.errors import InputError
from longhold.tasks.task import IGNORE_INDEX, Task, TaskBatch, draw_lengths, supervised


@final
@dataclass(frozen=True)
class Dyck(Task):
    """Balanced strings of `k` kinds of brackets; after every symbol: which bracket may close now, or none.

    Opening brackets are the ids `0 ... k-1`, closing ones `k ... 2k-1`. Answer 0 means that nothing is open, `1 + j`
    that the innermost open bracket is of kind `j`. Since every opening bracket may always follow, this answer stands
    for the whole set of symbols that may come next, which is what Suzgun et al. (2019) ask for. With `k = 1` a
    counter is enough, with `k = 2` a stack is needed.

    The length is uniform over the even numbers from `shortest` to `longest`. From left to right a bracket opens where
    none is open, closes where the rest is only just enough to close all, and else does either with equal chances; kinds
    are uniform. A score is the fraction of a string's steps that are answered rightly. `chance` is that of the best
    answer that counts steps but sees no symbol, worked out from these rules. `examination` has the lengths above
    `longest` to `tested`; 2 to 50 and 52 to 100 are those of Suzgun et al. Padding is id 0.
    """

    name: ClassVar[str] = "dyck"

    kinds: Annotated[int, Field(ge=1)] = 1
    """`k`, the kinds of brackets."""
    shortest: Annotated[int, Field(ge=2, multiple_of=2)] = 2
    """Symbols of the shortest string."""
    longest: Annotated[int, Field(ge=2, multiple_of=2)] = 50
    """Symbols of the longest string, not below the shortest."""
    tested: Annotated[int, Field(ge=2, multiple_of=2)] = 100
    """Symbols of the longest string that is tested; as many as `longest`: tested on what is trained."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.longest < self.shortest:
            raise InputError(f"dyck: longest={self.longest}: expected at least shortest={self.shortest}")
        if self.tested < self.longest:
            raise InputError(f"dyck: tested={self.tested}: expected at least longest={self.longest}")
        if self.kinds == 1 and self.longest == 2:
            raise InputError("dyck: longest=2: expected at least 4 with one kind, since there is one string of two")

    @property
    def length(self) -> int:
        return self.longest

    @property
    def input_size(self) -> int:
        return 2 * self.kinds

    @property
    def output_size(self) -> int:
        return self.kinds + 1

    @property
    def chance(self) -> float:
        return _blind(self.kinds, self.shortest, self.longest)

    @property
    def examination(self) -> "Dyck":
        """The strings from two symbols beyond `longest` to `tested`."""
        if self.tested == self.longest:
            return self
        return Dyck(self.kinds, self.longest + 2, self.tested, self.tested)

    def sample_batch(self, generator: torch.Generator, batch_size: int) -> TaskBatch:
        lengths = 2 * draw_lengths(self.shortest // 2, self.longest // 2, batch_size, generator)
        steps, rows = int(lengths.max()), torch.arange(batch_size)
        coins = torch.randint(2, (steps, batch_size), generator=generator)
        kinds = torch.randint(self.kinds, (steps, batch_size), generator=generator)
        open_kinds = torch.zeros(steps // 2 + 1, batch_size, dtype=torch.long)  # place 0 is below all brackets
        depth, inputs, targets = torch.zeros_like(lengths), torch.zeros_like(kinds), torch.zeros_like(kinds)
        for t in range(steps):
            opens = (depth == 0) | ((depth < lengths - t) & (coins[t] == 1))
            inputs[t] = kinds[t].where(opens, self.kinds + open_kinds[depth, rows])
            depth = (depth + 2 * opens.long() - 1).where(t < lengths, 0)
            open_kinds[depth, rows] = kinds[t].where(opens & (t < lengths), open_kinds[depth, rows])
            targets[t] = (1 + open_kinds[depth, rows]).where(depth > 0, 0)
        over = torch.arange(steps)[:, None] >= lengths
        return supervised(inputs.where(~over, 0), targets.where(~over, IGNORE_INDEX))


@cache
def _blind(kinds: int, shortest: int, longest: int) -> float:
    """The expected fraction of steps that the best answer by step number alone gets right."""
    lengths = range(shortest, longest + 1, 2)
    level = [[0.0] * longest for _ in range(2)]  # [nothing open, something open][step], weighted by 1 / length
    for length in lengths:
        for t, nothing in enumerate(_nothing_open(length)):
            level[0][t] += nothing / (length * len(lengths))
            level[1][t] += (1 - nothing) / (length * len(lengths) * kinds)
    best: list[float] = [max(both) for both in zip(*level, strict=True)]
    return sum(best)


def _nothing_open(length: int) -> list[float]:
    """The probability that nothing is open after each step of a string of this length."""
    depths, found = {0: 1.0}, []
    for t in range(length):
        after: dict[int, float] = {}
        for depth, p in depths.items():
            up = 1.0 if depth == 0 else 0.0 if depth == length - t else 0.5
            after[depth + 1] = after.get(depth + 1, 0.0) + up * p
            after[depth - 1] = after.get(depth - 1, 0.0) + (1 - up) * p
        depths = {depth: p for depth, p in after.items() if p}
        found.append(depths.get(0, 0.0))
    return found
