"""`longhold write`."""

from pathlib import Path
from typing import Annotated

import typer


def write(
    model: Annotated[Path, typer.Argument(help="A model file, as `longhold train` leaves it.")],
    prime: Annotated[str, typer.Option(help="Text to begin with; the model goes on from it.")] = "",
    length: Annotated[int, typer.Option(help="Tokens to write.")] = 500,
    temperature: Annotated[float, typer.Option(help="Below 1 bolder, above 1 wilder; 0 takes the likeliest.")] = 0.8,
    top_k: Annotated[int | None, typer.Option(help="Choose among the K likeliest tokens only.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Choose among the likeliest that make up this share.")] = None,
    min_p: Annotated[
        float | None, typer.Option(help="Leave out tokens below this share of the likeliest one's probability.")
    ] = None,
    greedy: Annotated[bool, typer.Option("--greedy", help="Always take the likeliest token.")] = False,
    seed: Annotated[int | None, typer.Option(help="The same seed writes the same text.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps ...")] = "cpu",
) -> None:
    """Write text with a model, streamed as it comes."""
    from longhold.cli.output import report_unknown, stream
    from longhold.text import load

    text_model = load(model, device=device)
    report_unknown(text_model.unknown(prime))
    pieces = text_model.write(
        prime,
        length=length,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        greedy=greedy,
        seed=seed,
    )
    stream(prime, pieces)
