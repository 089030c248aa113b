"""The text that is trained on, and the model that continues: what the arguments of `train` name."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from longhold.data.corpora import Corpus, known_names, load_corpus, load_known
from longhold.errors import InputError
from longhold.files import StrPath, as_path, named_beside, quoted
from longhold.models.language_model import LanguageModel
from longhold.options import TextOptions
from longhold.text.model import TextModel, load
from longhold.training.plan import Cost, WarmStart


def require_arguments(source: object, paths: Mapping[str, object]) -> None:
    """Refuse a text or a path that is of another type."""
    if not isinstance(source, Corpus | str | os.PathLike) or (
        isinstance(source, os.PathLike) and not _is_named(source)
    ):
        raise InputError(
            "a text should be a path, a pattern, a known name or '-' for standard input, or one that is at hand as "
            f"longhold.data.Corpus(name, text), got {type(source).__name__}"
        )
    for name, path in paths.items():
        if path is not None and not isinstance(path, TextModel):
            as_path(path, name)


def _is_named(path: os.PathLike[Any]) -> bool:
    return isinstance(os.fspath(path), str)


def settings(values: object, name: str) -> dict[str, Any]:
    """Returns a copy of the settings by name; InputError where they are no mapping."""
    if values is not None and not isinstance(values, Mapping):
        raise InputError(f"{name}={values!r:.60}: expected a dict of settings by name")
    return dict(values or {})


def starting_model(
    source: StrPath | Corpus, begin: TextModel | StrPath | None, output: StrPath | None, options: TextOptions
) -> TextModel:
    """Returns the model to continue; `InputError` where there is none, or an option would need a new one."""
    if begin is None:
        begin = source if is_model(source) else output
    if begin is None:
        raise InputError("more: expected begin= or output=, the model to continue")
    if not isinstance(begin, TextModel) and _is_missing(begin):
        raise InputError(f"more: there is no model {quoted(begin)} to continue; train one first, without it")
    start = begin if isinstance(begin, TextModel) else load(begin)
    fixed = options.of_a_new_model()
    if fixed:
        raise InputError(f"more: the model is there already, so {', '.join(fixed)} cannot be chosen")
    return start


def _is_missing(path: StrPath) -> bool:
    try:
        os.stat(path)
    except PermissionError:  # reading it reports which
        return False
    except (OSError, ValueError):
        return True
    return False


def warm_start(start: TextModel) -> WarmStart:
    """Returns what a training continues from; InputError where the model is none that can be trained."""
    if not isinstance(start.model, LanguageModel):
        raise InputError(f"more: only a LanguageModel can be continued, not a {type(start.model).__name__}")
    facts = start.facts
    cost = Cost(facts.steps or 0, facts.tokens_seen or 0, facts.seconds or 0.0)
    return WarmStart(start.model, start.tokenizer, facts.characters, cost)


def corpus_of(
    source: StrPath | Corpus,
    start: TextModel | None,
    encoding: str | None,
    leave_out: Sequence[StrPath],
    on_note: Callable[[str], None] | None,
) -> Corpus:
    """Returns the text: for a model file the one beside it, or a known one, by the name of its corpus, noted first."""
    if isinstance(source, Corpus):
        return source
    if not is_model(source):
        return load_corpus(os.fspath(source), encoding=encoding, leave_out=[Path(place) for place in leave_out])
    if start is None:
        raise InputError(f"{quoted(source)} is a model, expected a text; --more 10m continues a model")
    note = on_note or (lambda sentence: None)
    name = start.facts.corpus
    beside = None if name is None else named_beside(Path(source).parent, name)
    if beside is not None:
        note(f"reads the text {quoted(beside.name)}, which lies beside {quoted(source)} and which the model names")
        return load_corpus(beside, encoding=encoding)
    if name is not None and name in known_names():
        note(f"reads the text {name}, which the model names")
        return load_known(name, encoding=encoding)
    wanted = "its text" if name is None else f"its text {name!r:.60}"
    raise InputError(f"{wanted} is not beside {quoted(source)}: give the text, and the model with --output")


def is_model(source: StrPath | Corpus) -> TypeGuard[StrPath]:
    """Returns whether the source is a model file."""
    return not isinstance(source, Corpus) and os.fspath(source).endswith(".safetensors") and os.path.isfile(source)
