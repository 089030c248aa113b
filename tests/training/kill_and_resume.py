"""Kill a training process at random moments, let it go on, and compare with the one never killed, bit for bit.

python -m tests.training.kill_and_resume [--kills 20] [--seed 0]
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from longhold.models.file import read_model
from tests.training.program import assert_same_run

ROOT = Path(__file__).parents[2]
STEPS = 400
KILLS_PER_RUN = 3


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    """The program of `tests.training.program` as a process, on one thread."""
    command = [sys.executable, "-m", "tests.training.program", str(folder), "--steps", str(STEPS), *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str], expected: int = 0) -> str:
    """Wait for a process, check its exit code and give its output."""
    output, errors = process.communicate(timeout=120)
    if process.returncode != expected:
        raise RuntimeError(f"exit code {process.returncode}, expected {expected}\n{output}\n{errors}")
    return output


def wait_until_training(process: subprocess.Popen[str], folder: Path) -> None:
    """Until the process has the run open: it cuts the metrics back and its lock names it."""
    lock = folder / "lock"
    while process.poll() is None:
        if lock.exists() and lock.read_text() == str(process.pid):
            return
        time.sleep(0.002)


def saved_step(folder: Path) -> int:
    """The step of the checkpoint in a folder, 0 where there is none."""
    path = folder / "checkpoint.safetensors"
    return int(read_model(path)[1]["counters"]["step"]) if path.exists() else 0


def baseline(folder: Path) -> float:
    """Train without interruption; the seconds that it took between opening the run and its end."""
    process = start(folder, "--checkpoint-seconds", "0.02")
    wait_until_training(process, folder)
    began = time.perf_counter()
    finish(process)
    return time.perf_counter() - began


def train_with_kills(folder: Path, moments: random.Random, kills: int, seconds: float) -> list[int]:
    """Train to the end through `kills` SIGKILLs; the step of the checkpoint that each one left."""
    left = []
    for _ in range(kills):
        process = start(folder, "--checkpoint-seconds", "0.02")
        wait_until_training(process, folder)
        time.sleep(moments.uniform(0, seconds / kills))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if process.returncode != -signal.SIGKILL:
            raise RuntimeError("the run was over before it could be killed: too few steps")
        left.append(saved_step(folder))
    finish(start(folder, "--checkpoint-seconds", "0.02"))
    return left


def compare(folder: Path, whole: Path, kills: int, seed: int, seconds: float) -> list[int]:
    """`kills` SIGKILLs over as many runs as that takes; raises unless each ends as `whole`, which took `seconds`."""
    moments = random.Random(seed)
    left: list[int] = []
    while len(left) < kills:
        part = folder / f"parts-{len(left)}"
        left += train_with_kills(part, moments, min(KILLS_PER_RUN, kills - len(left)), 0.9 * seconds)
        assert_same_run(whole, part)
    return left


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seconds = baseline(Path(folder) / "whole")
        left = compare(Path(folder), Path(folder) / "whole", given.kills, given.seed, seconds)
    print(f"{given.kills} kills, each run bit-identical to the one never killed")
    print(f"steps of {STEPS} that the checkpoints held when the process was killed: {left}")


if __name__ == "__main__":
    main()
