"""`longhold compare`."""

from pathlib import Path
from typing import Annotated

import typer


def compare(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...", help="Texts: files, folders, glob patterns, known names, or - for standard input."
        ),
    ],
    cells: Annotated[str, typer.Option(help="Which of rnn, gru and lstm, separated by commas.")] = "rnn,gru,lstm",
    budget: Annotated[str, typer.Option(help="Time for the whole command.")] = "3m",
    output: Annotated[Path, typer.Option("--output", "--out", "-o", help="Folder for page, plan and rows.")] = Path(
        "longhold-compare"
    ),
    parameters: Annotated[
        int | None, typer.Option(help="Parameters of every model of a text; default those of an LSTM of 160 units.")
    ] = None,
    recall: Annotated[bool, typer.Option(help="Also test how long each cell can hold one symbol.")] = True,
    encoding: Annotated[str | None, typer.Option(help="Of the texts; default: UTF-8, else detected.")] = None,
    seed: Annotated[int, typer.Option(help="Decides weights, windows and samples of the models of a text.")] = 0,
    workers: Annotated[int | None, typer.Option(help="Processes, one thread each; default: one for each core.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write over report files that longhold did not write.")
    ] = False,
) -> None:
    """Train RNN, GRU and LSTM at equal size on your texts; against n-grams and xz; and on one-symbol recall.

    Stopped, the same command goes on where it was.
    """
    from longhold.cli.comparing import run_comparison
    from longhold.data.corpora import load_corpus
    from longhold.training import parse_duration

    options: dict[str, object] = {
        "cells": tuple(cell.strip() for cell in cells.split(",")),
        "budget_seconds": parse_duration(budget),
        "parameters": parameters,
        "recall": recall,
        "seed": seed,
        "workers": workers,
    }
    corpora = [load_corpus(source, encoding=encoding, leave_out=[output]) for source in sources]
    run_comparison(corpora, options, output, force=force)
