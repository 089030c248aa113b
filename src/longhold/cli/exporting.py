"""What `export` asks, warns about and writes."""

import json
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import typer

from longhold.cli.output import say
from longhold.data.catalogue import KNOWN, cache_folder, own_file
from longhold.data.corpora import PYDOC, Corpus, load_corpus, load_known
from longhold.data.openings import common_opening
from longhold.errors import InputError
from longhold.export import html, hub, onnx_file, torch_nn
from longhold.export.facts import shareable
from longhold.export.folder import require_export_folder
from longhold.export.html import export_html
from longhold.export.hub import MODEL, export_hub
from longhold.export.recitation import SAMPLED, Recitation, recitation
from longhold.export.torch_nn import SCRIPT, export_torch
from longhold.files import Kind, Source, argument, require_output
from longhold.models.language_model import LanguageModel
from longhold.text import Facts, TextModel

_ENDINGS = {"html": ".html", "onnx": ".onnx", "torch": "-torch", "hub": "-hub"}
_FILES: dict[str, Kind] = {"html": html.KIND, "onnx": onnx_file.KIND}
_FOLDERS: dict[str, Mapping[str, Kind]] = {"torch": torch_nn.KINDS, "hub": hub.KINDS}
_MOST_TOKENS = 8 * SAMPLED  # of a model that writes bytes, some of which never become characters
_MEASURED = 20_000  # characters
_OPENED = 1_000  # tokens, to see how its sentences begin
_LEAST_HELD_OUT = 1_000  # characters


def destination(model: Path, to: str, output: Path | None) -> Path:
    """Where the export goes: as told, else the model's name in the current folder.

    Raises:
        InputError: an unknown form.
    """
    if to not in _ENDINGS:
        raise InputError(f"--to {to!r:.40}: expected one of {', '.join(_ENDINGS)}")
    return Path(model.stem + _ENDINGS[to]) if output is None else output


def require_place(to: str, place: Path, read: Sequence[Source], force: bool) -> None:
    """Refuse a place where the export could not be written, or would replace what it must not (`longhold.files`)."""
    if to in _FOLDERS:
        require_export_folder(place, _FOLDERS[to], inputs=read, overwrite=force)
    else:
        require_output(place, _FILES[to], inputs=read, overwrite=force)


def training_text(facts: Facts, source: str | None, encoding: str | None) -> Corpus | None:
    """The text given, or the one that the model names, if that is a known text which lies on this machine."""
    if source is not None:
        corpus = load_corpus(source, encoding=encoding)
        for note in corpus.notes:
            say(note)
        return corpus
    if not _at_hand(facts.corpus):
        return None
    corpus = load_known(str(facts.corpus))
    return corpus if facts.characters is None or facts.characters <= len(corpus.text) else None


def _at_hand(name: str | None) -> bool:
    if name == PYDOC:
        return True
    entry = KNOWN.get(name or "")
    if entry is None:
        return False
    return bool(entry.packed or own_file(entry)) or (cache_folder() / Path(entry.file).name).is_file()


def warn(model: TextModel, corpus: Corpus | None) -> Recitation | None:
    """Show what the model recites, or say that it is not known."""
    found = None
    if corpus is None:
        say("the training text is not at hand, so how much of it the model recites is not known (give it with --text)")
    else:
        found = recitation(model.write(length=_MOST_TOKENS, seed=0), corpus.text)
        say(str(found))
    say("whoever gets this file can make it write: this can recite your text")
    return found


def confirmed(place: Path, yes: bool) -> bool:
    """Whether to go on.

    Raises:
        InputError: there is nobody to ask.
    """
    if yes:
        return True
    if not has_terminal():
        raise InputError("there is no terminal to ask at whether to export: give --yes")
    return typer.confirm(f"Write {place}?", err=True)


def has_terminal() -> bool:
    """Whether somebody can answer."""
    return sys.stdin.isatty()


@final
@dataclass(frozen=True)
class Asked:
    """What an export is made from."""

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


def written(
    model: TextModel,
    to: str,
    place: Path,
    corpus: Corpus | None,
    recited: Recitation | None = None,
    *,
    overwrite: bool = False,
) -> Iterator[str]:
    """Export, and what to say of it."""
    if not isinstance(model.model, LanguageModel):
        raise InputError(f"only a LanguageModel can be exported, not a {type(model.model).__name__}")
    writers: dict[str, Callable[[Asked], Iterator[str]]] = {
        "html": _html,
        "onnx": _onnx,
        "torch": _torch,
        "hub": _hub,
    }
    return writers[to](Asked(model, model.model, place, corpus, recited, overwrite))


def _onnx(asked: Asked) -> Iterator[str]:
    from longhold.export.onnx import export_model, save_onnx

    facts = json.dumps(shareable(asked.facts))
    tokenizer = json.dumps(asked.model.tokenizer.to_dict(), ensure_ascii=False)
    made = export_model(asked.network, {"tokenizer": tokenizer, "facts": facts})
    size = save_onnx(made, asked.place, overwrite=asked.overwrite)
    states = " and ".join(f"{name}_0" for name in asked.network.layer.recurrence.state_names)
    gives = "it gives logits (T, B, V) and the states after"
    yield f"{asked.place}: {size:,} bytes; give it ids (T, B) and {states}, {gives}"


def _torch(asked: Asked) -> Iterator[str]:
    size = export_torch(asked.network, asked.model.tokenizer, asked.place, asked.facts, overwrite=asked.overwrite)
    opening = common_opening("".join(asked.model.write(length=_OPENED, seed=1)))
    prime = f" --prime {shlex.quote(opening)}" if opening else ""
    yield f"{asked.place}: {size:,} bytes; write with it: python {argument(asked.place / SCRIPT)}{prime}"


def _hub(asked: Asked) -> Iterator[str]:
    shared = TextModel(asked.network, asked.model.tokenizer, Facts(**shareable(asked.facts)))
    with tempfile.TemporaryDirectory() as folder:
        shared.save(Path(folder) / MODEL)
        file = (Path(folder) / MODEL).read_bytes()
    size = export_hub(
        asked.network, shared.tokenizer, asked.place, file, asked.facts, asked.recited, overwrite=asked.overwrite
    )
    yield f"{asked.place}: {size:,} bytes, nothing uploaded; before you publish it read README.md and name a licence"


def _html(asked: Asked) -> Iterator[str]:
    text, called = _unseen(asked.model, asked.corpus)
    page = export_html(asked.network, asked.model.tokenizer, asked.place, text, asked.facts, overwrite=asked.overwrite)
    yield f"{asked.place}: {page}; measured on {called}"


def _unseen(model: TextModel, corpus: Corpus | None) -> tuple[str, str]:
    """What the cost of smaller weights is measured on, and what it is called."""
    if corpus is None:
        return "".join(model.write(length=_MEASURED, temperature=1, seed=1)), "what it wrote itself"
    trained = model.facts.characters
    if trained is not None and len(corpus.text) - trained >= _LEAST_HELD_OUT:
        return corpus.text[trained:][:_MEASURED], "the text that follows what it was trained on"
    return corpus.text[-_MEASURED:], "the end of the given text"
