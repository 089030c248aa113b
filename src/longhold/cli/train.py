"""`longhold train`."""

import inspect
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import typer

from longhold.documents import parse_toml_value, read_toml
from longhold.errors import InputError
from longhold.files import UNKNOWN, argument, require_output
from longhold.options import INDIRECT, RunOptions, TextOptions, help_of

if TYPE_CHECKING:
    from longhold.training.recipe import TrainedText

Source = Annotated[
    str,
    typer.Argument(
        help="A file, folder, glob pattern, known name, or - for standard input; with --more also a model file."
    ),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="The model file; default: the source's name.safetensors.")
]
ConfigFile = Annotated[Path | None, typer.Option(help="TOML file with settings as --set takes them.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="One setting of the training or the model, as lr=0.01 or weight_dropout=0.3; may be repeated."
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Write over a file that longhold did not write, but never over the text.")
]

_FIELDS = {**RunOptions.model_fields, **TextOptions.model_fields}
DECLARED = tuple(name for name in _FIELDS if name not in INDIRECT)
"""Options that are as `longhold.options` declares them."""
REPEATED = ("encoding", "held_out", "device")
"""Those that continuing needs again where they were given."""

_SHOWN = 400
_WANT_TIME = ("improving", "annealed", "short")


def _as_typed(annotation: Any) -> Any:
    """Returns the type of an option on the command line: a choice is checked with the rest, a time is a text."""
    kinds = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    plain = [str if get_origin(kind) is Literal else kind for kind in kinds]
    kind = str if str in plain else plain[0]
    return kind | None if type(None) in plain else kind


def _flag(name: str) -> inspect.Parameter:
    text = help_of(name).replace("None: ", "default: ")
    text = text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
    kind, default = _as_typed(_FIELDS[name].annotation), _FIELDS[name].default
    flags = ("--" + name.replace("_", "-"),) if kind is bool else ()
    annotation = Annotated[kind, typer.Option(*flags, help=text)]  # type: ignore[valid-type]  # known at run time
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _with_declared_options(command: Callable[..., None]) -> Callable[..., None]:
    """Returns the command, whose `declared` stands for all of `DECLARED`."""
    own = list(inspect.signature(command).parameters.values())
    parameters = [*own[:2], *map(_flag, DECLARED), *own[2:-1]]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command


@_with_declared_options
def train(
    source: Source,
    output: Output = None,
    *,
    config: ConfigFile = None,
    settings: Settings = None,
    force: Force = False,
    **declared: Any,
) -> None:
    """Train a model on a text, with no settings if you like. The same command again resumes a run that was stopped;
    --more continues a model that is done."""
    from longhold.cli.output import progress_display, say
    from longhold.text import train as train_text
    from longhold.training.run import run_folder

    path = model_path(source, output)
    if config is not None:
        require_output(path, UNKNOWN, inputs=[config], overwrite=True)
    model, training = split_settings(read_settings(config, settings or []))
    ended: list[TrainedText] = []
    with progress_display() as display:
        train_text(
            source,
            **declared,
            output=path,
            folder=run_folder(path),
            overwrite=force,
            model=model,
            training=training,
            on_progress=display,
            on_note=say,
            on_trained=ended.append,
        )
    report(ended[0], source, path, {name: declared[name] for name in REPEATED})


def split_settings(settings: Mapping[str, object]) -> tuple[dict[str, object], dict[str, object]]:
    """Returns the settings of the model, and those of its training, to be checked there."""
    from longhold.models import LanguageModelConfig

    model = {name: value for name, value in settings.items() if name in LanguageModelConfig.model_fields}
    return model, {name: value for name, value in settings.items() if name not in model}


def read_settings(path: Path | None, flags: list[str]) -> dict[str, object]:
    """Returns settings from a TOML file and from `name=value` flags, which override it.

    Raises:
        InputError: the file cannot be read, or a flag has no `=`.
    """
    settings = {} if path is None else read_toml(path)
    for text in flags:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--set {text!r}: expected name=value, such as lr=0.01")
        settings[name.strip()] = parse_toml_value(value.strip())
    return settings


def model_path(source: str, output: Path | None) -> Path:
    """Returns where the model goes: as given, else the source's name in the current folder; a model file stays."""
    if output is None and source.endswith(".safetensors"):
        output = Path(source)
    stem = re.sub(r"[^\w.-]+", "-", Path(source).stem).strip("-.") or "model"
    return Path(f"{stem}.safetensors") if output is None else output


def report(trained: "TrainedText", source: str, path: Path, repeated: Mapping[str, object]) -> None:
    """Print a sample, the figures and the next commands; `repeated` are the options that continuing needs again."""
    from longhold.cli.output import say

    if trained.sample is not None:
        say(f"it writes: {trained.sample[:_SHOWN].rstrip()}")
    if trained.words is not None and trained.words.total:
        words = trained.words
        say(f"{words.fraction:.0%} of the {words.total:,} {words.unit} that it wrote occur in the training text")
    if trained.held_out_bits is not None:
        per_byte = f"{trained.held_out_bits_per_byte:.3f} bits per byte"
        say(f"{trained.held_out_bits:.3f} bits per character on held-out text, {per_byte}")
    if trained.diagnosis is not None and trained.diagnosis.kind in _WANT_TIME:
        piped = ", with the same text on standard input" if source == "-" else ""
        say(f"continue{piped}: {continue_command(source, path, repeated)}")
    prime = f" --prime {shlex.quote(trained.opening)}" if trained.opening else ""
    say(f"saved in {argument(path)}; write with it: longhold write {argument(path)}{prime}")


def continue_command(source: str, path: Path, repeated: Mapping[str, object]) -> str:
    """Returns the command that continues a model."""
    words = ["longhold", "train", argument(source), "--more", "10m"]
    words += [] if path == model_path(source, None) else ["-o", argument(path)]
    for name, value in repeated.items():
        words += [] if value == _FIELDS[name].default else ["--" + name.replace("_", "-"), shlex.quote(str(value))]
    return " ".join(words)
