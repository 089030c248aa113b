"""The copy problem, in the form of the unitary-RNN paper."""

from dataclasses import dataclass
from math import log
from typing import Annotated, ClassVar, final

import torch
from pydantic import Field
from torch import Tensor

from longhold.errors import InputError
from longhold.tasks.task import Task, TaskBatch, asked


@final
@dataclass(frozen=True)
class Copy(Task):
    """`K` symbols, `T - 1` blanks, a marker, `K` blanks; out come `T + K` blanks, then the symbols in their order.

    The form of Arjovsky, Shah and Bengio (2016, `memory_problem.py` of their code): 8 symbols (ids 1-8), `K = 10`,
    blank 0, marker 9; a sequence has `T + 2K` steps, all of them are asked, and there are 9 answers. `T + K` steps lie
    between a symbol and its answer. It is not the form of Bai et al. (2018), with a row of markers, nor that of the
    S4 code, which asks the last steps only.

    `loss` is the cross-entropy over all steps. The best answer without memory says blank, then guesses evenly:
    `baseline = K ln 8 / (T + 2K)` nats per step. `scores` are the share of right answers among the `K` recalled symbols
    alone, where guessing is right once in eight; with the blanks counted, doing nothing would look nearly perfect.

    Example:
        With `K = 2`, `T = 3` (blank `-`, marker `:`):

            input   c  a  -  -  :  -  -
            answer  -  -  -  -  -  c  a
    """

    name: ClassVar[str] = "copy"

    blanks: Annotated[int, Field(ge=1)]
    """`T`: the blanks between the symbols and the end of the marker, one more than there are before the marker."""
    items: Annotated[int, Field(ge=1)] = 10
    """`K`, the symbols to be copied."""
    symbols: Annotated[int, Field(ge=2)] = 8
    """The size of their alphabet."""

    @property
    def lag(self) -> int:
        """`T + K`, the steps from a symbol to its answer."""
        return self.blanks + self.items

    @property
    def length(self) -> int:
        return self.blanks + 2 * self.items

    @property
    def input_size(self) -> int:
        return self.symbols + 2

    @property
    def output_size(self) -> int:
        return self.symbols + 1

    @property
    def chance(self) -> float:
        return 1 / self.symbols

    @property
    def baseline(self) -> float:
        """`K ln(symbols) / (T + 2K)`, the loss of the best answer without memory, in nats per step."""
        return self.items * log(self.symbols) / self.length

    def at_lag(self, lag: int) -> "Copy":
        if lag <= self.items:
            raise InputError(f"copy: lag={lag}: expected more than the {self.items} symbols")
        return Copy(lag - self.items, self.items, self.symbols)

    def scores(self, outputs: Tensor, batch: TaskBatch) -> Tensor:
        """The share of the `K` symbols that are answered rightly, `(B,)` float64."""
        right = outputs[-self.items :].argmax(-1) == batch.targets[-self.items :]
        return right.double().mean(0)

    def sample_batch(self, generator: torch.Generator, batch_size: int) -> TaskBatch:
        shown = torch.randint(1, self.symbols + 1, (self.items, batch_size), generator=generator)
        inputs = torch.zeros(self.length, batch_size, dtype=torch.long)
        targets = torch.zeros_like(inputs)
        inputs[: self.items] = targets[-self.items :] = shown
        inputs[self.items + self.blanks - 1] = self.symbols + 1
        return asked(inputs, targets)
