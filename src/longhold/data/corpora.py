"""Text from wherever a person has it."""

from __future__ import annotations

import difflib
import glob
import stat
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from longhold.data.catalogue import FETCH_SECONDS, KNOWN, locate
from longhold.data.decoding import Decoded, decode
from longhold.data.overlap import near_twins
from longhold.errors import InputError

PYDOC = "pydoc"
"""The name of the English text that every Python carries."""

_DEMO_SECONDS = 5.0


@dataclass(frozen=True)
class Corpus:
    """A text and where it came from."""

    name: str
    """The known name, or what the source is called."""
    text: str
    """All of it, never empty."""
    encoding: str
    """How it was read; several names, sorted and joined by commas, where the files differ."""
    files: int
    """How many files it was read from; 0 for standard input and `pydoc`."""
    notes: tuple[str, ...]
    """What a person should know: guessed encodings, skipped files, where it was fetched."""


def load_corpus(source: str | Path, *, encoding: str | None = None, stdin: BinaryIO | None = None) -> Corpus:
    """The text of `source`: `-` for standard input, a path, a folder, a known name or a glob pattern.

    What exists as a path wins over a name, and a name over a pattern. Of a folder all text files below it are read, in
    the order of their paths and joined by a line break; hidden files are left out, and so are files that are no text.
    `encoding` is obeyed or refused; without it see `decode`. Raises `InputError` where there is no text to be had.
    """
    try:
        return _found(str(source), encoding, stdin)
    except OSError as error:  # of a folder that shows its names and no more, or one that is gone meanwhile
        raise InputError(f"cannot read {error.filename or source}: {error.strerror or error}") from None


def _found(asked: str, encoding: str | None, stdin: BinaryIO | None) -> Corpus:
    if asked == "-":
        return _standard_input(stdin or sys.stdin.buffer, encoding)
    path = Path(asked).expanduser()
    if asked and _exists(path):
        return _of_folder(path, encoding) if path.is_dir() else _of_file(path, encoding)
    if asked in known_names():
        return _of_name(asked, encoding, FETCH_SECONDS)
    if glob.has_magic(asked):
        return _of_pattern(asked, str(path), encoding)
    raise InputError(f"no file, folder or known text {asked!r:.200}; {_suggestion(asked)}")


def known_names() -> tuple[str, ...]:
    """The names that `load_corpus` knows."""
    return (*KNOWN, PYDOC)


def demo_corpus() -> Corpus:
    """*The Time Machine* if it can be had within a few seconds, else `pydoc` with a note that says so."""
    try:
        return _of_name("timemachine", None, _DEMO_SECONDS)
    except InputError as error:
        return _pydoc((f"The Time Machine was not to be had, so this is text from Python's own help: {error}",))


def require_length(corpus: Corpus, minimum: int, purpose: str = "train") -> None:
    """`InputError` unless the corpus has at least `minimum` characters."""
    if len(corpus.text) < minimum:
        raise InputError(
            f"longhold needs at least {minimum} characters to {purpose}, got {len(corpus.text)} from {corpus.name}"
        )


def split(text: str, held_out: float = 0.1) -> tuple[str, str]:
    """`text` cut in two: the head to train on, and the last `held_out` of it, at least one character, to test on."""
    if not 0 < held_out < 1:
        raise InputError(f"held_out must be a share between 0 and 1, got {held_out}")
    if len(text) < 2:
        raise InputError(f"a text must have at least 2 characters to be split, got {len(text)}")
    cut = len(text) - min(max(1, round(held_out * len(text))), len(text) - 1)
    return text[:cut], text[cut:]


def _of_name(name: str, encoding: str | None, seconds: float) -> Corpus:
    if name == PYDOC:
        return _pydoc(())
    path, notes = locate(KNOWN[name], seconds)
    return _single(name, decode(_read(path), name=str(path), encoding=encoding), 1, notes)


def _of_file(path: Path, encoding: str | None) -> Corpus:
    return _single(path.name, decode(_read(path), name=str(path), encoding=encoding), 1)


def _standard_input(stdin: BinaryIO, encoding: str | None) -> Corpus:
    name = "standard input"
    return _single(name, decode(stdin.read(), name=name, encoding=encoding), 0)


def _of_folder(folder: Path, encoding: str | None) -> Corpus:
    below = [path for path in folder.rglob("*") if path.is_file()]
    shown = [path for path in below if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    hidden = len(below) - len(shown)
    return _joined(folder.resolve().name or str(folder), sorted(shown), encoding, hidden)


def _of_pattern(asked: str, pattern: str, encoding: str | None) -> Corpus:
    found = [Path(match) for match in glob.glob(pattern, recursive=True)]
    return _joined(asked, sorted(path for path in found if path.is_file()), encoding, hidden=0)


def _joined(name: str, paths: list[Path], encoding: str | None, hidden: int) -> Corpus:
    texts: list[Decoded] = []
    taken: list[Path] = []
    skipped: list[Path] = []
    for path in paths:
        raw = _read(path)
        try:
            texts.append(decode(raw, name=str(path), encoding=encoding))
        except InputError:
            skipped.append(path)
        else:
            taken.append(path)
    text = "\n".join(decoded.text for decoded in texts)
    if not text.strip():
        found = f"of {_files(len(paths))} {len(skipped)} not {encoding or 'text'}, the others empty"
        raise InputError(f"{name} has no text: {found if paths else 'no file found'}")
    encodings = ", ".join(sorted({decoded.encoding for decoded in texts}))
    notes = (*_notes(texts, skipped, hidden, encoding), *_twins(texts, taken))
    return Corpus(name, text, encodings, len(texts), notes)


def _twins(texts: list[Decoded], paths: list[Path]) -> tuple[str, ...]:
    pairs = near_twins([decoded.text for decoded in texts])
    if not pairs:
        return ()
    shown = ", ".join(f"{paths[later].name} (as {paths[first].name})" for first, later in pairs[:3])
    more = ", ..." if len(pairs) > 3 else ""
    return (f"{_files(len(pairs))} nearly the same as another: {shown}{more}; what stands twice is learnt by heart",)


def _notes(texts: list[Decoded], skipped: list[Path], hidden: int, encoding: str | None) -> tuple[str, ...]:
    counts = Counter(decoded.note for decoded in texts if decoded.note)
    first = {decoded.note: decoded for decoded in reversed(texts)}
    notes = [f"{_files(count)} {note}{_shown(first[note])}" for note, count in sorted(counts.items())]
    if skipped:
        names = ", ".join(path.name for path in skipped[:3]) + (", ..." if len(skipped) > 3 else "")
        notes.append(f"{_files(len(skipped))} skipped, not {encoding or 'text'}: {names}")
    if hidden:
        notes.append(f"{_files(hidden)} skipped, hidden")
    return tuple(notes)


def _shown(decoded: Decoded) -> str:
    begins = f'; it reads "{decoded.preview}"' if decoded.preview else ""
    return begins + (f"; {' or '.join(decoded.others)} would fit too" if decoded.others else "")


def _files(count: int) -> str:
    return f"{count} file" if count == 1 else f"{count} files"


def _single(name: str, decoded: Decoded, files: int, notes: Iterable[str] = ()) -> Corpus:
    if not decoded.text.strip():
        raise InputError(f"{name} is empty, expected text")
    said = (decoded.note + _shown(decoded),) if decoded.note else ()
    return Corpus(name, decoded.text, decoded.encoding, files, (*notes, *said))


def _pydoc(notes: tuple[str, ...]) -> Corpus:
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise InputError("this Python has no pydoc_data, expected the help texts that come with Python") from None
    return Corpus(PYDOC, "\n".join(topics[key] for key in sorted(topics)), "utf-8", 0, notes)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name too long or with NUL is no path
        return False


def _read(path: Path) -> bytes:
    try:
        kind = path.stat().st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISFIFO(kind)):
            raise InputError(f"{path} is a device, expected a file or folder")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


def _suggestion(asked: str) -> str:
    names = known_names()
    close = difflib.get_close_matches(asked.lower(), names, n=1)
    return (f"did you mean {close[0]}? " if close else "") + f"known texts: {', '.join(names)}"
