"""A folder for a model hub: the model file, its configuration as JSON, and a model card. Nothing is uploaded."""

import json
from collections.abc import Mapping
from typing import Any

from longhold.data.tokenizers import Tokenizer
from longhold.export.facts import shareable
from longhold.export.folder import write_folder
from longhold.export.recitation import Recitation
from longhold.files import StrPath, beginning
from longhold.models.file import file_kind
from longhold.models.language_model import LanguageModel

MODEL = "model.safetensors"
"""The file in the folder that longhold reads."""

KINDS = {
    MODEL: file_kind("language_model"),
    "config.json": beginning("a configuration of longhold export", b'{\n "model_type": "longhold",'),
    "README.md": beginning("a model card of longhold export", b"---\nlibrary_name: longhold\n"),
}
"""The files in the folder, and how each is recognized."""

_CARD = """---
library_name: longhold
pipeline_tag: text-generation
tags:
- recurrent-neural-network
- {cell}
- longhold
---

# A small {CELL} that writes

A recurrent network that predicts the next {unit} of a text, trained from nothing on one text with longhold. It knows no
other text than that one.

| | |
|---|---|
{rows}

## How to use it

```sh
pip install longhold
longhold write {model} --length 300
longhold info {model}
longhold export {model} --to html
```

```python
import longhold

model = longhold.load("{model}")
print("".join(model.write(length=300, seed=1)))
```

## What it is for

To write in the style of its text, to look inside a network as it reads, and to compress texts of its kind. It imitates
form; its statements are not true, and nothing taught it what to leave out. It is no assistant, follows no
instructions and should not decide anything about anyone.

## It can repeat its text verbatim

Whoever has this file can make it write as much as they like, so it can repeat passages of the text it was trained on,
names and private matter among them. {recited} Give it away only if you could give the text away.

## What is not in it

The text, its name, any path, user or machine name, times. A vocabulary of words or byte pairs is made of pieces of the
text.

## Licence

Not stated here: it depends on the text. Whoever publishes the model names one.
"""

_UNITS = {"char": "character", "byte": "byte", "word": "word", "bpe": "piece of a word"}


def export_hub(
    model: LanguageModel,
    tokenizer: Tokenizer,
    folder: StrPath,
    file: bytes,
    facts: Mapping[str, Any] | None = None,
    recited: Recitation | None = None,
    *,
    overwrite: bool = False,
) -> int:
    """Write `model.safetensors`, `config.json` and `README.md`, the card; returns the number of bytes.

    Arguments:
        model: what is in the file.
        tokenizer: its tokenizer.
        folder: made if it is not there; if it is, it may hold an earlier export, which is replaced.
        file: the model file's bytes, with no more facts in it than `shareable` leaves.
        facts: of the training; see `longhold.export.facts`.
        recited: how much of its training text the model repeats verbatim, of which the card states the length
            alone; None: not measured.
        overwrite: whether files by these names that longhold did not write are replaced too.

    Raises:
        InputError: the folder holds other files, or cannot be written.
    """
    shared = shareable(facts or {})
    config = {"model_type": "longhold", **model.config.model_dump(mode="json"), "facts": shared}
    files = {
        MODEL: file,
        "config.json": (json.dumps(config, ensure_ascii=False, indent=1) + "\n").encode(),
        "README.md": card(model, tokenizer, shared, recited).encode(),
    }
    return write_folder(folder, files, KINDS, overwrite=overwrite)


def card(model: LanguageModel, tokenizer: Tokenizer, facts: Mapping[str, Any], recited: Recitation | None) -> str:
    """The model card in Markdown."""
    config = model.config
    rows = {
        "network": f"{config.cell.upper()}, {config.num_layers} x {config.hidden_size} units",
        "parameters": f"{sum(parameter.numel() for parameter in model.parameters()):,}",
        "state": f"{model.state_bytes():,} bytes",
        "vocabulary": f"{tokenizer.vocab_size:,} ids ({tokenizer.kind})",
        **{_named(name): _figure(value) for name, value in facts.items()},
    }
    return _CARD.format(
        cell=config.cell,
        CELL=config.cell.upper(),
        unit=_UNITS[tokenizer.kind],
        model=MODEL,
        rows="\n".join(f"| {name} | {value} |" for name, value in rows.items()),
        recited=_recited(recited),
    )


def _named(fact: str) -> str:
    return {"characters": "characters trained on", "longhold_version": "longhold"}.get(fact, fact.replace("_", " "))


def _figure(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}" if isinstance(value, float) else str(value)


def _recited(recited: Recitation | None) -> str:
    if recited is None:
        return "How much of it this model repeats was not measured."
    return (
        f"In {recited.sampled:,} characters that it wrote for this card, the longest run that stands word for word in "
        f"its text has {len(recited.run)} characters; that is what one sample showed, and no limit."
    )
