"""What a figure belongs to: processor, threads, versions, the state of the source, and what else the machine did."""

import datetime
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def facts() -> dict[str, Any]:
    """Everything that decides a figure and does not change while the program runs; no host name."""
    import numpy
    import torch

    import longhold
    from longhold.kernels.extension import loaded, why_missing

    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "instruction_set": why_missing() or loaded().instruction_set(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "longhold": longhold.__version__,
        "commit": commit(),
    }


def processor() -> str:
    """The processor's own name."""
    path = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", path.read_text(), re.MULTILINE) if path.exists() else None
    return found.group(1).strip() if found else platform.processor() or platform.machine()


def commit() -> str:
    """The commit of the source, with a plus where files differ from it; empty outside of a repository."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--exclude=*"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def name(machine: dict[str, Any]) -> str:
    """A file name for a machine, such as `cpu-amd-epyc-2-threads`."""
    words = re.sub(r"[^a-z0-9]+", "-", str(machine["processor"]).lower()).strip("-")
    return f"cpu-{words}-{machine['threads']}-threads"


def load() -> float:
    """Processes that wanted to run during the last minute, on average."""
    return os.getloadavg()[0]


def now() -> str:
    """The time, to the minute, in UTC."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
