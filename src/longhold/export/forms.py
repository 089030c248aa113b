"""The forms in which a text model is given away, by name."""

import json
import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from longhold.data.corpora import Corpus
from longhold.data.openings import common_opening
from longhold.errors import InputError
from longhold.export import html, hub, onnx_file, torch_nn
from longhold.export.facts import shareable
from longhold.export.folder import require_export_folder
from longhold.export.html import export_html
from longhold.export.hub import MODEL, export_hub
from longhold.export.recitation import Recitation
from longhold.export.torch_nn import SCRIPT, export_torch
from longhold.files import Kind, Source, argument, require_output
from longhold.models.language_model import LanguageModel
from longhold.text import Facts, TextModel

FORMS: Final = {"html": ".html", "onnx": ".onnx", "torch": "-torch", "hub": "-hub"}
"""Each form, and how the names of its files or folders end."""

_FILES: dict[str, Kind] = {"html": html.KIND, "onnx": onnx_file.KIND}
_FOLDERS: dict[str, Mapping[str, Kind]] = {"torch": torch_nn.KINDS, "hub": hub.KINDS}
_MEASURED = 20_000  # characters
_OPENED = 1_000  # tokens, to see how its sentences begin
_LEAST_HELD_OUT = 1_000  # characters


def require_place(form: str, place: Path, read: Sequence[Source], force: bool) -> None:
    """Refuse a place where the export could not be written, or would replace what it must not (`longhold.files`)."""
    if form in _FOLDERS:
        require_export_folder(place, _FOLDERS[form], inputs=read, overwrite=force)
    else:
        require_output(place, _FILES[form], inputs=read, overwrite=force)


@final
@dataclass(frozen=True)
class Export:
    """A text model, and what an export of it is made from."""

    model: TextModel
    """The model."""
    network: LanguageModel
    """The network in it."""
    place: Path
    """The file or folder."""
    corpus: Corpus | None
    """Its training text, where that is at hand."""
    recited: Recitation | None
    """How much of it the model recites, where that is known."""
    overwrite: bool
    """Whether files that longhold did not write are replaced too."""

    @property
    def facts(self) -> dict[str, Any]:
        """What is known of the training; the exports take what may be shared."""
        return self.model.facts.model_dump(mode="json")


def export_as(
    form: str,
    model: TextModel,
    place: Path,
    corpus: Corpus | None,
    recited: Recitation | None = None,
    *,
    overwrite: bool = False,
) -> Iterator[str]:
    """Write a model in one of `FORMS`; yields the line that reports it.

    Raises:
        InputError: the model has no such form, or the place cannot be written.
    """
    if not isinstance(model.model, LanguageModel):
        raise InputError(f"only a LanguageModel can be exported, not a {type(model.model).__name__}")
    yield from _WRITERS[form](Export(model, model.model, place, corpus, recited, overwrite))


def _onnx(export: Export) -> Iterator[str]:
    from longhold.export.onnx import export_model, save_onnx

    facts = json.dumps(shareable(export.facts))
    tokenizer = json.dumps(export.model.tokenizer.to_dict(), ensure_ascii=False)
    made = export_model(export.network, {"tokenizer": tokenizer, "facts": facts})
    size = save_onnx(made, export.place, overwrite=export.overwrite)
    states = " and ".join(f"{name}_0" for name in export.network.layer.recurrence.state_names)
    gives = "it gives logits (T, B, V) and the states after"
    yield f"{export.place}: {size:,} bytes; give it ids (T, B) and {states}, {gives}"


def _torch(export: Export) -> Iterator[str]:
    size = export_torch(export.network, export.model.tokenizer, export.place, export.facts, overwrite=export.overwrite)
    opening = common_opening("".join(export.model.write(length=_OPENED, seed=1)))
    prime = f" --prime {shlex.quote(opening)}" if opening else ""
    yield f"{export.place}: {size:,} bytes; write with it: python {argument(export.place / SCRIPT)}{prime}"


def _hub(export: Export) -> Iterator[str]:
    shared = TextModel(export.network, export.model.tokenizer, Facts(**shareable(export.facts)))
    with tempfile.TemporaryDirectory() as folder:
        shared.save(Path(folder) / MODEL)
        file = (Path(folder) / MODEL).read_bytes()
    size = export_hub(
        export.network, shared.tokenizer, export.place, file, export.facts, export.recited, overwrite=export.overwrite
    )
    yield f"{export.place}: {size:,} bytes, nothing uploaded; before you publish it read README.md and name a licence"


def _html(export: Export) -> Iterator[str]:
    text, called = _unseen(export.model, export.corpus)
    page = export_html(
        export.network, export.model.tokenizer, export.place, text, export.facts, overwrite=export.overwrite
    )
    yield f"{export.place}: {page}; measured on {called}"


def _unseen(model: TextModel, corpus: Corpus | None) -> tuple[str, str]:
    """What the cost of smaller weights is measured on, and what it is called."""
    if corpus is None:
        return "".join(model.write(length=_MEASURED, temperature=1, seed=1)), "what it wrote itself"
    trained = model.facts.characters
    if trained is not None and len(corpus.text) - trained >= _LEAST_HELD_OUT:
        return corpus.text[trained:][:_MEASURED], "the text that follows what it was trained on"
    return corpus.text[-_MEASURED:], "the end of the given text"


_WRITERS: dict[str, Callable[[Export], Iterator[str]]] = {"html": _html, "onnx": _onnx, "torch": _torch, "hub": _hub}
