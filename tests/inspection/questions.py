"""Test batches for one symbol asked for after a known number of steps, and models small enough to work by hand."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Asked(NamedTuple):
    inputs: Tensor
    targets: Tensor
    mask: Tensor


def one_symbol(symbols: int, sequences: int, seed: int = 0, noise: int = 100_000) -> Callable[[int], list[Asked]]:
    """At lag L: a symbol, then L noise ids, asked for at the last of them."""

    def at(lag: int) -> list[Asked]:
        generator = torch.Generator().manual_seed(1000 * seed + lag)
        inputs = symbols + torch.randint(noise, (lag + 1, sequences), generator=generator)
        inputs[0] = torch.randint(symbols, (sequences,), generator=generator)
        mask = torch.zeros(lag + 1, sequences, dtype=torch.bool)
        mask[-1] = True
        return [Asked(inputs, inputs[0].expand_as(inputs), mask)]

    return at
