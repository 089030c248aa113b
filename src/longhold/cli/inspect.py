"""`longhold inspect`."""

from pathlib import Path
from typing import Annotated

import typer


def inspect(
    model: Annotated[Path, typer.Argument(help="A model file, as `longhold train` leaves it.")],
    text: Annotated[
        str | None,
        typer.Argument(
            help="Text that the model was not trained on: a file, folder, glob pattern, known name, or - for standard "
            "input. Without it only what the weights alone tell is shown."
        ),
    ] = None,
    max_lag: Annotated[int, typer.Option(min=1, help="Longest lag and longest context, in tokens.")] = 128,
    encoding: Annotated[str | None, typer.Option(help="Of the text; default: UTF-8, else detected.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps ...")] = "cpu",
) -> None:
    """Look into a model: time constants of its gates, gradient by lag, and how much context it uses."""
    from rich.console import Console

    from longhold.cli.inspecting import of_text, of_weights
    from longhold.cli.output import say
    from longhold.data.corpora import load_corpus
    from longhold.text import load

    text_model = load(model, device=device)
    if text is None:
        found = of_weights(text_model)
        say("note: give a text that the model was not trained on to see gradients by lag and the context it uses")
    else:
        corpus = load_corpus(text, encoding=encoding)
        for note in corpus.notes:
            say(note)
        found = of_text(text_model, corpus, max_lag)
    console = Console()
    for part in found:
        console.print(part, markup=False, highlight=False)
