"""How much memory there is, by a system that is made up, and what is refused for want of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from longhold.errors import InputError
from longhold.models import memory
from longhold.models.language_model import LanguageModelConfig
from longhold.models.memory import free_memory, require_memory, require_memory_to_train

GIGABYTE = 2**30


def machine(root: Path, available: int = 8 * GIGABYTE, swap: int = 0, group: str = "") -> tuple[Path, Path]:
    """The folders in which a system tells."""
    process, groups = root / "proc", root / "cgroup"
    (process / "self").mkdir(parents=True)
    groups.mkdir()
    (process / "meminfo").write_text(
        f"MemTotal: 99999999 kB\nMemAvailable: {available // 1024} kB\nSwapFree: {swap // 1024} kB\nHugePages: 0\n"
    )
    (process / "self" / "status").write_text("Name:\tpython\nVmSize:\t  1024 kB\n")
    (process / "self" / "cgroup").write_text(group)
    return process, groups


def free(places: tuple[Path, Path]) -> int | None:
    return free_memory("cpu", *places)


def limited(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (folder / name.replace("_", ".", 1)).write_text(f"{value}\n")


def test_what_the_machine_has_counts_and_what_it_can_swap(tmp_path: Path) -> None:
    assert free(machine(tmp_path, 3 * GIGABYTE, GIGABYTE)) == 4 * GIGABYTE


def test_a_group_and_those_around_it_count(tmp_path: Path) -> None:
    places = machine(tmp_path, group="0::/batch/job\n")
    limited(places[1] / "batch" / "job", memory_max="max", memory_current=5)
    limited(places[1] / "batch", memory_max=2 * GIGABYTE, memory_current=GIGABYTE, memory_stat="inactive_file 1000")
    assert free(places) == GIGABYTE + 1000
    limited(places[1], memory_max=1000, memory_current=2000)
    assert free(places) == 0


def test_the_first_version_of_groups_counts(tmp_path: Path) -> None:
    places = machine(tmp_path, group="9:cpu,cpuacct:/x\n4:memory:/docker/../x\n")
    limited(places[1] / "memory" / "docker" / "x")
    folder = places[1] / "memory" / "docker"
    (folder / "memory.limit_in_bytes").write_text(f"{3 * GIGABYTE}\n")
    (folder / "memory.usage_in_bytes").write_text(f"{GIGABYTE}\n")
    (places[1] / "memory" / "memory.limit_in_bytes").write_text(f"{2**63 - 4096}\n")
    (places[1] / "memory" / "memory.usage_in_bytes").write_text("1\n")
    assert free(places) == 2 * GIGABYTE


def test_what_cannot_be_made_sense_of_counts_nothing(tmp_path: Path) -> None:
    places = machine(tmp_path, group="nonsense\n::\n0::/gone\n")
    limited(places[1] / "gone", memory_max="", memory_current="many", memory_stat="inactive_file")
    assert free(places) == 8 * GIGABYTE


def test_this_machine_has_some_and_others_are_not_asked() -> None:
    there = free_memory()
    assert there is None or 2**20 < there < 2**50
    assert free_memory("meta") is None


@pytest.mark.skipif(sys.platform != "linux", reason="limits an address space")
def test_a_limit_of_the_process_counts() -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**40, 2**40));"
        "from longhold.models.memory import free_memory, _of_process, _PROCESS; found, = _of_process(_PROCESS);"
        "assert 2**39 < found < 2**40, found; print(free_memory() <= found)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "True\n"


def test_what_takes_more_is_refused_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device: 10**9)
    require_memory(10**9, "this")
    with pytest.raises(InputError, match=r"^this takes at least 2,000\.0 GB of memory, and there are 1\.0 GB$"):
        require_memory(2 * 10**12, "this")
    monkeypatch.setattr(memory, "free_memory", lambda device: None)
    require_memory(10**30, "this")


def test_a_model_is_counted_without_being_made(monkeypatch: pytest.MonkeyPatch) -> None:
    config = LanguageModelConfig(cell="lstm", vocab_size=7, hidden_size=100, num_layers=2)
    count = sum(parameter.numel() for parameter in config.build().parameters())
    asked: list[int] = []
    monkeypatch.setattr(memory, "require_memory", lambda needed, what, device: asked.append(needed))
    require_memory_to_train(config, "it", 5)
    assert asked == [4 * 5 * count]
    monkeypatch.undo()
    largest = LanguageModelConfig(cell="lstm", vocab_size=7, hidden_size=16_000_000)
    with pytest.raises(InputError, match=r"^it, 1,024,000,[0-9,]+ parameters, takes at least"):
        require_memory_to_train(largest, "it", 5, torch.device("cpu"))
