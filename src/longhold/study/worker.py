"""The other end of `longhold.study.workers`: one JSON job per line in, one JSON answer per line out."""

import json
import sys
import traceback
from collections.abc import Callable
from typing import Any, TextIO

import torch

from longhold.study.recall import RecallRun, run_recall, seconds_per_step


def _run(argument: dict[str, Any]) -> dict[str, Any]:
    return run_recall(RecallRun(**argument)).to_json()


def _time(argument: dict[str, Any]) -> float:
    return seconds_per_step(RecallRun(**argument))


FUNCTIONS: dict[str, Callable[[dict[str, Any]], Any]] = {"recall": _run, "recall_seconds_per_step": _time}
"""What a job may name."""


def serve(jobs: TextIO, answers: TextIO) -> None:
    """Answer until the input ends. A function that raises is answered with its traceback."""
    for line in jobs:
        job = json.loads(line)
        try:
            answer = {"result": FUNCTIONS[job["name"]](job["argument"])}
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    torch.set_num_threads(1)
    answers, sys.stdout = sys.stdout, sys.stderr  # so that a stray print cannot break the protocol
    serve(sys.stdin, answers)
