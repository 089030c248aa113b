"""Files in and out of `longhold compress` and `decompress`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from longhold.data.corpora import open_number
from longhold.errors import InputError
from longhold.files import UNKNOWN, require_output, write_file

_SUFFIX = ".lhtx"


def bytes_from(file: str) -> bytes:
    """What a file holds, or standard input for `-`; `InputError` where it cannot be read."""
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {file!r}: {error.strerror}") from None


def write_bytes(file: str, data: bytes, force: bool) -> None:
    """`data` to a file, whole or not at all, or to standard output for `-`."""
    if file == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        write_file(file, data, UNKNOWN, overwrite=force)


def no_clash(file: str, source: str, model: Path, force: bool) -> None:
    """`InputError` if the file cannot be written, is there and may not be written over, or is what is read."""
    if file != "-":
        read = open_number(sys.stdin) if source == "-" else (source,)
        require_output(file, UNKNOWN, inputs=[*read, model], overwrite=force)


def unpacked_name(archive: str) -> str:
    """The name of what is in an archive: without its suffix; `InputError` where it has none to take away."""
    if archive == "-":
        return "-"
    if not archive.endswith(_SUFFIX) or Path(archive).name == _SUFFIX:
        raise InputError(f"{archive!r} does not end in {_SUFFIX}: say with -o where its content goes")
    return archive.removesuffix(_SUFFIX)


def as_text(data: bytes) -> str | None:
    """The text that the bytes are in UTF-8, or None."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def summary(before: int, after: int, text: str | None) -> str:
    """How much smaller it became."""
    line = f"{before:,} bytes became {after:,}"
    if before:
        line += f", {after / before:.1%}; {8 * after / before:.3f} bits per byte"
    if text:
        line += f", {8 * after / len(text):.3f} bits per character"
    if after > before:
        line += "; the model knows nothing of the kind, so it is stored as it is"
    return line


@contextmanager
def progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, whole: bar.update(task, completed=done, total=whole)
