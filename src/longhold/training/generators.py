"""torch's random generators that a model on a device draws from."""

import contextlib
from typing import TypeAlias

import torch
from torch import Tensor

Generators: TypeAlias = dict[str, Tensor]
"""States of torch's generators by device type, `uint8`."""


def generators_of(device: torch.device) -> Generators:
    """Returns the states of the generators that a model on `device` draws from."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def generators_kept(device: torch.device) -> contextlib.AbstractContextManager[None]:
    """Returns a block after which torch's generators, of the CPU and of this device, are as they were before it."""
    devices = [device] if device.type == "cuda" else []
    kept: contextlib.AbstractContextManager[None] = torch.random.fork_rng(devices)
    return kept
