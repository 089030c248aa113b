"""A run lives in a folder: its plan, its checkpoint, its metrics, and a lock while a process works there."""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, final

from pydantic import JsonValue
from torch import Tensor

from longhold.documents import LONG_DIGITS, LONGEST, parse_json, read_text
from longhold.errors import InputError
from longhold.files import TEMPORARY, Kind, StrPath, beginning, make_folder, require_folder, write_file
from longhold.models.file import file_kind, read_document, read_model, write_model
from longhold.training.checkpoint import Counters, counters_of
from longhold.training.config import TrainConfig, digest
from longhold.training.metrics import Entry, JsonLines, TensorBoard, entry_of

Saved: TypeAlias = tuple[dict[str, Tensor], dict[str, Any]]
"""A checkpoint as it is in its file: tensors by name and the document beside them."""

Flat: TypeAlias = Mapping[str, Any]
"""A plan as one table, with names such as `training.lr`."""

_MODEL_SUFFIX = ".safetensors"


def run_folder(output: StrPath) -> Path:
    """Where the run of a model file lives, beside it and of no other: `NAME.run` for `NAME.safetensors`, `NAME-run` for
    any other `NAME`."""
    path = Path(output)
    stem = path.name.removesuffix(_MODEL_SUFFIX)
    return path.parent / (f"{stem}.run" if stem not in ("", path.name) else f"{path.name}-run")


def _is_plan(file: BinaryIO) -> bool:
    return _plan(file.read()) is not None


def _is_lock(file: BinaryIO) -> bool:
    number = file.read(_LONGEST_NUMBER + 1)
    return number.isdigit() and len(number) <= _LONGEST_NUMBER


_LONGEST_NUMBER = 20  # digits of a process id
_KINDS = {
    "checkpoint.safetensors": file_kind("checkpoint"),
    "metrics.jsonl": beginning("metrics of a run of longhold", b'{"step": '),
    "lock": Kind("the lock of a run of longhold", _is_lock),
}
_PLAN = Kind("the plan of a run of longhold", _is_plan)


@final
class Run:
    """The folder of one training run.

        plan.json                what is trained: the caller's facts and the training configuration
        checkpoint.safetensors   where it stands
        metrics.jsonl            what was measured so far
        tensorboard/             the same for TensorBoard, on request
        lock                     held by the process that works here; a killed process holds nothing

    Making a `Run` touches nothing; `longhold.training.train` opens it.
    """

    def __init__(
        self,
        folder: str | Path,
        facts: Mapping[str, JsonValue] | None = None,
        *,
        tensorboard: bool = False,
        refusal: Callable[[Path, Flat, Flat], str] | None = None,
    ) -> None:
        """Name a folder that exists or will.

        Args:
            folder: where the run lives.
            facts: what else decides the numbers and must be the same on resume: data digest, model configuration ...
            tensorboard: also write event files.
            refusal: gives the line for a folder with another plan, from the plan there and the one here; None: one
                that names what differs.
        """
        self.folder = Path(folder)
        self.facts = dict(facts or {})
        self.tensorboard = tensorboard
        self._refusal = refusal or _other_plan
        self._metrics: JsonLines | None = None
        self._board: TensorBoard | None = None
        self._plan_digest = ""

    @property
    def checkpoint_path(self) -> Path:
        """The checkpoint's file."""
        return self.folder / "checkpoint.safetensors"

    @property
    def metrics_path(self) -> Path:
        """The metrics' file."""
        return self.folder / "metrics.jsonl"

    @property
    def plan_path(self) -> Path:
        """The plan's file."""
        return self.folder / "plan.json"

    def stored_plan(self) -> dict[str, Any] | None:
        """The plan in the folder, `{"facts": ..., "training": ...}`, or None where nothing was started.

        Raises:
            InputError: the file cannot be read or is not a plan.
        """
        if not os.path.lexists(self.plan_path):
            return None
        plan = _plan(read_text(self.plan_path, LONGEST))
        if plan is None:
            raise InputError(f"{self.plan_path} is not a plan: it was edited; start over in another folder")
        return plan

    def require_ours(self) -> None:
        """Refuse a folder that a run could not be written in, or whose files are not those of a run.

        Raises:
            InputError: one line with the reason.
        """
        require_folder(self.folder, {self.plan_path.name: _PLAN}, overwrite=True)
        self.stored_plan()
        require_folder(self.folder, _KINDS)
        if self.tensorboard and self.folder.is_dir():
            require_folder(self.folder / "tensorboard", {})

    @contextlib.contextmanager
    def opened(self, config: TrainConfig) -> Iterator[Saved | None]:
        """Take the folder for this process and give what is to be resumed, or None for a run that begins.

        Raises:
            InputError: another process works here, the folder holds a run with another plan, or a file is damaged.
        """
        self.require_ours()
        make_folder(self.folder)
        with _locked(self.folder / "lock"):
            for left in self.folder.glob(TEMPORARY):  # of a process killed while it was writing
                if left.is_file():
                    left.unlink()
            self._agree(config)
            saved = read_model(self.checkpoint_path) if self.checkpoint_path.exists() else None
            if saved is not None:
                self._check(saved)
            position = saved[1]["metrics_bytes"] if saved is not None else 0
            step = counters_of(saved[1]).step if saved is not None else 0
            with contextlib.ExitStack() as stack:
                self._metrics = JsonLines(self.metrics_path, position)
                stack.callback(self._metrics.close)
                if self.tensorboard:
                    self._board = TensorBoard(self.folder / "tensorboard", step)
                    stack.callback(self._board.close)
                yield saved
        self._metrics = self._board = None

    def entries(self) -> list[dict[str, float]]:
        """What was measured up to the checkpoint, a line of the metrics each.

        What was written after it, or by half, is cut off when the run resumes, and a line that is no entry is
        skipped: the run depends on none of them.
        """
        if not self.checkpoint_path.exists():
            return []
        position = read_document(self.checkpoint_path).get("metrics_bytes")
        if type(position) is not int or position < 0:
            return []
        try:
            with open(self.metrics_path, "rb") as file:
                kept = file.read(min(position, os.fstat(file.fileno()).st_size))
            return list(filter(None, map(entry_of, kept.splitlines())))
        except OSError:
            return []

    def unfinished(self) -> bool:
        """Whether the folder has a checkpoint of a run that is not over.

        Raises:
            InputError: the checkpoint cannot be read.
        """
        if not self.checkpoint_path.exists():
            return False
        return not counters_of(read_model(self.checkpoint_path)[1]).finished

    def kept(self) -> tuple[dict[str, Tensor], Counters]:
        """The weights that the run would end with if it ended at its checkpoint, and the counters there.

        Raises:
            InputError: there is no checkpoint, or it cannot be read.
        """
        tensors, document = read_model(self.checkpoint_path)
        best = {name.removeprefix("best/"): value for name, value in tensors.items() if name.startswith("best/")}
        last = {name.removeprefix("model/"): value for name, value in tensors.items() if name.startswith("model/")}
        return best or last, counters_of(document)

    def discard(self) -> None:
        """Take checkpoint, metrics and plan away, so that another run can begin in the folder.

        Raises:
            InputError: another process works here.
        """
        if not self.folder.is_dir():
            return
        with _locked(self.folder / "lock"):
            for path in (self.checkpoint_path, self.metrics_path, self.plan_path):
                path.unlink(missing_ok=True)

    def forget(self) -> None:
        """Take the checkpoint away, so that nothing binds the next run in the folder; the run must be open."""
        self.checkpoint_path.unlink(missing_ok=True)

    def log(self, entry: Entry) -> None:
        """Append one log event to the metrics; the run must be open."""
        if self._metrics is None:
            raise RuntimeError("the run is not open")
        self._metrics.write(entry)
        if self._board is not None:
            self._board.write(entry)

    def save(self, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> None:
        """Replace the checkpoint, atomically; the run must be open.

        Raises:
            InputError: it cannot be written; the checkpoint before stays.
        """
        if self._metrics is None:
            raise RuntimeError("the run is not open")
        position = self._metrics.position()
        facts = {"kind": "checkpoint", "plan_sha256": self._plan_digest, "metrics_bytes": position}
        write_model(self.checkpoint_path, tensors, {**document, **facts})

    def _agree(self, config: TrainConfig) -> None:
        plan: dict[str, JsonValue] = {"facts": self.facts, "training": config.plan()}
        plan = json.loads(json.dumps(plan))  # as it will be read back: tuples are lists
        self._plan_digest = digest(plan)
        stored = self.stored_plan()
        if stored is None and self.checkpoint_path.exists():
            raise InputError(f"{self.folder} has a checkpoint but no plan.json: start over in another folder")
        other = stored is not None and digest(stored) != self._plan_digest
        if other and self._diverged():
            self.forget()
        if stored is None or not self.checkpoint_path.exists():  # a plan that nothing was saved for binds no one
            written = (json.dumps(plan, indent=2, ensure_ascii=False) + "\n").encode()
            write_file(self.plan_path, written, _PLAN)
        elif other:
            raise InputError(self._refusal(self.folder, _flat(stored), _flat(plan)))

    def _diverged(self) -> bool:
        return self.checkpoint_path.exists() and counters_of(read_model(self.checkpoint_path)[1]).diverged

    def _check(self, saved: Saved) -> None:
        document = saved[1]
        if document["kind"] != "checkpoint" or document.get("plan_sha256") != self._plan_digest:
            raise InputError(f"{self.checkpoint_path} does not belong to the plan beside it: start over elsewhere")
        position = document.get("metrics_bytes")
        if type(position) is not int or position < 0:
            raise InputError(f"{self.checkpoint_path} was edited: metrics_bytes is {position!r:.40}")


def _plan(text: bytes | str) -> dict[str, Any] | None:
    """A stored plan; None for what is none."""
    try:
        plan = parse_json(text, "no plan", LONG_DIGITS)
    except InputError:
        return None
    whole = isinstance(plan, dict) and all(isinstance(plan.get(key), dict) for key in ("facts", "training"))
    return plan if whole else None


def _other_plan(folder: Path, there: Flat, here: Flat) -> str:
    names = sorted(name for name in there.keys() | here.keys() if there.get(name) != here.get(name))
    shown = [f"{name} is {_show(there, name)} there and {_show(here, name)} here" for name in names[:4]]
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return (
        f"{folder} holds a run with another plan: {', '.join(shown)}{more}; "
        "give the same settings to resume, or start over in another folder (or delete this one)"
    )


def _show(plan: Flat, name: str) -> str:
    text = json.dumps(plan[name], ensure_ascii=True) if name in plan else "absent"
    return text if len(text) <= 40 else text[:37] + "..."


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that the system drops with the process, however it ends.

    Raises:
        InputError: another process holds it.
    """
    try:
        handle = open(path, "a+b")  # noqa: SIM115 - closed below
    except OSError as error:
        raise InputError(f"cannot write in the run folder {path.parent}: {error.strerror or error}") from None
    with handle:
        try:
            _take(handle)
        except OSError:
            holder = _holder(path)
            raise InputError(f"{path.parent} is in use by another process{holder}: wait for it, or stop it") from None
        handle.truncate(0)
        handle.write(str(os.getpid()).encode())
        handle.flush()
        yield


if sys.platform == "win32":
    import msvcrt

    def _take(handle: BinaryIO) -> None:
        handle.seek(1024)  # beyond the process id, which others read
        msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(handle: BinaryIO) -> None:
        fcntl.flock(handle.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


def _holder(path: Path) -> str:
    text = path.read_bytes()[:_LONGEST_NUMBER].decode("ascii", "replace")
    return f" (process {text})" if text.isdigit() else ""
