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
        data = decompressed(text_model, packed, on_progress=on_progress)
    write_bytes(target, data, force)
    say(f"{len(data):,} bytes, as they were")
