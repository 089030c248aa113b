"""`longhold demo`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from longhold.cli.compare import run_comparison


def demo(
    budget: Annotated[str, typer.Option(help="Time for everything.")] = "3m",
    output: Annotated[Path, typer.Option("--output", "--out", "-o", help="Folder for page, plan and rows.")] = Path(
        "longhold-demo"
    ),
    force: Annotated[
        bool, typer.Option("--force", help="Write over report files that longhold did not write.")
    ] = False,
) -> None:
    """A first look: three cells learn The Time Machine, write in it, and are tested on memory; about three minutes."""
    from longhold.data.corpora import demo_corpus
    from longhold.training import parse_duration

    command = f"longhold demo --budget {shlex.quote(budget)}"
    options = {"budget_seconds": parse_duration(budget)}
    run_comparison([demo_corpus()], options, output, name="demo", command=command, force=force)
