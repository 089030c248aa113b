"""How much memory there is, and a refusal in one line where something would take more.

A system that hands out memory it does not have ends the process when it is used, without a word. So what will be taken
at least is counted first.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import torch

from longhold.errors import InputError
from longhold.models.budget import parameter_count
from longhold.models.model_config import ModelConfig

_PROCESS, _GROUPS = Path("/proc"), Path("/sys/fs/cgroup")
_NUMBER = 4  # bytes of a float32
_UNLIMITED = 2**60  # what the first version of control groups reports where there is no limit is about 2^63


def require_memory(needed: int, what: str, device: torch.device | str = "cpu") -> None:
    """Refuse what takes more memory than there is.

    Args:
        needed: bytes that it takes at least.
        what: what takes them, to begin a sentence with.
        device: where; of others than the CPU and CUDA nothing is known.

    Raises:
        InputError: it takes more.
    """
    there = free_memory(device)
    if there is not None and needed > there:
        raise InputError(f"{what} takes at least {_shown(needed)} of memory, and there are {_shown(there)}")


def require_memory_to_train(config: ModelConfig, what: str, copies: int, device: torch.device | str = "cpu") -> None:
    """`require_memory` for a model of this configuration, of which training keeps `copies` of every weight: itself, its
    gradient, what an optimizer and an average remember."""
    count = parameter_count(config)
    require_memory(_NUMBER * copies * count, f"{what}, {count:,} parameters,", device)


def free_memory(device: torch.device | str = "cpu", process: Path = _PROCESS, groups: Path = _GROUPS) -> int | None:
    """Bytes that this process may still take, by the machine, the limits of the process (`ulimit`) and of the control
    groups that it is in (containers, batch systems); None where neither is reported.

    Args:
        device: of which the memory is.
        process: where the system reports on processes.
        groups: where it reports on control groups.
    """
    kind = torch.device(device).type
    if kind == "cuda" and torch.cuda.is_available():
        return torch.cuda.mem_get_info(device)[0]
    if kind != "cpu":
        return None
    known = (*_of_machine(process), *_of_process(process), *_of_groups(process, groups))
    return max(0, min(known)) if known else None


def _of_machine(process: Path) -> Iterator[int]:
    lines = dict(_table(process / "meminfo"))
    if "MemAvailable:" in lines:
        yield 1024 * (lines["MemAvailable:"] + lines.get("SwapFree:", 0))
    elif hasattr(os, "sysconf") and {"SC_PHYS_PAGES", "SC_PAGE_SIZE"} <= os.sysconf_names.keys():
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _of_process(process: Path) -> Iterator[int]:
    try:
        import resource
    except ModuleNotFoundError:  # there is none on Windows
        return
    taken = 1024 * dict(_table(process / "self" / "status")).get("VmSize:", 0)
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        yield limit - taken


def _of_groups(process: Path, groups: Path) -> Iterator[int]:
    """Of every group that the process is in, and of those around it, in both versions of control groups."""
    for line in _text(process / "self" / "cgroup").splitlines():
        _, controllers, place = [*line.split(":", 2), "", ""][:3]
        if controllers and "memory" not in controllers.split(","):
            continue
        root = groups / "memory" if controllers else groups
        inside = [part for part in place.split("/") if part not in ("", "..")]
        for depth in range(len(inside) + 1):
            yield from _of_group(root.joinpath(*inside[:depth]))


def _of_group(group: Path) -> Iterator[int]:
    statistics = dict(_table(group / "memory.stat"))
    for most, taken, spare in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        limit, used = _text(group / most).strip(), _text(group / taken).strip()
        if limit.isdecimal() and used.isdecimal() and int(limit) < _UNLIMITED:
            yield int(limit) - int(used) + statistics.get(spare, 0)


def _table(path: Path) -> Iterator[tuple[str, int]]:
    """Names and numbers, one pair in a line."""
    for line in _text(path).splitlines():
        words = line.split()
        if len(words) > 1 and words[1].isdecimal():
            yield words[0], int(words[1])


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _shown(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 10**8 else f"{size / 1e6:,.1f} MB"
