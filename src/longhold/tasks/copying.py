"""The copy problem in the three forms that are in use, whose figures aren't comparable, and selective copy."""

from abc import abstractmethod
from dataclasses import dataclass
from math import log
from typing import Annotated, ClassVar, Self, final

import torch
from pydantic import Field
from torch import Tensor

from longhold.errors import InputError
from longhold.tasks.task import IGNORE_INDEX, Task, TaskBatch, supervised


@dataclass(frozen=True)
class Copying(Task):
    """`K` symbols to be given back, among blanks, where one or several markers stand. Chance is `1 / symbols`."""

    blanks: Annotated[int, Field(ge=0)]
    """`L`, the blanks, unless a form counts otherwise."""
    items: Annotated[int, Field(ge=1)] = 10
    """`K`, the symbols to be copied."""
    symbols: Annotated[int, Field(ge=2)] = 8
    """The size of their alphabet."""

    @property
    def length(self) -> int:
        return self.blanks + 2 * self.items

    @property
    def input_size(self) -> int:
        return self.symbols + 2

    @property
    def chance(self) -> float:
        return 1 / self.symbols


@dataclass(frozen=True)
class BlankedCopy(Copying):
    """`K` symbols, blanks and markers; out come `T + K` blanks, then the symbols in their order. All steps are targets.

    `loss` is the cross-entropy over all steps. The best answer without memory is blank, then guesses evenly:
    `baseline = K ln(symbols) / (T + 2K)` nats per step. `scores` are the fraction of right answers among the `K`
    recalled symbols alone; with the blanks counted, doing nothing would look nearly perfect.
    """

    blanks: Annotated[int, Field(ge=1)]
    """`T`: the blanks between the symbols and the end of the first marker, one more than there are before it."""

    @property
    def lag(self) -> int:
        """`T + K`, the steps from a symbol to its answer."""
        return self.blanks + self.items

    @property
    def output_size(self) -> int:
        return self.symbols + 1

    @property
    def baseline(self) -> float:
        """`K ln(symbols) / (T + 2K)`, the loss of the best answer without memory, in nats per step."""
        return self.items * log(self.symbols) / self.length

    @property
    @abstractmethod
    def markers(self) -> int:
        """How many markers there are in a row, the first at step `T + K - 1`."""

    def at_lag(self, lag: int) -> Self:
        if lag <= self.items:
            raise InputError(f"{self.name}: lag={lag}: expected more than the {self.items} symbols")
        return type(self)(lag - self.items, self.items, self.symbols)

    def scores(self, outputs: Tensor, batch: TaskBatch) -> Tensor:
        """The fraction of the `K` symbols that are answered correctly, `(B,)` float64."""
        right = outputs[-self.items :].argmax(-1) == batch.targets[-self.items :]
        return right.double().mean(0)

    def sample_batch(self, generator: torch.Generator, batch_size: int) -> TaskBatch:
        shown = torch.randint(1, self.symbols + 1, (self.items, batch_size), generator=generator)
        inputs = torch.zeros(self.length, batch_size, dtype=torch.long)
        targets = torch.zeros_like(inputs)
        inputs[: self.items] = targets[-self.items :] = shown
        inputs[self.lag - 1 : self.lag - 1 + self.markers] = self.symbols + 1
        return supervised(inputs, targets)


@final
@dataclass(frozen=True)
class Copy(BlankedCopy):
    """`K` symbols, `T - 1` blanks, a marker, `K` blanks; out come `T + K` blanks, then the symbols in their order.

    The form of Arjovsky, Shah and Bengio (2016, `memory_problem.py` of their code): 8 symbols (ids 1-8), `K = 10`,
    blank 0, marker 9; a sequence has `T + 2K` steps, all of them targets, and there are 9 answers. `T + K` steps lie
    between a symbol and its answer. The forms of Bai et al. (2018), with a row of markers, and of the S4 code, which
    has targets at the last steps only, are `CopyMarkers` and `CopyTail`. Loss, baseline and scores: see `BlankedCopy`.

    Example:
        With `K = 2`, `T = 3` (blank `-`, marker `:`):

            input   c  a  -  -  :  -  -
            answer  -  -  -  -  -  c  a
    """

    name: ClassVar[str] = "copy"

    @property
    def markers(self) -> int:
        return 1


@final
@dataclass(frozen=True)
class CopyMarkers(BlankedCopy):
    """`K` symbols, `T - 1` blanks, `K + 1` markers; out come `T + K` blanks, then the symbols in their order.

    The form of Bai, Kolter and Koltun (2018, `copy_memory` of their code): 8 symbols (ids 1-8), `K = 10`, blank 0,
    marker 9; a sequence has `T + 2K` steps, all of them targets. In the uRNN form (`Copy`) one marker says that
    the answer begins and blanks follow; here every step of the answer is marked as well, so that a model need not know
    that it is answering. Their network has a tenth answer, the marker, which is never right; it is left out here, as in
    the uRNN form. Loss, baseline and scores: see `BlankedCopy`.

    Example:
        With `K = 2`, `T = 3` (blank `-`, marker `:`):

            input   c  a  -  -  :  :  :
            answer  -  -  -  -  -  c  a
    """

    name: ClassVar[str] = "copy_markers"

    @property
    def markers(self) -> int:
        return self.items + 1


@dataclass(frozen=True)
class CopyAtMarkers(Copying):
    """`K` symbols and `L` blanks, then `K` markers, where the targets are the symbols in their order; no others.

    The loss of the best answer without memory is `ln(symbols)` for any `L`.
    """

    @property
    def output_size(self) -> int:
        return self.symbols + 2

    @abstractmethod
    def places(self, generator: torch.Generator, batch_size: int) -> Tensor:
        """The steps of the symbols, rising, `(K, B)`."""

    def sample_batch(self, generator: torch.Generator, batch_size: int) -> TaskBatch:
        shown = torch.randint(1, self.symbols + 1, (self.items, batch_size), generator=generator)
        inputs = torch.zeros(self.length, batch_size, dtype=torch.long)
        inputs.scatter_(0, self.places(generator, batch_size), shown)
        inputs[-self.items :] = self.symbols + 1
        targets = torch.full_like(inputs, IGNORE_INDEX)
        targets[-self.items :] = shown
        return supervised(inputs, targets)


@final
@dataclass(frozen=True)
class CopyTail(CopyAtMarkers):
    """`K` symbols, `L` blanks, `K` markers; at the markers the targets are the symbols in their order; no others.

    The form of the S4 code (Gu, Goel and Ré 2022, `copying`, not variable): ids of `A = symbols + 2` tokens, of which 0
    is the blank and the last is the marker; there `K = 10`, `A = 10`, `L = 100`. Only the last `K` steps are targets,
    so that the loss of the best answer without memory is `ln(symbols)` for any `L`, and does not vanish among blanks.

    Example:
        With `K = 2`, `L = 3` (blank `-`, marker `:`):

            input   c  a  -  -  -  :  :
            answer  .  .  .  .  .  c  a
    """

    name: ClassVar[str] = "copy_tail"

    @property
    def lag(self) -> int:
        """`L + K`, the steps from a symbol to its answer."""
        return self.blanks + self.items

    def at_lag(self, lag: int) -> "CopyTail":
        if lag < self.items:
            raise InputError(f"copy_tail: lag={lag}: expected no less than the {self.items} symbols")
        return CopyTail(lag - self.items, self.items, self.symbols)

    def places(self, generator: torch.Generator, batch_size: int) -> Tensor:
        return torch.arange(self.items)[:, None].expand(self.items, batch_size)


@final
@dataclass(frozen=True)
class SelectiveCopy(CopyAtMarkers):
    """`K` symbols anywhere among `L` blanks, then `K` markers; at these the symbols are the targets, in their order.

    Jing et al. (2019, "denoise"), in the form of the S4 code (`copying`, variable) that Gu and Dao (2023) use with
    `K = 16`, 14 symbols and `L + K = 4096`. Where the symbols stand is drawn without replacement and anew for every
    sequence, so that no fixed delay solves it: what is to be kept must be chosen by what it is. There is no single lag.

    Example:
        With `K = 2`, `L = 3` (blank `-`, marker `:`):

            input   -  c  -  -  a  :  :
            answer  .  .  .  .  .  c  a
    """

    name: ClassVar[str] = "selective_copy"

    items: Annotated[int, Field(ge=1)] = 16
    """`K`, the symbols to be copied."""
    symbols: Annotated[int, Field(ge=2)] = 14
    """The size of their alphabet."""

    def places(self, generator: torch.Generator, batch_size: int) -> Tensor:
        drawn = torch.rand(self.blanks + self.items, batch_size, generator=generator).argsort(0)
        return drawn[: self.items].sort(0).values
