"""`longhold info`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from longhold.text.information import Information


def info(
    model: Annotated[Path, typer.Argument(help="A model file, as `longhold train` leaves it.")],
    json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Print what is inside a model file, and what is not."""
    from rich.console import Console

    from longhold.text.information import inside

    found = inside(model)
    if json:
        print(found.model_dump_json(indent=2))
    else:
        Console().print(_table(found), highlight=False)


def _table(found: "Information") -> "Table":
    """Returns a line for each thing that is known, and for each option that is not at its default."""
    from rich.table import Table
    from rich.text import Text

    from longhold.training import printable

    shown = Table(box=None, show_header=False, pad_edge=False)
    shown.add_column(style="bold")
    shown.add_column(overflow="fold")
    for name, value in _lines(found):
        shown.add_row(name, Text(printable(value)))
    return shown


def _lines(found: "Information") -> Iterator[tuple[str, str]]:
    model, tokenizer, facts = found.model, found.tokenizer, found.facts
    layers = "1 layer" if model["num_layers"] == 1 else f"{model['num_layers']} layers"
    yield "file", f"{found.file}, {found.bytes:,} bytes, format {found.format}, undamaged"
    yield "model", f"{model['cell'].upper()}, {layers} of {model['hidden_size']:,} units"
    yield "reads", _reads(model)
    yield from (("option", f"{name} = {value}") for name, value in _unusual(model))
    yield "parameters", f"{found.parameters:,} in {found.dtype}"
    yield "state", f"{found.state_bytes:,} bytes for each text being read"
    yield (
        "tokenizer",
        f"{tokenizer['kind']}, {tokenizer['ids']:,} ids, {tokenizer['single_bytes']:,} of them one byte long",
    )
    bits = facts["held_out_bits_per_character"]
    yield "held out", "not known" if bits is None else f"{bits:.3f} bits per character on text it was not trained on"
    for name, value in facts.items():
        if value is not None and name != "held_out_bits_per_character":
            yield name.replace("_", " "), _shown(value)
    yield from (("not inside", thing) for thing in found.absent)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _reads(model: dict[str, Any]) -> str:
    if model["embedding_size"] is None:
        return f"{model['vocab_size']:,} ids as one-hot vectors"
    tied = ", tied to the output layer" if model.get("tie_weights") else ""
    return f"{model['vocab_size']:,} ids as learned vectors of {model['embedding_size']:,}{tied}"


def _unusual(model: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields the options that are not at their defaults and have no line of their own."""
    from longhold.models.language_model import LanguageModelConfig

    own_line = {"num_layers", "embedding_size", "tie_weights"}
    for name, field in LanguageModelConfig.model_fields.items():
        if name not in own_line and not field.is_required() and model.get(name, field.default) != field.default:
            yield name, model[name]
