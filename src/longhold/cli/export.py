"""`longhold export`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from longhold.errors import InputError

if TYPE_CHECKING:
    from longhold.data.corpora import Corpus
    from longhold.export.recitation import Recitation
    from longhold.text import Facts, TextModel

_TOKENS_PER_CHARACTER = 8  # at most, of a model that writes bytes, some of which never become characters


def export(
    model: Annotated[Path, typer.Argument(help="A model file, as `longhold train` leaves it.")],
    to: Annotated[
        str,
        typer.Option(
            help="html: one page that writes offline; onnx: for ONNX runtimes; torch: a folder for torch.nn; "
            "hub: a folder with a model card."
        ),
    ] = "html",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file or folder; default: the model's name.")
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(
            help="The training text (file, folder, glob pattern, known name, - for standard input), to show how much "
            "of it the model recites."
        ),
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Of the text; default: UTF-8, else detected.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before writing.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Write over files that longhold did not write, but never over what is read.")
    ] = False,
) -> None:
    """Give a model away: as one HTML file, as ONNX, as plain torch.nn, or as a folder for a hub."""
    from longhold.cli.output import say
    from longhold.export.forms import export_as, require_place
    from longhold.text import load

    place = destination(model, to, output)
    require_place(to, place, [model], force)
    text_model = load(model)
    corpus = training_text(text_model.facts, text, encoding)
    require_place(to, place, () if corpus is None else corpus.sources, force)
    recited = warn(text_model, corpus)
    if not confirmed(place, yes):
        say("nothing was exported")
        raise typer.Exit(1)
    for line in export_as(to, text_model, place, corpus, recited, overwrite=force):
        say(line)


def destination(model: Path, to: str, output: Path | None) -> Path:
    """Returns where the export goes: as given, else the model's name in the current folder.

    Raises:
        InputError: an unknown form.
    """
    from longhold.export.forms import FORMS

    if to not in FORMS:
        raise InputError(f"--to {to!r:.40}: expected one of {', '.join(FORMS)}")
    return Path(model.stem + FORMS[to]) if output is None else output


def training_text(facts: "Facts", source: str | None, encoding: str | None) -> "Corpus | None":
    """Returns the text given, or the one that the model names, if that is a known text on this machine."""
    from longhold.cli.output import say
    from longhold.data.corpora import load_corpus, load_known

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
    from longhold.data.catalogue import KNOWN, cache_folder, own_file
    from longhold.data.corpora import PYDOC

    if name == PYDOC:
        return True
    entry = KNOWN.get(name or "")
    if entry is None:
        return False
    return bool(entry.packed or own_file(entry)) or (cache_folder() / Path(entry.file).name).is_file()


def warn(model: "TextModel", corpus: "Corpus | None") -> "Recitation | None":
    """Print how much of its training text the model repeats verbatim, or that it is not known; returns the former."""
    from longhold.cli.output import say
    from longhold.export.recitation import SAMPLED, recitation

    found = None
    if corpus is None:
        say("the training text is not at hand, so how much of it the model recites is not known (give it with --text)")
    else:
        found = recitation(model.write(length=_TOKENS_PER_CHARACTER * SAMPLED, seed=0), corpus.text)
        say(str(found))
    say("whoever gets this file can make it write: this can recite your text")
    return found


def confirmed(place: Path, yes: bool) -> bool:
    """Returns whether to write.

    Raises:
        InputError: there is nobody to ask.
    """
    if yes:
        return True
    if not has_terminal():
        raise InputError("there is no terminal to ask at whether to export: give --yes")
    return typer.confirm(f"Write {place}?", err=True)


def has_terminal() -> bool:
    """Returns whether there is a terminal to ask at."""
    return sys.stdin.isatty()
