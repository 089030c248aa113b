"""Where something ran: one value that stands beside every figure."""

import os
import platform
from dataclasses import dataclass
from typing import Self, final

import torch

from longhold._version import __version__
from longhold.training.presets import available_cores


@final
@dataclass(frozen=True)
class Machine:
    """Where it ran; no host name, no user, no path."""

    system: str
    """Operating system and instruction set."""
    processor: str
    """The processor's model, where the system tells it."""
    cores: int
    """Cores that the process could use."""
    python: str
    """Python's version."""
    torch: str
    """torch's version."""
    longhold: str
    """longhold's version."""

    @classmethod
    def here(cls) -> Self:
        """This machine."""
        return cls(
            system=f"{platform.system()} {platform.machine()}",
            processor=_processor(),
            cores=available_cores(),
            python=platform.python_version(),
            torch=str(torch.__version__),
            longhold=__version__,
        )


def _processor() -> str:
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"
