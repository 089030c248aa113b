"""`longhold write`."""

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longhold.errors import InputError

if TYPE_CHECKING:
    from longhold.sampling.scores import Surprises
    from longhold.text import TextModel

DEFAULT_LENGTH = 500
"""Tokens written unless `--length` is given."""

_SCORING = {"model", "score", "places", "json", "encoding", "device", "dynamic", "dynamic_rate"}
_NOT_WRITING = {"places", "json", "dynamic", "dynamic_rate"}
_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "greedy", "repetition_penalty", "repetition_window")

Model = Annotated[Path, typer.Argument(help="A model file, as `longhold train` leaves it.")]
Prime = Annotated[str, typer.Option(help="Text to begin with; the model reads all of it and continues it.")]
PrimeFile = Annotated[
    str | None, typer.Option(help="The same from a file, folder or known name, or - for standard input.")
]
Length = Annotated[int | None, typer.Option(help="Tokens to write; default 500, with -i no limit.")]
Stop = Annotated[
    list[str] | None, typer.Option(help="End before this text, which is not shown; may be given several times.")
]
Temperature = Annotated[
    float, typer.Option(help="Lower: more predictable, higher: more varied; 0: the likeliest token.")
]
TopK = Annotated[int | None, typer.Option(help="Choose among the K likeliest tokens only.")]
TopP = Annotated[
    float | None, typer.Option(help="Choose among the likeliest tokens that make up this probability together.")
]
MinP = Annotated[
    float | None, typer.Option(help="Leave out tokens below this fraction of the likeliest one's probability.")
]
Greedy = Annotated[bool, typer.Option("--greedy", help="Always take the likeliest token.")]
Penalty = Annotated[
    float, typer.Option(help="From 1: how hard it is to repeat a recent token (CTRL's rule); 1.2 suits words.")
]
Window = Annotated[int, typer.Option(help="How many tokens are recent.")]
Seed = Annotated[int | None, typer.Option(help="The same seed writes the same text.")]
Interactive = Annotated[
    bool, typer.Option("--interactive", "-i", help="Choose each token yourself among the likely ones.")
]
Choices = Annotated[int, typer.Option(min=1, help="With -i: how many likely tokens to show.")]
Score = Annotated[
    str | None,
    typer.Option(
        help="Write nothing; report how well the model predicts this text (file, folder, known name, - for standard "
        "input) and where it is surprised."
    ),
]
Places = Annotated[int, typer.Option(min=0, help="With --score: how many surprising places to show.")]
Dynamic = Annotated[
    bool, typer.Option("--dynamic", help="With --score: let a copy of the model learn from the text as it reads it.")
]
DynamicRate = Annotated[
    float | None, typer.Option(help="With --dynamic: how fast it learns; default 0.1, 0 is not at all.")
]
Json = Annotated[bool, typer.Option("--json", help="With --score: as JSON.")]
Encoding = Annotated[str | None, typer.Option(help="Of --score and --prime-file; default: UTF-8, else detected.")]
Escape = Annotated[
    bool | None,
    typer.Option(
        "--escape/--raw",
        help="Show control characters as escapes such as \\x1b, or write them as they are; default: escapes on a "
        "terminal, as they are into a file or pipe.",
    ),
]
Device = Annotated[str, typer.Option(help="cpu, cuda, mps ...")]


def write(
    context: typer.Context,
    model: Model,
    prime: Prime = "",
    prime_file: PrimeFile = None,
    length: Length = None,
    stop: Stop = None,
    temperature: Temperature = 0.8,
    top_k: TopK = None,
    top_p: TopP = None,
    min_p: MinP = None,
    greedy: Greedy = False,
    repetition_penalty: Penalty = 1.0,
    repetition_window: Window = 64,
    seed: Seed = None,
    interactive: Interactive = False,
    choices: Choices = 9,
    score: Score = None,
    places: Places = 10,
    dynamic: Dynamic = False,
    dynamic_rate: DynamicRate = None,
    json: Json = False,
    encoding: Encoding = None,
    escape: Escape = None,
    device: Device = "cpu",
) -> None:
    """Write text with a model, streamed as it comes; or choose it token by token (-i); or score a text (--score)."""
    from longhold.cli.output import show_score, stream

    require_compatible(context)
    if score is not None:
        show_score(_surprises(score, encoding, model, device, dynamic, dynamic_rate), places, as_json=json)
        return
    prime = prime_of(prime, prime_file, encoding)
    text_model = _loaded(model, device, prime)
    rules: dict[str, Any] = {name: context.params[name] for name in _SAMPLING}
    if interactive:
        choose(text_model, prime, rules, length, stop or (), choices, seed, escape)
    else:
        tokens = DEFAULT_LENGTH if length is None else length
        stream(prime, text_model.write(prime, length=tokens, stop=stop or (), seed=seed, **rules), escape)


def require_compatible(context: typer.Context) -> None:
    """Refuse options that were given and would not be read.

    Raises:
        InputError: one of them, and what it goes with.
    """

    found = {
        name for name in context.params if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }
    given = [name for name in context.params if name in found]
    for name in given:
        flag = "--" + name.replace("_", "-")
        if "score" in found and name not in _SCORING:
            raise InputError(f"{flag} is for writing, and --score writes nothing")
        if "score" not in found and name in _NOT_WRITING:
            raise InputError(f"{flag} goes with --score only")
        if name == "dynamic_rate" and "dynamic" not in found:
            raise InputError(f"{flag} goes with --dynamic only")
        if name == "choices" and "interactive" not in found:
            raise InputError(f"{flag} goes with --interactive only")
        if name == "encoding" and not found & {"score", "prime_file"}:
            raise InputError(f"{flag} goes with --score and --prime-file only")
    if {"interactive", "prime_file"} <= found and context.params["prime_file"] == "-":
        raise InputError("--prime-file -: standard input is where --interactive reads the choices from")


def prime_of(prime: str, file: str | None, encoding: str | None) -> str:
    """The text to begin with, from the command line or from a file, whose own last line break belongs to it.

    Raises:
        InputError: both are given, or the file has no text.
    """
    from longhold.data.lines import as_read

    if file is None:
        return as_read(prime, "--prime")
    if prime:
        raise InputError(f"--prime {prime!r:.40} and --prime-file {file!r:.40}: expected one of them")
    return _text_of(file, encoding)


def _text_of(source: str, encoding: str | None) -> str:
    from longhold.cli.output import say
    from longhold.data.corpora import load_corpus

    corpus = load_corpus(source, encoding=encoding)
    for note in corpus.notes:
        say(f"note: {note}")
    return corpus.text


def _loaded(model: Path, device: str, prime: str) -> "TextModel":
    from longhold.cli.output import report_unknown
    from longhold.text import load

    text_model = load(model, device=device)
    report_unknown(text_model.unknown(prime))
    return text_model


def _surprises(
    source: str, encoding: str | None, model: Path, device: str, dynamic: bool, rate: float | None
) -> "Surprises":
    from longhold.sampling import DynamicConfig
    from longhold.text import load

    text = _text_of(source, encoding)
    learns = DynamicConfig() if rate is None else DynamicConfig(rate=rate)
    return load(model, device=device).surprises(text, dynamic=learns if dynamic else None)


def choose(
    model: "TextModel",
    prime: str,
    rules: dict[str, Any],
    length: int | None,
    stops: Sequence[str],
    choices: int,
    seed: int | None,
    escape: bool | None,
) -> None:
    """Let a person choose each token; the dialogue is on standard error, the text on standard output when they leave.

    Args:
        model: what proposes tokens.
        prime: what it reads first.
        rules: fields of `SamplingConfig`, for tokens left to chance.
        length: tokens after which the dialogue ends; None: only when the person leaves.
        stops: the dialogue ends before such a text.
        choices: tokens to propose.
        seed: of the chance.
        escape: see `longhold.cli.output.stream`.
    """
    from longhold.cli.output import say, stream
    from longhold.sampling import SamplingConfig, Walk, stop_texts
    from longhold.text.dialogue import Dialogue

    if length is not None and length < 0:
        raise InputError(f"length={length}: expected 0 or more tokens")
    rule = model.tokenizer.continuations
    walk = Walk(model.model, model.prompt_ids(prime).tolist(), SamplingConfig(**rules), seed=seed, continuations=rule)
    dialogue = Dialogue(model, walk, prime, stop_texts(stops), choices, length)
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    try:
        dialogue.run(sys.stdin, say)
    finally:
        stream(prime, [dialogue.written], escape)
