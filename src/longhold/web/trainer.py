"""One training at a time for the page, in a process of its own, and what is known of it while it runs."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Literal, final

from longhold.data import Corpus
from longhold.errors import InputError
from longhold.options import Cell
from longhold.text import load
from longhold.web.model_session import ModelSession, numeral
from longhold.web.training_worker import TrainingRequest

MOST_MODELS = 12
"""Models that are open at a time, those trained here included."""

_POINTS = 400  # of the curve of the training loss: more would not show
_COMMAND = (sys.executable, "-P", "-m", "longhold.web.training_worker")
_STOP = b"stop\n"
_PATIENCE = 10.0  # seconds for a training to keep its best when the server ends

_ENDING = ("diagnosis", "best", "words", "words_unit", "early")
TrainingState = Literal["starting", "running", "stopping", "done", "stopped", "failed"]
Answer = dict[str, Any]


@final
@dataclass
class Training:
    """What is known of one training; bits are per character."""

    name: str
    """what its text is called"""
    cell: str
    """its recurrence"""
    state: TrainingState = "starting"
    """where it is"""
    version: int = 0
    """grows with every change"""
    now: Answer = field(default_factory=dict)
    """the last report: step, steps, seconds, left, rate, diagnosis, and at the end best, words and their unit, early"""
    training: list[tuple[int, float | None]] = field(default_factory=list)
    """step and smoothed training bits"""
    held_out: list[tuple[int, float | None]] = field(default_factory=list)
    """step and held-out bits, an entry for each evaluation that changed them"""
    samples: list[tuple[int | None, str]] = field(default_factory=list)
    """step and what the model wrote; no step: the model that was kept"""
    error: str = ""
    """the line for the person, where it failed"""
    model: int | None = None
    """number of the model that came of it"""

    @property
    def over(self) -> bool:
        """Whether nothing more will change."""
        return self.state in ("done", "stopped", "failed")

    def report(self, event: Answer) -> None:
        """Take what the process reports."""
        step, steps = event["step"], event["steps"]
        if self.state == "starting":
            self.state = "running"
        if not self.training or step - self.training[-1][0] >= steps / _POINTS or step == steps:
            self.training.append((step, numeral(event["training"])))
        held_out = event["held_out"]
        if held_out is not None and (not self.held_out or self.held_out[-1][1] != numeral(held_out)):
            self.held_out.append((step, numeral(held_out)))
        if event["sample"]:
            self.samples.append((step, event["sample"]))
        self.now = {name: event[name] for name in ("step", "steps", "seconds", "left", "rate", "diagnosis")}
        self.version += 1

    def as_answer(self, after: tuple[int, int, int] = (0, 0, 0)) -> Answer:
        """Returns all of it, of the three lists what comes after so many entries."""
        return {
            "name": self.name,
            "cell": self.cell,
            "state": self.state,
            "error": self.error,
            "model": self.model,
            **self.now,
            "training": self.training[after[0] :],
            "held_out": self.held_out[after[1] :],
            "samples": self.samples[after[2] :],
        }

    def end(self, event: Answer) -> None:
        """Take the last event of the process."""
        if event.get("sample"):
            self.samples.append((None, event["sample"]))
        self.now |= {name: event[name] for name in _ENDING if name in event}
        self.error, self.state = event.get("error", ""), event["state"]
        self.version += 1

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many entries the three lists have."""
        return len(self.training), len(self.held_out), len(self.samples)


@final
class Trainer:
    """Starts trainings, follows them, and adds the trained models to the session.

    Attributes:
        device: where they run.
        training: the newest of them; None where there was none.
    """

    def __init__(self, session: ModelSession, folder: Path | None = None, device: str = "cpu") -> None:
        """Train on `device`.

        Args:
            session: what the models join.
            folder: where the model files are kept; None: with the server's temporary files.
            device: where to train, and where the models live then.
        """
        self._session, self._folder, self.device = session, folder, device
        self._scratch: Path | None = None
        self._process: _Process | None = None
        self._listener: threading.Thread | None = None
        self._files: dict[int, Path] = {}
        self._count = 0
        self._closed = False
        self.training: Training | None = None

    @property
    def closed(self) -> bool:
        """Whether the server is about to end."""
        return self._closed

    def start(self, corpus: Corpus, name: str, cell: Cell, seconds: float | None) -> Training:
        """Begin to train.

        Raises:
            InputError: a training runs, or too many models are open.
        """
        if self._closed:
            raise InputError("the server is about to end")
        if self.training is not None and not self.training.over:
            raise InputError("one training at a time: cancel the one that is running first")
        if len(self._session.names) >= MOST_MODELS:
            raise InputError(f"{MOST_MODELS} models are open: end the server and start it again to train another")
        self._count += 1
        text = bytes(corpus.held.utf8)
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="longhold-ui-"))
        scratch = self._scratch / str(self._count)
        scratch.mkdir()
        request = TrainingRequest(
            bytes=len(text),
            name=name,
            cell=cell,
            budget_seconds=seconds,
            device=self.device,
            scratch=str(scratch),
            output=str(_unused(self._folder or self._scratch)),
        )
        self._process = process = _Process()
        self.training = training = Training(self._new_name(name), cell)
        self._listener = threading.Thread(
            target=self._follow, args=(training, process, request, text), daemon=True, name="longhold training"
        )
        self._listener.start()
        return training

    def stop(self) -> None:
        """End the training with the best so far; nothing happens where none runs."""
        training, process = self.training, self._process
        if training is None or process is None or training.state not in ("starting", "running"):
            return
        training.state = "stopping"
        training.version += 1
        process.stop()

    def leave(self) -> None:
        """Let event streams end and begin nothing more: the server is about to end."""
        self._closed = True

    def close(self) -> None:
        """End the training and take the temporary files away; a folder that was named gets the best so far."""
        self.leave()
        process, listener = self._process, self._listener
        if process is not None and listener is not None and listener.is_alive():
            if self._folder is not None:
                self.stop()
                listener.join(_PATIENCE)
            process.kill()
            listener.join(_PATIENCE)
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def file(self, model: int) -> Path:
        """The file of a model that was trained here.

        Raises:
            InputError: it wasn't, or the file is gone.
        """
        found = self._files.get(model)
        if found is None or not found.is_file():
            raise InputError(f"model {model} was not trained here, so there is no file of it to give")
        return found

    def _new_name(self, name: str) -> str:
        names = (name, *(f"{name} {n}" for n in range(2, MOST_MODELS + 2)))
        return next(each for each in names if each not in self._session.names)

    def _follow(self, training: Training, process: "_Process", request: TrainingRequest, text: bytes) -> None:
        """Send the request and take in what comes back; runs in a thread of its own."""
        ended: Answer = {"state": "failed", "kept": False, "error": "the training broke off; the terminal says why"}
        try:
            process.request(request.model_dump_json().encode() + b"\n" + text)
            for event in process.events():
                if "progress" in event:
                    training.report(event["progress"])
                else:
                    ended = event["end"]
                    break
            if ended["kept"]:
                training.model = self._session.add(training.name, load(request.output, device=self.device))
                self._files[training.model] = Path(request.output)
        except InputError as error:
            ended = {"state": "failed", "error": str(error)}
        finally:
            process.end()
            shutil.rmtree(request.scratch, ignore_errors=True)
            training.end(ended)


def _unused(folder: Path) -> Path:
    """A model file that is not there yet; its name is ours, whatever the text is called."""
    return next(path for n in count(1) if not os.path.lexists(path := folder / f"trained-{n}.safetensors"))


@final
class _Process:
    """The process that trains, seen from here."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in the terminal is for the server, which then says what is to be done
        )
        self._writing = threading.Lock()
        self._requested = self._stopped = False

    def request(self, request: bytes) -> None:
        self._send(request)
        with self._writing:
            self._requested = True
            if self._stopped:
                self._send(_STOP)

    def stop(self) -> None:
        """Tell it to stop, at once or after its request."""
        with self._writing:
            self._stopped = True
            if self._requested:
                self._send(_STOP)

    def events(self) -> Iterator[Answer]:
        assert self._process.stdout is not None
        return (json.loads(line) for line in self._process.stdout if line.endswith(b"\n"))

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> None:
        """Let go of it: what it had to do is done, and to end by itself it would take seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.kill()
        with contextlib.suppress(OSError):  # closing flushes, and it may be gone
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it is gone, which its events show
            self._process.stdin.write(data)
            self._process.stdin.flush()
