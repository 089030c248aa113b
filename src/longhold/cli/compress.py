"""`longhold compress`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from longhold.errors import InputError
from longhold.files import UNKNOWN, require_output, write_file


def compress(
    file: Annotated[str, typer.Argument(help="Any file, or - for standard input.")],
    model: Annotated[Path, typer.Option(help="A model file, as `longhold train` leaves it.")],
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="The archive; default: FILE.lhtx. - for standard output.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Make a file smaller with a model, without loss. The same model is needed to get it back."""
    from longhold.cli.output import say
    from longhold.cli.progress import byte_progress
    from longhold.compression import compress as compressed
    from longhold.compression import usual_limit
    from longhold.text import load

    target = output or ("-" if file == "-" else f"{file}.lhtx")
    require_free(target, file, model, force)
    text_model, data = load(model), read_bytes(file)
    with byte_progress("compressing") as on_progress:
        archive = compressed(text_model, data, on_progress=on_progress)
    write_bytes(target, archive, force)
    say(summary(len(data), len(archive), as_text(data)))
    if len(data) > usual_limit(len(archive)):
        say(f"so much from so little: longhold decompress takes it with --limit {len(data)}")


def read_bytes(file: str) -> bytes:
    """Returns the bytes of a file, or of standard input for `-`; `InputError` where it cannot be read."""
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {file!r}: {error.strerror}") from None


def write_bytes(file: str, data: bytes, force: bool) -> None:
    """Write to a file, whole or not at all, or to standard output for `-`."""
    if file == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        write_file(file, data, UNKNOWN, overwrite=force)


def require_free(file: str, source: str, model: Path, force: bool) -> None:
    """`InputError` if the file cannot be written, is there and may not be written over, or is what is read."""
    from longhold.data.corpora import open_number

    if file != "-":
        read = open_number(sys.stdin) if source == "-" else (source,)
        require_output(file, UNKNOWN, inputs=[*read, model], overwrite=force)


def as_text(data: bytes) -> str | None:
    """Returns the text that the bytes are in UTF-8, or None."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def summary(before: int, after: int, text: str | None) -> str:
    """Returns the line on how much smaller it became."""
    line = f"{before:,} bytes became {after:,}"
    if before:
        line += f", {after / before:.1%}; {8 * after / before:.3f} bits per byte"
    if text:
        line += f", {8 * after / len(text):.3f} bits per character"
    if after > before:
        line += "; the model knows nothing of the kind, so it is stored as it is"
    return line
