"""A language model as one HTML file that writes text in any browser, with nothing to load."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from longhold.data.tokenizers import Tokenizer
from longhold.errors import InputError
from longhold.export.bundle import bundle
from longhold.export.facts import shareable
from longhold.files import StrPath, beginning, write_file
from longhold.integer import IntegerModel, packed, quantization_loss, quantize
from longhold.integer.model import Bits
from longhold.models.language_model import LanguageModel

LARGEST_LOSS: Final = 0.02
"""Bits per character that 8-bit weights may cost before 16-bit weights are taken."""

KIND: Final = beginning(
    "a page of longhold export",
    b"<!doctype html>",
    b"default-src 'none'; script-src 'sha256-",
    b"<title>longhold</title>",
)
"""How the file is recognized."""

_MODULES = ("stepper", "utf8", "views", "strips", "writer-words", "scribe", "writer")
_PLACE = re.compile(r"\{(policy|style|script|model)\}")
_WIDTHS: Final[tuple[Bits, ...]] = (8, 16)
_COLUMNS = 32  # stretches of a text that are measured side by side
_LEAST_COLUMN = 32  # tokens of each, where the text is long enough


@dataclass(frozen=True)
class Page:
    """What was written."""

    bytes: int
    """size of the file"""
    bits: int
    """width of its weights: 8 or 16"""
    losses: Mapping[int, float]
    """bits per character that weights of a width cost, for those that were tried"""
    characters: int
    """how many characters the costs were measured on"""

    def __str__(self) -> str:
        tried = " and ".join(f"{bits}-bit weights cost {loss:+.4f}" for bits, loss in self.losses.items())
        return (
            f"{self.bytes:,} bytes, weights of {self.bits} bits: {tried} bits per character on {self.characters:,} "
            f"characters (8 bits are taken up to {LARGEST_LOSS})"
        )


def export_html(
    model: LanguageModel,
    tokenizer: Tokenizer,
    path: StrPath,
    text: str,
    facts: Mapping[str, Any] | None = None,
    *,
    overwrite: bool = False,
) -> Page:
    """Write the page: model, stepper and views in one file, no word of `text` among them.

    The model is converted to integers (`longhold.integer`), so the page computes bit for bit what Python's
    `IntegerStepper` does. Its weights have 8 bits if that costs at most `LARGEST_LOSS`, else 16.

    Arguments:
        model: what is to write.
        tokenizer: its tokenizer.
        path: the file.
        text: what the cost is measured on, best a text that the model was not trained on.
        facts: of the training; see `longhold.export.facts`.
        overwrite: whether a file that is no such page is replaced too.

    Raises:
        InputError: the model has an option without an integer form, the text is too short, or the file cannot
            be written.
    """
    integers, losses = choose_width(model, tokenizer, text)
    data = page(packed(integers, tokenizer, shareable(facts or {}))).encode()
    write_file(path, data, KIND, overwrite=overwrite)
    return Page(len(data), integers.bits, losses, len(text))


def choose_width(model: LanguageModel, tokenizer: Tokenizer, text: str) -> tuple[IntegerModel, dict[int, float]]:
    """The model as integers, and the cost in bits per character of each width that was tried."""
    ids = tokenizer.encode(text)
    columns = max(1, min(_COLUMNS, len(ids) // _LEAST_COLUMN))
    if len(ids) < 2:
        raise InputError(f"a text of {len(ids)} tokens: expected at least 2 to measure what smaller weights cost")
    losses: dict[int, float] = {}
    for bits in _WIDTHS:
        integers = quantize(model, bits)
        losses[bits] = quantization_loss(model, integers, ids, columns=columns) * len(ids) / len(text)
        if losses[bits] <= LARGEST_LOSS:
            break
    return integers, losses


def page(model: Mapping[str, Any]) -> str:
    """The HTML of a packed model. Its one script and its one style are named in the policy by their digests."""
    script = bundle({name: _asset(f"{name}.js") for name in _MODULES})
    style = _asset("writer.css")
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    values = {"policy": policy, "style": style, "script": script, "model": _json(model)}
    return _PLACE.sub(lambda place: values[place[1]], _asset("writer.html"))


def _asset(name: str) -> str:
    return resources.files("longhold").joinpath("web", "assets", name).read_text(encoding="utf-8")


def _digest(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _json(value: object) -> str:
    """JSON that ends no script and begins no comment, whatever text is in it."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")
