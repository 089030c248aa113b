"""`longhold inspect`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from longhold.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from longhold.text import TextModel


def inspect(
    model: Annotated[Path, typer.Argument(help="A model file, as `longhold train` leaves it.")],
    text: Annotated[
        str | None,
        typer.Argument(
            help="Text that the model was not trained on: a file, folder, glob pattern, known name, or - for standard "
            "input. Without it only what the weights alone show is printed."
        ),
    ] = None,
    max_lag: Annotated[int, typer.Option(min=1, help="Longest lag and longest context, in tokens.")] = 128,
    encoding: Annotated[str | None, typer.Option(help="Of the text; default: UTF-8, else detected.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps ...")] = "cpu",
) -> None:
    """Look into a model: time constants of its gates, gradient by lag, and how much context it uses."""
    from rich.console import Console

    from longhold.cli.output import say
    from longhold.inspection.tables import of_weights
    from longhold.text import load

    text_model = load(model, device=device)
    if text is None:
        found = of_weights(text_model.model)
        say("note: give a text that the model was not trained on to see gradients by lag and the context it uses")
    else:
        found = _of_text(text_model, text, encoding, max_lag)
    console = Console()
    for part in found:
        console.print(part, markup=False, highlight=False)


def _of_text(model: "TextModel", source: str, encoding: str | None, max_lag: int) -> "Iterator[Table | str]":
    import torch

    from longhold.cli.output import say
    from longhold.data.corpora import load_corpus
    from longhold.inspection.tables import LEAST_TOKENS, longest_lag, of_text
    from longhold.models.contract import device_of

    corpus = load_corpus(source, encoding=encoding)
    for note in corpus.notes:
        say(note)
    tokens = torch.from_numpy(model.tokenizer.encode(corpus.text)).long().to(device_of(model.model))
    if len(tokens) < LEAST_TOKENS:
        raise InputError(f"{corpus.name} has {len(tokens)} tokens: looking into a model takes at least {LEAST_TOKENS}")
    possible = longest_lag(len(tokens), max_lag)
    if possible < max_lag:
        say(f"note: {corpus.name} is too short for lag {max_lag}; shown up to {possible}")
    return of_text(model.model, tokens, max_lag)
