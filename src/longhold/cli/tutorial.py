"""`longhold tutorial`."""

from typing import Annotated

import typer


def tutorial(
    cell: Annotated[str, typer.Option(help="rnn, gru or lstm.")] = "lstm",
    seeds: Annotated[int, typer.Option(min=1, help="How many runs, with seeds 0, 1, 2 ...")] = 1,
    hidden_size: Annotated[
        int | None, typer.Option(min=1, help="Units; default the notebook's: RNN 512, GRU and LSTM 256.")
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="A file of yours in place of The Time Machine, which comes with longhold.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="The tutorial's 500; fewer for a look.")] = 500,
) -> None:
    """Repeat the tutorial's experiment exactly and set its number beside the published runs."""
    from rich.console import Console

    from longhold.cli.output import say
    from longhold.cli.progress import epoch_progress
    from longhold.data.corpora import demo_corpus, load_corpus
    from longhold.tutorial.experiment import run_tutorial
    from longhold.tutorial.report import explanation, render

    corpus = demo_corpus() if text is None else load_corpus(text)
    for note in corpus.notes:
        say(note)
    with epoch_progress(seeds * epochs) as on_epoch:
        report = run_tutorial(
            corpus.text, cell, range(seeds), epochs=epochs, hidden_size=hidden_size, on_epoch=on_epoch
        )
    console = Console()
    console.print(render(report))
    for run in report.runs:
        for text in run.continuations:
            console.print(f"seed {run.seed}: {text}", markup=False, highlight=False)
    console.print(explanation(report), markup=False, highlight=False)
