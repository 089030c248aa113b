"""Batches of a token stream, each with an address: `at(step)` depends on the plan, the seed and the step alone."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longhold.errors import InputError

Tokens = NDArray[np.integer]
"""Token ids of a text, shape `(N,)`, any integer type; a memory-mapped array is read only where a batch lies."""

SMALLEST_TEXT = 50
"""Tokens below which `fitting_batch` finds no batch worth training on."""


@dataclass(frozen=True)
class Batch:
    """One step's worth of tokens, time-major."""

    inputs: Tensor
    """The ids that are read, `(T, B)` int64."""
    targets: Tensor
    """The ids that follow them, `(T, B)` int64."""
    fresh: bool
    """Whether the model starts from its initial state; if not, it continues from the state after the previous batch."""


class Batches(ABC):
    """`at(0), at(1), ...`: an endless row of batches in epochs of equal length.

    `tokens` has `N` ids, a batch `steps` of them in each of `batch_size` columns. What is left at the end of an epoch
    and fills no batch is dropped. Raises `InputError` if not even one batch fits.
    """

    def __init__(self, tokens: Tokens, batch_size: int, steps: int, seed: int = 0) -> None:
        _require_plan(batch_size, steps, seed)
        self.tokens = _require_tokens(tokens)
        self.steps = steps
        self.seed = seed
        self._total = batch_size
        self._columns = range(batch_size)
        self.per_epoch = self._count()
        """Batches in an epoch."""
        if self.per_epoch < 1:
            raise InputError(
                f"{len(self.tokens)} tokens are too few for batches of {batch_size} x {steps}: "
                f"that takes {self._least()}; {_advice(len(self.tokens), batch_size, steps)}"
            )

    @property
    def batch_size(self) -> int:
        """Columns of a batch; in a shard its own columns only."""
        return len(self._columns)

    def at(self, step: int) -> Batch:
        """The batch of `step`, counted from 0 over all epochs."""
        epoch, index = divmod(_require_step(step), self.per_epoch)
        starts = self._starts(epoch, index)
        positions = starts[:, None] + np.arange(self.steps + 1)  # (B, T + 1)
        window = np.array(self.tokens[positions].T, dtype=np.int64, order="C")  # (T + 1, B)
        block = torch.from_numpy(window)
        return Batch(block[:-1], block[1:], self._fresh(index))

    def shard(self, rank: int, world: int) -> Self:
        """The same batches restricted to the `rank`-th of `world` equal groups of columns."""
        if world < 1 or not 0 <= rank < world:
            raise InputError(f"rank must be in 0..world - 1, got rank {rank} of world {world}")
        width, rest = divmod(self.batch_size, world)
        if rest:
            raise InputError(f"batch_size must be a multiple of the {world} workers, got {self.batch_size}")
        part = copy.copy(self)
        part._columns = self._columns[rank * width : (rank + 1) * width]
        return part

    @abstractmethod
    def _count(self) -> int:
        """Batches that fit an epoch, whatever its offset."""

    @abstractmethod
    def _least(self) -> int:
        """The smallest `N` for which `_count()` is 1."""

    @abstractmethod
    def _starts(self, epoch: int, index: int) -> NDArray[np.int64]:
        """Where this shard's columns begin in `tokens`, `(B,)`."""

    @abstractmethod
    def _fresh(self, index: int) -> bool:
        """Whether the `index`-th batch of an epoch starts from the initial state."""


@final
class ContiguousBatches(Batches):
    """`batch_size` streams side by side, read from left to right: for truncated back-propagation through time.

    From an offset `o` on, the tokens are cut into `batch_size` rows of `R = (N - o - 1) // batch_size`; batch `k` of an
    epoch holds tokens `k * steps ..` of each row, and only the first batch of an epoch is fresh. `o` is 0, or with
    `random_offset` uniform on `0 .. steps`, drawn for each epoch from `(seed, epoch)`. Every epoch has the number of
    batches that the largest offset leaves, so that a step's epoch is a division; where a smaller offset would have room
    for one batch more, that one is dropped.
    """

    def __init__(self, tokens: Tokens, batch_size: int, steps: int, seed: int = 0, random_offset: bool = False) -> None:
        self.random_offset = random_offset
        self._drawn: tuple[int, int] | None = None
        super().__init__(tokens, batch_size, steps, seed)

    def _count(self) -> int:
        return max(0, self._row(self.steps if self.random_offset else 0)) // self.steps

    def _least(self) -> int:
        return self._total * self.steps + 1 + (self.steps if self.random_offset else 0)

    def _row(self, offset: int) -> int:
        return (len(self.tokens) - offset - 1) // self._total

    def _starts(self, epoch: int, index: int) -> NDArray[np.int64]:
        offset = self._offset(epoch) if self.random_offset else 0
        return offset + np.array(self._columns) * self._row(offset) + index * self.steps

    def _offset(self, epoch: int) -> int:
        # The last epoch's offset is kept: making a generator for every batch would cost as much as the batch.
        if self._drawn is None or self._drawn[0] != epoch:
            self._drawn = epoch, int(_generator(self.seed, epoch).integers(0, self.steps + 1))
        return self._drawn[1]

    def _fresh(self, index: int) -> bool:
        return index == 0


@final
class RandomBatches(Batches):
    """Subsequences of `steps` tokens in random order, each from the initial state.

    From an offset uniform on `0 .. steps - 1` the tokens are cut into neighbouring subsequences, which are shuffled and
    distributed over batches; offset and order are drawn for each epoch from `(seed, epoch)`. Every epoch has the number
    of batches that the largest offset leaves.
    """

    def __init__(self, tokens: Tokens, batch_size: int, steps: int, seed: int = 0) -> None:
        super().__init__(tokens, batch_size, steps, seed)
        self._shuffled: tuple[int, NDArray[np.int64]] | None = None

    def _count(self) -> int:
        return max(0, len(self.tokens) - self.steps) // self.steps // self._total

    def _least(self) -> int:
        return (self._total + 1) * self.steps

    def _starts(self, epoch: int, index: int) -> NDArray[np.int64]:
        starts: NDArray[np.int64] = self._order(epoch)[index * self._total + np.array(self._columns)]
        return starts

    def _order(self, epoch: int) -> NDArray[np.int64]:
        # The last epoch's order is kept: drawing it anew for every batch would cost a pass over all starts.
        if self._shuffled is None or self._shuffled[0] != epoch:
            generator = _generator(self.seed, epoch)
            offset = int(generator.integers(0, self.steps))
            count = (len(self.tokens) - offset - 1) // self.steps
            self._shuffled = epoch, offset + self.steps * generator.permutation(count)
        return self._shuffled[1]

    def _fresh(self, index: int) -> bool:
        return True


def fitting_batch(tokens: Tokens, batch_size: int, steps: int) -> tuple[int, int]:
    """`(batch_size, steps)`, halved as far as a short text needs it to fill a batch of any kind here.

    The batch shrinks to 4 columns before the steps shrink to 8. Raises `InputError` below `SMALLEST_TEXT` tokens.
    """
    _require_plan(batch_size, steps, 0)
    count = len(_require_tokens(tokens))
    if count < SMALLEST_TEXT:
        raise InputError(f"batches need at least {SMALLEST_TEXT} tokens, got {count}")
    return _fit(count, batch_size, steps)


def _fit(count: int, batch_size: int, steps: int) -> tuple[int, int]:
    while (batch_size + 1) * steps + 1 > count:
        if batch_size > 4 or steps <= 8:
            batch_size //= 2
        else:
            steps //= 2
    return batch_size, steps


def _advice(count: int, batch_size: int, steps: int) -> str:
    if count < SMALLEST_TEXT:
        return "no batch fits so short a text"
    fit, fit_steps = _fit(count, batch_size, steps)
    return f"{fit} x {fit_steps} would fit"


def _generator(seed: int, epoch: int) -> np.random.Generator:
    return np.random.default_rng([seed, epoch])


def _require_plan(batch_size: int, steps: int, seed: int) -> None:
    for name, value, least in (("batch_size", batch_size, 1), ("steps", steps, 1), ("seed", seed, 0)):
        if not isinstance(value, int | np.integer) or value < least:
            raise InputError(f"{name} must be an integer of at least {least}, got {value!r}")


def _require_step(step: int) -> int:
    if not isinstance(step, int | np.integer) or step < 0:
        raise InputError(f"step must be an integer of at least 0, got {step!r}")
    return int(step)


def _require_tokens(tokens: Tokens) -> Tokens:
    array = np.asanyarray(tokens)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise InputError(f"tokens must be one row of integers, got shape {array.shape} of {array.dtype}")
    return array
