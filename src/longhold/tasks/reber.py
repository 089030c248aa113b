"""The embedded Reber grammar: one symbol to be kept across a string that has a grammar of its own."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import torch
from pydantic import Field
from torch import Tensor

from longhold.tasks.task import IGNORE_INDEX, Task, TaskBatch, supervised

SYMBOLS = "BTSXPVE"
"""The letters; an id is a place in it."""

EDGES = {
    0: (("T", 1), ("P", 2)),
    1: (("S", 1), ("X", 3)),
    2: (("T", 2), ("V", 4)),
    3: (("X", 2), ("S", 5)),
    4: (("P", 3), ("V", 5)),
    5: (("E", 6), ("E", 6)),
    6: (("E", 6), ("E", 6)),
}
"""Reber's graph: from each node the two letters that may come, equally likely, and where they lead; B leads to node 0,
node 6 is the end."""


@final
@dataclass(frozen=True)
class EmbeddedReber(Task):
    """`B o R o E`: the outer symbol `o` is T or P, `R` a string of Reber's grammar; targets are the next letters.

    Experiment 1 of Hochreiter and Schmidhuber (1997), after Fahlman (1991). The loss is the cross-entropy over all
    letters. A score is 1 if the second `o` is the letter that the model finds likeliest, else 0: the one step that
    needs memory beyond `R`. T and P are equally likely, so guessing is right half of the time. (The original counts a
    string whose every letter is among the predicted ones.)

    Strings `R` of more than `longest` letters are drawn again; the shortest have five. Padding is E.
    """

    name: ClassVar[str] = "embedded_reber"

    longest: Annotated[int, Field(ge=5)] = 40
    """The most letters of an inner string; below about 20 the grammar is cut noticeably."""

    @property
    def length(self) -> int:
        return self.longest + 3

    @property
    def input_size(self) -> int:
        return len(SYMBOLS)

    @property
    def output_size(self) -> int:
        return len(SYMBOLS)

    @property
    def chance(self) -> float:
        return 1 / 2

    def scores(self, outputs: Tensor, batch: TaskBatch) -> Tensor:
        """1 for each string whose second outer symbol is answered rightly, else 0: `(B,)` float64."""
        step = batch.mask.sum(0)[None] - 2  # the last target is the final E
        return (outputs.argmax(-1).gather(0, step) == batch.targets.gather(0, step))[0].double()

    def sample_batch(self, generator: torch.Generator, batch_size: int) -> TaskBatch:
        inner, lengths = self._inner(batch_size, generator)
        outer = torch.randint(2, (batch_size,), generator=generator)
        outer = torch.tensor([SYMBOLS.index("T"), SYMBOLS.index("P")])[outer]
        ends = torch.full((2, batch_size), SYMBOLS.index("E"))
        letters = torch.cat([torch.full((1, batch_size), SYMBOLS.index("B")), outer[None], inner, ends])
        letters.scatter_(0, lengths[None] + 2, outer[None])
        letters = letters[: int(lengths.max()) + 4]
        last = torch.arange(len(letters) - 1)[:, None] <= lengths + 2  # (T, B): a letter follows
        return supervised(letters[:-1], letters[1:].where(last, IGNORE_INDEX))

    def _inner(self, batch_size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Strings of the grammar `(longest, B)`, padded with E, and their lengths `(B,)`."""
        letters, complete = self._walk(batch_size, generator)
        while not complete.all():
            again = (~complete).nonzero()[:, 0]
            letters[:, again], complete[again] = self._walk(len(again), generator)
        return letters, (letters != SYMBOLS.index("E")).sum(0) + 1

    def _walk(self, batch_size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        letter = torch.tensor([[SYMBOLS.index(name) for name, _ in edges] for edges in EDGES.values()])
        leads = torch.tensor([[node for _, node in edges] for edges in EDGES.values()])
        node, walked = torch.zeros(batch_size, dtype=torch.long), [torch.zeros(batch_size, dtype=torch.long)]
        for way in torch.randint(2, (self.longest - 1, batch_size), generator=generator):
            walked.append(letter[node, way])
            node = leads[node, way]
        return torch.stack(walked), node == 6
