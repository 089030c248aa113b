"""Kill a training process at random moments, let it go on, and compare with the one never killed, bit for bit.

python -m tests.training.kill_and_resume [--kills 20] [--seed 0]
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import re
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


def wait_for_step(process: subprocess.Popen[str], folder: Path, step: int) -> None:
    """Until the process has the run open (its lock names it) and its metrics have come to `step`, or it is over."""
    lock = folder / "lock"
    while process.poll() is None:
        if lock.exists() and lock.read_text() == str(process.pid) and logged_step(folder) >= step:
            return
        time.sleep(0.002)


def logged_step(folder: Path) -> int:
    """The step of the last line of the metrics, 0 where there is none; the file may be written to while it is read."""
    path = folder / "metrics.jsonl"
    lines = re.findall(r'^\{"step": (\d+),.*\}$', path.read_text(), re.MULTILINE) if path.exists() else []
    return int(lines[-1]) if lines else 0


def saved_step(folder: Path) -> int:
    """The step of the checkpoint in a folder, 0 where there is none."""
    path = folder / "checkpoint.safetensors"
    return int(read_model(path)[1]["counters"]["step"]) if path.exists() else 0


def train_with_kills(folder: Path, moments: random.Random, kills: int) -> list[int]:
    """Train to the end through up to `kills` SIGKILLs; the step of the checkpoint that each one left.

    Each comes a random time after a random step. There are fewer where a process was over sooner.
    """
    left: list[int] = []
    for remaining in range(kills, 0, -1):
        begun = saved_step(folder)
        process = start(folder, "--checkpoint-seconds", "0.02")
        wait_for_step(process, folder, begun + moments.randint(0, (STEPS - begun) // (remaining + 1)))
        time.sleep(moments.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if process.returncode != -signal.SIGKILL:
            return left
        left.append(saved_step(folder))
    finish(start(folder, "--checkpoint-seconds", "0.02"))
    return left


def compare(folder: Path, whole: Path, kills: int, seed: int) -> list[int]:
    """`kills` SIGKILLs over as many runs as that takes; raises unless each run ends as `whole` did."""
    moments = random.Random(seed)
    left: list[int] = []
    for attempt in itertools.count():
        part = folder / f"parts-{attempt}"
        left += train_with_kills(part, moments, min(KILLS_PER_RUN, kills - len(left)))
        assert_same_run(whole, part)
        if len(left) >= kills:
            return left
    raise AssertionError("unreachable")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        finish(start(whole))
        left = compare(Path(folder), whole, given.kills, given.seed)
    print(f"{given.kills} kills, each run bit-identical to the one never killed")
    print(f"steps of {STEPS} that the checkpoints held when the process was killed: {left}")


if __name__ == "__main__":
    main()
