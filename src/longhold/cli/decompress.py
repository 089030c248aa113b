"""`longhold decompress`."""

from pathlib import Path
from typing import Annotated

import typer


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
    from longhold.cli.compressing import bytes_from, no_clash, progress, unpacked_name, write_bytes
    from longhold.cli.output import say
    from longhold.compression import decompress as decompressed
    from longhold.text import load

    target = output or unpacked_name(archive)
    no_clash(target, archive, model, force)
    text_model, packed = load(model), bytes_from(archive)
    with progress("decompressing") as on_progress:
        data = decompressed(text_model, packed, limit=limit, on_progress=on_progress)
    write_bytes(target, data, force)
    say(f"{len(data):,} bytes, as they were")
