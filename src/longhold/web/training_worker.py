"""The process that trains for the page: one request in, lines of JSON out, until it is done, stopped or left alone.

Standard input holds a line of JSON (a `TrainingRequest`), the text, and later the line `stop`, which ends the training
with the best weights so far. Where standard input ends the server is gone, and this process removes its temporary files
and ends.
"""

import _thread
import json
import math
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, final

from pydantic import Field

from longhold.config import Config
from longhold.data import Corpus
from longhold.errors import InputError
from longhold.options import Cell
from longhold.text import train
from longhold.training import Progress
from longhold.training.recipe import TrainedText

_POLITENESS = 5  # so that the page stays quick on a machine with few cores
_SAMPLE = 1200  # characters

Event = dict[str, Any]


@final
class TrainingRequest(Config):
    """What is to be trained; the text follows."""

    bytes: int = Field(ge=1)
    """length of the text in UTF-8"""
    name: str
    """what the text is called"""
    cell: Cell
    """the recurrence"""
    budget_seconds: float | None = Field(default=None, gt=0)
    """time for the training; None: what suits the text"""
    device: str
    """where it trains"""
    scratch: str
    """folder that is this process's own, and gone with it"""
    output: str
    """the model file"""


def main() -> None:
    """Run the request on standard input."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a server in the background hands down that it is ignored
    if hasattr(os, "nice"):
        os.nice(_POLITENESS)
    emit = _event_writer()
    with open(0, "rb", buffering=0, closefd=False) as source:
        request = TrainingRequest(**json.loads(source.readline()))
        text = _exactly(source, request.bytes).decode()

        def listen(over: threading.Event) -> None:
            threading.Thread(target=_listen, args=(source, over, Path(request.scratch)), daemon=True).start()

        emit({"end": _trained(request, text, emit, listen)})


def _trained(
    request: TrainingRequest, text: str, emit: Callable[[Event], None], listen: Callable[[threading.Event], None]
) -> Event:
    """Train; `listen` gets the event that is set after the last step, and may interrupt until then."""
    ended: list[TrainedText] = []
    output, over = Path(request.output), threading.Event()

    def report(progress: Progress) -> None:
        if progress.eta_seconds == 0:
            over.set()
        emit({"progress": _progress(progress)})

    try:
        listen(over)
        train(
            Corpus(request.name, text, "utf-8", 1, ()),
            budget=request.budget_seconds,
            cell=request.cell,
            device=request.device,
            output=output,
            folder=Path(request.scratch, "run"),
            on_progress=report,
            on_trained=ended.append,
        )
    except KeyboardInterrupt:  # `Interrupted` is one
        return {"state": "stopped", "kept": output.exists()}
    except InputError as error:
        return {"state": "failed", "kept": False, "error": str(error)}
    return {"state": "done", "kept": True, **_outcome(ended[0])}


def _progress(progress: Progress) -> Event:
    bits = 1 / math.log(2) / progress.characters_per_token
    return {
        "step": progress.step,
        "steps": progress.steps,
        "training": progress.smoothed * bits,
        "held_out": None if progress.held_out is None else progress.held_out * bits,
        "seconds": progress.seconds,
        "left": progress.eta_seconds,
        "rate": progress.tokens_per_second * progress.characters_per_token,
        "sample": None if progress.sample is None else progress.sample[:_SAMPLE],
        "diagnosis": progress.diagnosis,
    }


def _outcome(trained: TrainedText) -> Event:
    return {
        "sample": (trained.sample or "")[:_SAMPLE],
        "diagnosis": None if trained.diagnosis is None else trained.diagnosis.kind,
        "best": trained.held_out_bits,
        "words": None if trained.words is None else trained.words.fraction,
        "words_unit": None if trained.words is None else trained.words.unit,
        "early": trained.result.stopped_early,
    }


def _event_writer() -> Callable[[Event], None]:
    """Writes events where standard output was; what anything else prints goes to standard error."""
    events = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)

    def emit(event: Event) -> None:
        events.write(json.dumps(event) + "\n")
        events.flush()

    return emit


def _exactly(source: IO[bytes], count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = source.read(count - len(parts))
        if not part:
            sys.exit(1)
        parts += part
    return bytes(parts)


def _listen(source: IO[bytes], over: threading.Event, scratch: Path) -> None:
    """Wait for `stop`, which a training that has taken its last step no longer needs, and for the end of the server."""
    while source.readline():
        if not over.is_set():
            _thread.interrupt_main()
    shutil.rmtree(scratch, ignore_errors=True)
    os._exit(1)


if __name__ == "__main__":
    main()
