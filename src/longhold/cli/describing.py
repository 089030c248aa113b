"""What `info` finds in a model file, and how it says it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

from pydantic import Field
from rich.table import Table
from rich.text import Text

from longhold.models.config import Config
from longhold.models.file import read_envelope
from longhold.models.language_model import LanguageModel, LanguageModelConfig
from longhold.text import KIND, TextModel
from longhold.training import printable

ABSENT = (
    "the training text, though a model can recite parts of it (`longhold export` measures that)",
    "any path, user name or machine name",
    "the optimizer's state, so training cannot go on from here exactly as it would have",
)
"""What a model file does not hold."""


@final
class Information(Config):
    """What is inside a model file, as `longhold info --json` prints it."""

    file: str
    """the file's name, without its folder"""
    bytes: int = Field(ge=0)
    """its size"""
    format: int = Field(ge=1)
    """version of the file's format"""
    sha256: str
    """digest over the document and the tensors, as the file says it and as it was found"""
    kind: str
    """what it holds"""
    parameters: int = Field(ge=0)
    """trainable numbers; tied weights once"""
    dtype: str
    """their type"""
    state_bytes: int = Field(ge=0)
    """bytes of the state that one text being read takes"""
    model: dict[str, Any]
    """the configuration"""
    tokenizer: dict[str, Any]
    """kind and number of ids, and how many of them are single bytes"""
    facts: dict[str, Any]
    """what is known of the training"""
    absent: tuple[str, ...] = ABSENT
    """what it does not hold"""


def describe(path: Path) -> Information:
    """Read a model file and say what is in it.

    Raises:
        InputError: see `TextModel.load`.
    """
    loaded = TextModel.load(path)
    model, tokenizer = loaded.model, loaded.tokenizer
    assert isinstance(model, LanguageModel)  # a file holds no other
    version, sha256 = read_envelope(path)
    parameters = list(model.parameters())
    lone = sum(len(tokenizer.token_bytes(token)) == 1 for token in range(tokenizer.vocab_size))
    return Information(
        file=path.name,
        bytes=path.stat().st_size,
        format=version,
        sha256=sha256,
        kind=KIND,
        parameters=sum(parameter.numel() for parameter in parameters),
        dtype=str(parameters[0].dtype).removeprefix("torch."),
        state_bytes=model.state_bytes(1),
        model=model.config.model_dump(mode="json"),
        tokenizer={"kind": tokenizer.kind, "ids": tokenizer.vocab_size, "single_bytes": lone},
        facts=loaded.facts.model_dump(mode="json"),
    )


def table(found: Information) -> Table:
    """The same for a person: a line for each thing, only what is known and what is not as usual."""
    shown = Table(box=None, show_header=False, pad_edge=False)
    shown.add_column(style="bold")
    shown.add_column(overflow="fold")
    for name, value in _lines(found):
        shown.add_row(name, Text(printable(value)))
    return shown


def _lines(found: Information) -> Iterator[tuple[str, str]]:
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
    """Options that are not as a configuration has them if nothing is said."""
    told = {"num_layers", "embedding_size", "tie_weights"}
    for name, field in LanguageModelConfig.model_fields.items():
        if name not in told and not field.is_required() and model.get(name, field.default) != field.default:
            yield name, model[name]
