"""The grid of issue 3 as data: cells, sizes, padded and ragged, features and token ids."""

from dataclasses import dataclass
from itertools import product
from typing import final

import torch
from torch import Tensor

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
VOCABULARY = 28
"""Token ids, as many as the tutorial's text has characters."""


@final
@dataclass(frozen=True)
class Case:
    """One layer at one size."""

    cell: str
    """RNN, GRU or LSTM."""
    batch: int
    """Rows `B`."""
    hidden: int
    """Units `H`."""
    steps: int
    """Steps `T`; the longest row's where rows are ragged."""
    ragged: bool = False
    """Whether rows have lengths of their own, uniform in [T/3, T]."""
    ids: bool = False
    """Whether the input is token ids `(T, B)`; if not, it is `(T, B, I)` with `I = H` and needs a gradient."""

    @property
    def inputs(self) -> int:
        """Width `I` of what the input matrix multiplies."""
        return VOCABULARY if self.ids else self.hidden

    @property
    def name(self) -> str:
        """A short name for tables."""
        rows, kind = "ragged" if self.ragged else "padded", "ids" if self.ids else "x"
        return f"{self.cell} B{self.batch} H{self.hidden} T{self.steps} {kind} {rows}"

    def lengths(self) -> Tensor:
        """The rows' lengths, (B,), the same for the same case."""
        if not self.ragged:
            return torch.full((self.batch,), self.steps)
        generator = torch.Generator().manual_seed(1000 * self.steps + self.batch)
        return torch.randint(max(1, self.steps // 3), self.steps + 1, (self.batch,), generator=generator)

    def flops(self, *, backward: bool) -> int:
        """Operations of the matrix products over valid steps, a multiplication and an addition counting two.

        forward      2 G H (H + I)            a valid step; a look-up of ids counts zero, so I = 0 there
        backward     twice that: the gradient of the state or input, and that of the matrix
        """
        width = self.hidden + (0 if self.ids else self.inputs)
        return 2 * GATES[self.cell] * self.hidden * width * int(self.lengths().sum()) * (3 if backward else 1)


GRID = tuple(
    Case(cell, batch, hidden, steps, ragged, ids)
    for cell, ids, ragged, steps, hidden, batch in product(
        GATES, (False, True), (False, True), (35, 200), (32, 64, 128, 256, 512), (1, 8, 32, 64)
    )
)
"""240 sizes, each with features and with token ids."""

QUICK = tuple(Case(cell, 2, 8, 5, ragged, ids) for cell in GATES for ragged in (False, True) for ids in (False, True))
"""Every kind of case once, at a size that takes no time."""

CONTROLS = tuple(
    Case(cell, batch, hidden, steps)
    for cell in GATES
    for batch, hidden, steps in ((1, 64, 35), (8, 128, 35), (32, 256, 35), (8, 64, 200))
)
"""Cases in which torch.nn is timed against itself."""
