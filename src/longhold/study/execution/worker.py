"""The other end of `longhold.study.execution.workers`: one JSON job per line in, one JSON answer per line out."""

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, TextIO

import torch

from longhold.errors import InputError
from longhold.study.rows.spec import TrialSpec
from longhold.study.trial.trial import StepTime, run_trial, step_time


def _trial(argument: dict[str, Any]) -> dict[str, Any]:
    return run_trial(TrialSpec(**argument)).to_json()


def _step_time(argument: dict[str, Any]) -> StepTime:
    return step_time(TrialSpec(**argument))


FUNCTIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "trial": _trial,
    "step_time": _step_time,
}
"""What a job may name."""

_WATCH_SECONDS = 0.5


def serve(jobs: TextIO, answers: TextIO) -> None:
    """Answer until the input ends. What a function refuses is answered with its line, a bug with its traceback."""
    for line in jobs:
        job = json.loads(line)
        try:
            answer = {"result": FUNCTIONS[job["name"]](job["argument"])}
        except InputError as error:
            answer = {"refused": str(error)}
        except MemoryError:
            answer = {"refused": "a run takes more memory than there is"}
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def end_with(parent: int) -> None:
    """End this process once `parent` is not its parent any more, even in the middle of a run; watched by a thread."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    end_with(int(sys.argv[1]))
    torch.set_num_threads(1)
    answers, sys.stdout = sys.stdout, sys.stderr  # so that a stray print cannot break the protocol
    serve(sys.stdin, answers)
