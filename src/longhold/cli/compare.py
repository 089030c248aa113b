"""`longhold compare`."""

from pathlib import Path
from typing import Annotated

import typer


def compare(
    source: Annotated[str, typer.Argument(help="A file, folder, glob pattern, known name, or - for standard input.")],
    cells: Annotated[str, typer.Option(help="Which cells, separated by commas.")] = "rnn,gru,lstm",
    budget: Annotated[str, typer.Option(help="Time for the whole command, all cells.")] = "3m",
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the page.")] = Path("longhold-compare"),
    tokenizer: Annotated[str, typer.Option(help="char, byte, word or bpe.")] = "char",
    parameters: Annotated[
        int | None, typer.Option(help="Parameters of every model; default those of an LSTM of 160 units.")
    ] = None,
    recall: Annotated[bool, typer.Option(help="Also test how long each cell can hold one symbol.")] = True,
    encoding: Annotated[str | None, typer.Option(help="Of the text; default: UTF-8, else detected.")] = None,
    seed: Annotated[int, typer.Option(help="Decides weights, batches and samples.")] = 0,
) -> None:
    """Train RNN, GRU and LSTM at equal size on one text; against n-grams and xz; and on one-symbol recall."""
    from longhold.cli.comparing import run_comparison
    from longhold.data.corpora import load_corpus
    from longhold.training import parse_duration

    options: dict[str, object] = {
        "cells": tuple(cell.strip() for cell in cells.split(",")),
        "budget_seconds": parse_duration(budget),
        "tokenizer": tokenizer,
        "seed": seed,
    }
    if parameters is not None:
        options["parameters"] = parameters
    if not recall:
        options["recall"] = None
    run_comparison(load_corpus(source, encoding=encoding), options, output)
