"""`longhold decompress`."""

from pathlib import Path
from typing import Annotated

import typer

from longhold.cli.compress import read_bytes, require_free, write_bytes
from longhold.errors import InputError

_SUFFIX = ".lhtx"


def decompress(
    archive: Annotated[str, typer.Argument(help="What `longhold compress` made, or - for standard input.")],
    model: Annotated[Path, typer.Option(help="The model file that it was made with.")],
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", help="Where to; default: the archive's name without .lhtx. - for standard output."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            min=0, help="Most bytes that may come out; default: 1,000 times the archive's size, at least 2^18."
        ),
    ] = None,
) -> None:
    """Get back what `longhold compress` was given, checked byte for byte by its SHA-256."""
    from longhold.cli.output import say
    from longhold.cli.progress import byte_progress
    from longhold.compression import decompress as decompressed
    from longhold.text import load

    target = output or unpacked_name(archive)
    require_free(target, archive, model, force)
    text_model, packed = load(model), read_bytes(archive)
    with byte_progress("decompressing") as on_progress:
        data = decompressed(text_model, packed, limit=limit, on_progress=on_progress)
    write_bytes(target, data, force)
    say(f"{len(data):,} bytes, as they were")


def unpacked_name(archive: str) -> str:
    """Returns the name without the suffix of archives; `InputError` where it has none."""
    if archive == "-":
        return "-"
    if not archive.endswith(_SUFFIX) or Path(archive).name == _SUFFIX:
        raise InputError(f"{archive!r} does not end in {_SUFFIX}: name what comes out with -o")
    return archive.removesuffix(_SUFFIX)
