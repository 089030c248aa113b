"""Where the numbers of a run go: JSON lines, and TensorBoard on request."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias, final

from longhold.documents import parse_json
from longhold.errors import InputError

Entry: TypeAlias = Mapping[str, int | float | None]
"""One log event: `step` and what was measured there."""


def entry_of(line: bytes) -> dict[str, float] | None:
    """The log event in a line of the metrics, without what is not known; None where it is none."""
    try:
        values = parse_json(line, "no entry")
    except InputError:
        return None
    numbers = {name: value for name, value in values.items() if value is not None} if isinstance(values, dict) else {}
    whole = "step" in numbers and all(type(value) in (int, float) for value in numbers.values())
    return numbers if whole else None


@final
class JsonLines:
    """A file of one JSON object a line, continued at a known byte position.

    What a killed run wrote after its last checkpoint is cut off when the file is opened at that checkpoint's position.
    """

    def __init__(self, path: Path, position: int = 0) -> None:
        """Open `path` and cut it back to `position` bytes.

        Raises:
            InputError: the file is shorter than `position`, or cannot be written.
        """
        self.path = path
        try:
            size = path.stat().st_size if path.exists() else 0
            if size < position:
                raise InputError(
                    f"{path} has {size} bytes where the checkpoint counts {position}: it was edited; "
                    "put it back, or start over in another folder"
                )
            self._file = open(path, "ab")  # noqa: SIM115 - open as long as the run
            self._file.truncate(position)
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror or error}") from None

    def write(self, entry: Entry) -> None:
        """Append one line; it is in the hands of the system when this returns.

        Raises:
            InputError: the system refuses, for example because the disk is full.
        """
        try:
            self._file.write(json.dumps(dict(entry), allow_nan=False).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise InputError(f"cannot write {self.path}: {error.strerror or error}") from None

    def position(self) -> int:
        """Bytes written so far, all of them on the disk."""
        os.fsync(self._file.fileno())
        return self._file.seek(0, os.SEEK_END)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@final
class TensorBoard:
    """The same entries as scalars for TensorBoard."""

    def __init__(self, folder: Path, step: int = 0) -> None:
        """Write event files into `folder`; what an earlier process logged after `step` is hidden.

        Raises:
            InputError: TensorBoard is not installed.
        """
        try:
            from torch.utils.tensorboard.writer import SummaryWriter
        except ImportError:
            raise InputError("TensorBoard is not installed: pip install 'longhold[tensorboard]'") from None
        self._writer = SummaryWriter(str(folder), purge_step=step + 1 if step else None)

    def write(self, entry: Entry) -> None:
        """Append every number of the entry at its step."""
        for name, value in entry.items():
            if name != "step" and value is not None:
                self._writer.add_scalar(name, value, entry["step"])

    def close(self) -> None:
        """Flush and close the event file."""
        self._writer.close()
