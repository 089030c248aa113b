"""What is timed, as data: cells, sizes, padded and ragged."""

from dataclasses import dataclass
from itertools import product


@dataclass(frozen=True)
class Case:
    """One layer at one size. `inputs` is the width of x; x needs a gradient where it equals `hidden`."""

    cell: str
    batch: int
    hidden: int
    steps: int
    inputs: int
    ragged: bool

    @property
    def name(self) -> str:
        """A short name for tables."""
        width = "ragged" if self.ragged else "padded"
        return f"{self.cell} B{self.batch} H{self.hidden} T{self.steps} I{self.inputs} {width}"


GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}

GRID = tuple(
    Case(cell, batch, hidden, steps, hidden, ragged)
    for cell, batch, hidden, steps, ragged in product(
        GATES, (1, 8, 32, 64), (32, 64, 128, 256, 512), (35, 200), (False, True)
    )
)
"""The whole grid: 240 cases."""

QUICK = tuple(
    Case(cell, batch, hidden, steps, hidden, ragged)
    for cell in GATES
    for batch, hidden, steps in ((1, 256, 200), (8, 128, 35), (16, 64, 100), (32, 256, 35), (64, 512, 50))
    for ragged in (False, True)
)
"""Thirty cases for a look."""
