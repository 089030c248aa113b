"""`longhold export`."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    model: Annotated[Path, typer.Argument(help="A model file, as `longhold train` leaves it.")],
    to: Annotated[
        str,
        typer.Option(
            help="html: one page that writes offline; onnx: for ONNX runtimes; torch: a folder for torch.nn; "
            "hub: a folder with a model card."
        ),
    ] = "html",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file or folder; default: the model's name.")
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(
            help="The training text (file, folder, glob pattern, known name, - for standard input), to show how much "
            "of it the model recites."
        ),
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Of the text; default: UTF-8, else detected.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before writing.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Write over files that longhold did not write, but never over what is read.")
    ] = False,
) -> None:
    """Give a model away: as one HTML file, as ONNX, as plain torch.nn, or as a folder for a hub."""
    from longhold.cli.exporting import confirmed, destination, require_place, training_text, warn, written
    from longhold.cli.output import say
    from longhold.text import load

    place = destination(model, to, output)
    require_place(to, place, [model], force)
    text_model = load(model)
    corpus = training_text(text_model.facts, text, encoding)
    require_place(to, place, () if corpus is None else corpus.sources, force)
    recited = warn(text_model, corpus)
    if not confirmed(place, yes):
        say("nothing was exported")
        raise typer.Exit(1)
    for line in written(text_model, to, place, corpus, recited, overwrite=force):
        say(line)
