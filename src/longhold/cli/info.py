"""`longhold info`."""

from pathlib import Path
from typing import Annotated

import typer


def info(
    model: Annotated[Path, typer.Argument(help="A model file, as `longhold train` leaves it.")],
    json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Print what is inside a model file, and what is not."""
    from rich.console import Console

    from longhold.cli.describing import describe, table

    found = describe(model)
    if json:
        print(found.model_dump_json(indent=2))
    else:
        Console().print(table(found), highlight=False)
