"""Measurements that need a process of their own: a specification goes in as JSON, a row comes out as JSON."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.machine import ROOT
from benchmarks.store import Row


def in_child(module: str, specification: Mapping[str, Any], *, timeout: float = 600.0) -> Row:
    """What `python -m MODULE` prints for a specification; a child that fails gives a row that says how."""
    import torch

    command = [sys.executable, "-m", module, json.dumps(specification)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        return {**specification, "missing": f"not done after {timeout:.0f} s"}
    if done.returncode != 0:
        words = (done.stderr.strip() or f"ended with {done.returncode}").splitlines()[-1]
        return {**specification, "missing": words}
    found: Row = json.loads(done.stdout.splitlines()[-1])
    return {**specification, **found}


def answer(measure: Callable[..., Row]) -> None:
    """The child's side: call `measure` with the specification's entries and print its row."""
    print(json.dumps(measure(**json.loads(sys.argv[1]))))


def status(field: str) -> int:
    """Bytes of an entry of `/proc/self/status`, such as `VmRSS` or `VmHWM`."""
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    raise ValueError(f"/proc/self/status has no {field}")


def forget_peak() -> None:
    """Let `VmHWM` begin again from what is resident now."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def threads_now() -> int:
    """Threads of this process."""
    return len(os.listdir("/proc/self/task"))
