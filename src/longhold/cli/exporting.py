"""What `export` asks, warns about and writes."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import typer

from longhold.cli.output import say
from longhold.data.catalogue import KNOWN, cache_folder
from longhold.data.corpora import PYDOC, Corpus, load_corpus
from longhold.errors import InputError
from longhold.export.facts import shareable
from longhold.export.html import export_html
from longhold.export.recitation import SAMPLED, recitation
from longhold.export.torch_nn import SCRIPT, export_torch
from longhold.models.language_model import LanguageModel
from longhold.text import Facts, TextModel

_ENDINGS = {"html": ".html", "onnx": ".onnx", "torch": "-torch"}
_MOST_TOKENS = 8 * SAMPLED  # of a model that writes bytes, some of which never become characters
_MEASURED = 20_000  # characters
_LEAST_HELD_OUT = 1_000  # characters


def destination(model: Path, to: str, output: Path | None) -> Path:
    """Where the export goes: as told, else the model's name in the current folder.

    Raises:
        InputError: an unknown form, a folder where a file is to be written, or the model itself.
    """
    if to not in _ENDINGS:
        raise InputError(f"--to {to!r:.40}: expected one of {', '.join(_ENDINGS)}")
    path = Path(model.stem + _ENDINGS[to]) if output is None else output
    if path.exists() and model.exists() and path.samefile(model):
        raise InputError(f"cannot export to {path}: that is the model itself")
    if path.is_dir() and to != "torch":
        raise InputError(f"cannot export to {path}: that is a folder, expected a file name")
    if not path.parent.is_dir():
        raise InputError(f"cannot export to {path}: there is no folder {path.parent}")
    return path


def training_text(facts: Facts, source: str | None, encoding: str | None) -> Corpus | None:
    """The text given, or the one that the model names, if that is a known text which lies on this machine."""
    if source is not None:
        corpus = load_corpus(source, encoding=encoding)
        for note in corpus.notes:
            say(note)
        return corpus
    if not _at_hand(facts.corpus):
        return None
    corpus = load_corpus(str(facts.corpus))
    return corpus if facts.characters is None or facts.characters <= len(corpus.text) else None


def _at_hand(name: str | None) -> bool:
    if name == PYDOC:
        return True
    entry = KNOWN.get(name or "")
    if entry is None:
        return False
    here = [Path(folder) / entry.file for folder in [os.environ.get("LONGHOLD_DATA")] if folder]
    return any(path.is_file() for path in [*here, cache_folder() / Path(entry.file).name])


def warn(model: TextModel, corpus: Corpus | None) -> None:
    """Show what the model recites, or say that it is not known."""
    if corpus is None:
        say("the training text is not at hand, so how much of it the model recites is not known (give it with --text)")
    else:
        say(str(recitation(model.write(length=_MOST_TOKENS, seed=0), corpus.text)))
    say("whoever gets this file can make it write: this can recite your text")


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


def written(model: TextModel, to: str, place: Path, corpus: Corpus | None) -> Iterator[str]:
    """Export, and what to say of it."""
    if not isinstance(model.model, LanguageModel):
        raise InputError(f"only a LanguageModel can be exported, not a {type(model.model).__name__}")
    writers: dict[str, Callable[[TextModel, LanguageModel, Path, Corpus | None], Iterator[str]]] = {
        "html": _html,
        "onnx": _onnx,
        "torch": _torch,
    }
    return writers[to](model, model.model, place, corpus)


def _onnx(model: TextModel, network: LanguageModel, place: Path, corpus: Corpus | None) -> Iterator[str]:
    from longhold.export.onnx import export_model, save_onnx

    facts = json.dumps(shareable(model.facts.model_dump(mode="json")))
    tokenizer = json.dumps(model.tokenizer.to_dict(), ensure_ascii=False)
    size = save_onnx(export_model(network, {"tokenizer": tokenizer, "facts": facts}), place)
    states = " and ".join(f"{name}_0" for name in network.layer.recurrence.state_names)
    yield f"{place}: {size:,} bytes; give it ids (T, B) and {states}, it gives logits (T, B, V) and the states after"


def _torch(model: TextModel, network: LanguageModel, place: Path, corpus: Corpus | None) -> Iterator[str]:
    size = export_torch(network, model.tokenizer, place, model.facts.model_dump(mode="json"))
    yield f"{place}: {size:,} bytes; write with it: python {place / SCRIPT} --prime 'Once'"


def _html(model: TextModel, network: LanguageModel, place: Path, corpus: Corpus | None) -> Iterator[str]:
    text, called = _unseen(model, corpus)
    page = export_html(network, model.tokenizer, place, text, model.facts.model_dump(mode="json"))
    yield f"{place}: {page}; measured on {called}"


def _unseen(model: TextModel, corpus: Corpus | None) -> tuple[str, str]:
    """What the cost of smaller weights is measured on, and what it is called."""
    if corpus is None:
        return "".join(model.write(length=_MEASURED, temperature=1, seed=1)), "what it wrote itself"
    trained = model.facts.characters
    if trained is not None and len(corpus.text) - trained >= _LEAST_HELD_OUT:
        return corpus.text[trained:][:_MEASURED], "the text that follows what it was trained on"
    return corpus.text[-_MEASURED:], "the end of the given text"
