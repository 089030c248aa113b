"""`longhold tutorial`."""

from typing import Annotated

import typer


def tutorial(
    cell: Annotated[str, typer.Option(help="rnn, gru or lstm.")] = "lstm",
    seeds: Annotated[int, typer.Option(help="How many runs, with seeds 0, 1, 2 ...")] = 1,
    epochs: Annotated[int, typer.Option(help="The tutorial's 500; fewer for a look.")] = 500,
) -> None:
    """Repeat the tutorial's experiment exactly and set its number beside the published runs."""
