"""`longhold compare`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from longhold.data.corpora import Corpus


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

    If it is stopped, the same command resumes it.
    """
    from longhold.data.corpora import load_corpus
    from longhold.training import parse_duration

    options: dict[str, object] = {
        "cells": tuple(cell.strip() for cell in cells.split(",")),
        "budget_seconds": parse_duration(budget),
        "parameters": parameters,
        "recall": recall,
        "encoding": encoding,
        "seed": seed,
        "workers": workers,
    }
    corpora = [load_corpus(source, encoding=encoding, leave_out=[output]) for source in sources]
    run_comparison(corpora, options, output, force=force)


def run_comparison(
    corpora: "Sequence[Corpus]",
    options: Mapping[str, object],
    folder: Path,
    *,
    name: str = "compare",
    command: str | None = None,
    force: bool = False,
) -> None:
    """Compare, print the tables and the place of the page.

    Raises:
        InputError: an option or a text cannot be used, or the folder cannot be written.
    """
    from longhold.cli.output import say
    from longhold.cli.progress import study_progress
    from longhold.study.compare.run import STORE, CompareConfig, require_place
    from longhold.study.compare.run import compare as compare_texts
    from longhold.study.compare.table import show_comparison

    config = CompareConfig(**dict(options))  # type: ignore[arg-type]
    require_place(corpora, folder, overwrite=force)
    for note in (note for corpus in corpora for note in corpus.notes):
        say(note)
    with study_progress(folder / STORE, "give the same command again") as watch:
        compared = compare_texts(
            corpora, folder, config, name=name, command=command, overwrite=force, on_plan=say, on_progress=watch
        )
    show_comparison(compared.rows, compared.plan)
    files = compared.files
    beside = ", ".join(path.name for path in (files.markdown, files.rows, files.lines))
    say(f"page: {files.page.resolve()}, with {beside} and {compared.plan.name}.toml beside it")
