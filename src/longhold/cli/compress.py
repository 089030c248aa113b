"""`longhold compress`."""

from pathlib import Path
from typing import Annotated

import typer


def compress(
    file: Annotated[str, typer.Argument(help="Any file, or - for standard input.")],
    model: Annotated[Path, typer.Option(help="A model file, as `longhold train` leaves it.")],
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="The archive; default: FILE.lhtx. - for standard output.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Make a file smaller with a model, without loss. The same model is needed to get it back."""
    from longhold.cli.compressing import as_text, bytes_from, no_clash, progress, summary, write_bytes
    from longhold.cli.output import say
    from longhold.compression import compress as compressed
    from longhold.compression import usual_limit
    from longhold.text import load

    target = output or ("-" if file == "-" else f"{file}.lhtx")
    no_clash(target, file, model, force)
    text_model, data = load(model), bytes_from(file)
    with progress("compressing") as on_progress:
        archive = compressed(text_model, data, on_progress=on_progress)
    write_bytes(target, archive, force)
    say(summary(len(data), len(archive), as_text(data)))
    if len(data) > usual_limit(len(archive)):
        say(f"so much from so little: longhold decompress takes it with --limit {len(data)}")
