"""Data-parallel training under `torchrun`: this process's rank, and what workers agree on."""

import atexit
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, final

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from longhold.errors import InputError

T = TypeVar("T")


@final
@dataclass(frozen=True)
class Workers:
    """The processes that train one model together; by default this one alone, and then nothing is communicated.

    Every method but `main` is collective: all workers call it, in the same order.
    """

    rank: int = 0
    """Number of this process, from 0."""
    world: int = 1
    """How many there are."""

    @property
    def main(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def from_main(self, function: Callable[[], T]) -> T:
        """Call `function` in the main process and give its value to all.

        Raises:
            InputError: in every worker, when the main one raised it.
        """
        if self.world == 1:
            return function()
        answer: list[tuple[T | None, str | None]] = [(None, None)]
        if self.main:
            try:
                answer = [(function(), None)]
            except InputError as error:
                answer = [(None, str(error))]
        dist.broadcast_object_list(answer, src=0)
        value, complaint = answer[0]
        if complaint is not None:
            raise InputError(complaint)
        return value  # type: ignore[return-value]

    def mean(self, values: Sequence[float]) -> list[float]:
        """The mean over workers of each value."""
        if self.world == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(total)
        means: list[float] = (total / self.world).tolist()
        return means

    def largest(self, values: Sequence[float]) -> list[float]:
        """The largest of each value over workers."""
        if self.world == 1:
            return list(values)
        most = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(most, op=dist.ReduceOp.MAX)
        largest: list[float] = most.tolist()
        return largest

    def gather(self, value: T) -> list[T]:
        """Everyone's value, by rank."""
        if self.world == 1:
            return [value]
        gathered: list[T | None] = [None] * self.world
        dist.all_gather_object(gathered, value)
        return gathered  # type: ignore[return-value]

    def wrap(self, objective: nn.Module, *, some_unused: bool) -> nn.Module:
        """The module with gradients averaged over workers in its backward pass.

        Args:
            objective: its forward returns this worker's mean loss first. All workers hold equally many rows, so the
                average of their gradients is the gradient of the whole batch.
            some_unused: whether a forward may leave parameters without gradient.
        """
        if self.world == 1:
            return objective
        return DistributedDataParallel(objective, find_unused_parameters=some_unused)


def join() -> Workers:
    """Join the group that `torchrun` describes in the environment, once per process; alone, there is none to join.

    CPU tensors travel by gloo, and CUDA tensors by NCCL where torch has it. The group is left when Python exits.
    """
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return Workers()
    if not dist.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, store=_store(), rank=rank, world_size=world)
        atexit.register(_leave)
    return Workers(rank, world)


def _leave() -> None:
    """Leave the group, and give its threads the time to free what they carried.

    A thread of gloo frees the tensors of a collective call after that call has returned here, and takes the
    interpreter's lock to do it. Where the interpreter is already ending, asking for the lock kills the process
    (SIGABRT, with all the work done). There is no way to know that a thread is idle, so the lock is released for a
    moment, long beside the microseconds that it needs.
    """
    dist.destroy_process_group()
    time.sleep(0.2)


def _store() -> "dist.Store | None":  # type: ignore[name-defined]
    """Where workers find each other; None leaves that to torch.

    torchrun (2.13) serves one store for all lives of a group, and torch uses the same names in each, so that a worker
    started again may be sent to the address of a dead one. On one machine the number of the life keeps them apart. On
    several, whose torchruns count lives separately, TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 makes a new store.
    """
    environment = os.environ
    if environment.get("TORCHELASTIC_USE_AGENT_STORE") != "True" or environment.get("GROUP_WORLD_SIZE") != "1":
        return None
    shared = dist.TCPStore(environment["MASTER_ADDR"], int(environment["MASTER_PORT"]), is_master=False)  # type: ignore[attr-defined]
    life = f"life {environment['TORCHELASTIC_RESTART_COUNT']}"
    return dist.PrefixStore(life, shared)  # type: ignore[attr-defined]


def is_main() -> bool:
    """Whether this process is the one that writes and prints, by the environment; joins nothing."""
    return int(os.environ.get("RANK", "0")) == 0


def local_device(name: str) -> torch.device:
    """The device of this worker: for `"cuda"` under `torchrun` the one that `LOCAL_RANK` numbers.

    Raises:
        InputError: torch does not know the device, or does not have it.
    """
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        raise InputError(f"device {name!r}: expected cpu, cuda, cuda:0, mps ...") from None
    if device.type == "cuda":
        index = device.index if device.index is not None else int(os.environ.get("LOCAL_RANK", "0"))
        if index >= torch.cuda.device_count():
            raise InputError(f"device {name!r}: this torch sees {torch.cuda.device_count()} CUDA device(s)")
        return torch.device("cuda", index)
    if device.type == "meta":
        raise InputError("device 'meta' holds no numbers to train: expected cpu, cuda, cuda:0, mps ...")
    return device
