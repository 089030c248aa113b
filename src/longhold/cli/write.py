"""`longhold write`."""

from pathlib import Path
from typing import Annotated, Any

import typer


def write(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(help="A model file, as `longhold train` leaves it.")],
    prime: Annotated[str, typer.Option(help="Text to begin with; the model reads all of it and goes on from it.")] = "",
    prime_file: Annotated[
        str | None, typer.Option(help="The same from a file, folder or known name, or - for standard input.")
    ] = None,
    length: Annotated[int | None, typer.Option(help="Tokens to write; default 500, with -i no limit.")] = None,
    stop: Annotated[
        list[str] | None, typer.Option(help="End before this text, which is not shown; may be given several times.")
    ] = None,
    temperature: Annotated[
        float, typer.Option(help="Lower: more predictable, higher: more varied; 0: the likeliest.")
    ] = 0.8,
    top_k: Annotated[int | None, typer.Option(help="Choose among the K likeliest tokens only.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Choose among the likeliest that make up this share.")] = None,
    min_p: Annotated[
        float | None, typer.Option(help="Leave out tokens below this share of the likeliest one's probability.")
    ] = None,
    greedy: Annotated[bool, typer.Option("--greedy", help="Always take the likeliest token.")] = False,
    repetition_penalty: Annotated[
        float, typer.Option(help="From 1: how hard it is to repeat a recent token (CTRL's rule); 1.2 suits words.")
    ] = 1.0,
    repetition_window: Annotated[int, typer.Option(help="How many tokens are recent.")] = 64,
    seed: Annotated[int | None, typer.Option(help="The same seed writes the same text.")] = None,
    interactive: Annotated[
        bool, typer.Option("--interactive", "-i", help="Choose each token yourself among the likely ones.")
    ] = False,
    choices: Annotated[int, typer.Option(min=1, help="With -i: how many likely tokens to show.")] = 9,
    score: Annotated[
        str | None,
        typer.Option(
            help="Write nothing; say how well the model predicts this text (file, folder, known name, - for standard "
            "input) and where it is surprised."
        ),
    ] = None,
    places: Annotated[int, typer.Option(min=0, help="With --score: how many surprising places to show.")] = 10,
    dynamic: Annotated[
        bool,
        typer.Option("--dynamic", help="With --score: let a copy of the model learn from the text as it reads it."),
    ] = False,
    dynamic_rate: Annotated[
        float | None, typer.Option(help="With --dynamic: how fast it learns; default 0.1, 0 is not at all.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="With --score: as JSON.")] = False,
    encoding: Annotated[
        str | None, typer.Option(help="Of --score and --prime-file; default: UTF-8, else detected.")
    ] = None,
    escape: Annotated[
        bool | None,
        typer.Option(
            "--escape/--raw",
            help="Show control characters as escapes such as \\x1b, or write them as they are; default: escapes on a "
            "terminal, as they are into a file or pipe.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps ...")] = "cpu",
) -> None:
    """Write text with a model, streamed as it comes; or choose it token by token (-i); or score a text (--score)."""
    from longhold.cli.output import report_unknown, show_score, stream
    from longhold.cli.writing import DEFAULT_LENGTH, choose, prime_of, require_fitting, scored_text
    from longhold.sampling import DynamicConfig, SamplingConfig
    from longhold.text import load

    require_fitting(context)
    if score is not None:
        text = scored_text(score, encoding)
        learns = DynamicConfig() if dynamic_rate is None else DynamicConfig(rate=dynamic_rate)
        surprises = load(model, device=device).surprises(text, dynamic=learns if dynamic else None)
        show_score(surprises, places, as_json=json)
        return
    prime = prime_of(prime, prime_file, encoding)
    rules: dict[str, Any] = {
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "greedy": greedy,
        "repetition_penalty": repetition_penalty,
        "repetition_window": repetition_window,
    }
    text_model = load(model, device=device)
    report_unknown(text_model.unknown(prime))
    stops = tuple(stop or ())
    if interactive:
        choose(text_model, prime, SamplingConfig(**rules), length, stops, choices, seed, escape)
        return
    tokens = DEFAULT_LENGTH if length is None else length
    stream(prime, text_model.write(prime, length=tokens, stop=stops, seed=seed, **rules), escape)
