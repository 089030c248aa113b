"""Text from wherever a person has it."""

from __future__ import annotations

import difflib
import glob
import stat
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, BinaryIO, TypeVar

from longhold.data.catalogue import KNOWN, locate, own_file, packed_text
from longhold.data.decoding import Decoded, decode
from longhold.data.held_text import HeldText
from longhold.data.lines import as_read
from longhold.data.overlap import near_twins
from longhold.errors import InputError
from longhold.files import Source

PYDOC = "pydoc"
"""The name of the English text that every Python carries."""

STANDARD_INPUT = "standard input"
"""What the text of `-` is called."""

_DEMO = "timemachine"
_Text = TypeVar("_Text", str, HeldText)


@dataclass(frozen=True, init=False)
class Corpus:
    """A text and where it came from."""

    name: str
    """The known name, or what the source is called."""
    held: HeldText
    """All of it, never empty."""
    encoding: str
    """How it was read; several names, sorted and joined by commas, where the files differ."""
    files: int
    """How many files it was read from; 0 for standard input and `pydoc`."""
    notes: tuple[str, ...]
    """What a person should know: guessed encodings, skipped files, where it was fetched."""
    sources: tuple[Source, ...] = field(default=(), compare=False, repr=False)
    """The files it was read from, which nothing that comes of it may be written over."""

    def __init__(
        self,
        name: str,
        text: str | HeldText,
        encoding: str = "utf-8",
        files: int = 0,
        notes: tuple[str, ...] = (),
        sources: tuple[Source, ...] = (),
    ) -> None:
        """A text that is at hand; a `str` is read as that of a file is (`longhold.data.lines`).

        Raises:
            InputError: name or text is no `str`.
        """
        if not isinstance(name, str):
            raise InputError(f"the name of a text should be a str, got {type(name).__name__}")
        held = text if isinstance(text, HeldText) else HeldText.of(as_read(text))
        for each, value in zip(fields(self), (name, held, encoding, files, notes, sources), strict=True):
            object.__setattr__(self, each.name, value)

    @property
    def text(self) -> str:
        """All of it as one `str`, which takes up to four bytes a character and is made anew at each call."""
        return str(self.held)


def load_corpus(
    source: str | Path,
    *,
    encoding: str | None = None,
    stdin: BinaryIO | None = None,
    leave_out: Sequence[str | Path] = (),
) -> Corpus:
    """The text of `source`: `-` for standard input, a path, a folder, a known name or a glob pattern.

    What exists as a path wins over a name, and a name over a pattern. Of a folder all text files below it are read, in
    the order of their paths and joined by a line break; hidden files are left out, and so are files that are no text
    and whatever lies in a folder of `leave_out`, where something is about to be written. `encoding` is obeyed or
    refused; without it see `decode`. Raises `InputError` where there is no text to be had.
    """
    try:
        return _load(str(source), encoding, stdin, leave_out)
    except OSError as error:  # of a folder that shows its names and no more, or one that is gone meanwhile
        raise InputError(f"cannot read {error.filename or source}: {error.strerror or error}") from None


def _load(source: str, encoding: str | None, stdin: BinaryIO | None, leave_out: Sequence[str | Path]) -> Corpus:
    if source == "-":
        return _standard_input(stdin or sys.stdin.buffer, encoding)
    path = Path(source).expanduser()
    if source and _exists(path):
        return _of_folder(path, encoding, leave_out) if path.is_dir() else _of_file(path, encoding)
    if source in known_names():
        return load_known(source, encoding=encoding)
    if glob.has_magic(source):
        return _of_pattern(source, str(path), encoding, leave_out)
    if "\n" in source:
        raise InputError(f"no file {source!r:.60}; a text itself goes as longhold.data.Corpus(name, text)")
    raise InputError(f"no file, folder or known text {source!r:.200}; {_suggestion(source)}")


def load_known(name: str, *, encoding: str | None = None) -> Corpus:
    """The text of a known name, whatever lies in the current folder under that name."""
    return _of_name(name, encoding)


def open_number(stream: IO[Any]) -> tuple[int, ...]:
    """The number of an open file, as an entry of `Corpus.sources`; nothing for what has none."""
    try:
        return (stream.fileno(),)
    except (OSError, ValueError):
        return ()


def known_names() -> tuple[str, ...]:
    """The names that `load_corpus` knows."""
    return (*KNOWN, PYDOC)


def demo_corpus() -> Corpus:
    """*The Time Machine* as it comes with the package, whatever else is called so: the same text everywhere."""
    return _single(_DEMO, decode(packed_text(KNOWN[_DEMO]) or b"", name=_DEMO), files=1)


def require_length(corpus: Corpus, minimum: int, purpose: str = "train") -> None:
    """`InputError` unless the corpus has at least `minimum` characters."""
    if len(corpus.held) < minimum:
        raise InputError(
            f"longhold needs at least {minimum} characters to {purpose}, got {len(corpus.held)} from {corpus.name}"
        )


def split(text: _Text, held_out: float = 0.1) -> tuple[_Text, _Text]:
    """`text` cut in two: the head to train on, and the last `held_out` of it, at least one character, to test on."""
    if not 0 < held_out < 1:
        raise InputError(f"held_out must be a fraction between 0 and 1, got {held_out}")
    if len(text) < 2:
        raise InputError(f"a text must have at least 2 characters to be split, got {len(text)}")
    cut = len(text) - min(max(1, round(held_out * len(text))), len(text) - 1)
    return text[:cut], text[cut:]


def _of_name(name: str, encoding: str | None) -> Corpus:
    if name == PYDOC:
        return _pydoc()
    packed = packed_text(KNOWN[name]) if own_file(KNOWN[name]) is None else None
    if packed is not None:
        return _single(name, decode(packed, name=name, encoding=encoding), files=1)
    path, notes = locate(KNOWN[name])
    return _single(name, decode(_read(path), name=str(path), encoding=encoding), 1, notes, (path,))


def _of_file(path: Path, encoding: str | None) -> Corpus:
    return _single(path.name, decode(_read(path), name=str(path), encoding=encoding), 1, sources=(path,))


def _standard_input(stdin: BinaryIO, encoding: str | None) -> Corpus:
    decoded = decode(stdin.read(), name=STANDARD_INPUT, encoding=encoding)
    return _single(STANDARD_INPUT, decoded, sources=open_number(stdin))


def _of_folder(folder: Path, encoding: str | None, leave_out: Sequence[str | Path]) -> Corpus:
    below = _outside([path for path in folder.rglob("*") if path.is_file()], leave_out)
    shown = [path for path in below if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    hidden = len(below) - len(shown)
    return _joined(folder.resolve().name or str(folder), sorted(shown), encoding, hidden)


def _of_pattern(source: str, pattern: str, encoding: str | None, leave_out: Sequence[str | Path]) -> Corpus:
    found = _outside([Path(match) for match in glob.glob(pattern, recursive=True)], leave_out)
    return _joined(source, sorted(path for path in found if path.is_file()), encoding, hidden=0)


def _outside(paths: list[Path], folders: Sequence[str | Path]) -> list[Path]:
    """The paths that lie in none of the folders."""
    whole = [place.resolve() for place in map(Path, folders) if place.is_dir()]
    return [path for path in paths if not whole or not any(path.resolve().is_relative_to(place) for place in whole)]


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
    text, parts = _join(texts)
    if text.is_blank():
        found = f"of {_files(len(paths))} {len(skipped)} not {encoding or 'text'}, the others empty"
        raise InputError(f"{name} has no text: {found if paths else 'no file found'}")
    encodings = ", ".join(sorted({decoded.encoding for decoded in texts}))
    notes = (*_notes(texts, skipped, hidden, encoding), *_twins(parts, taken))
    return Corpus(name, text, encodings, len(texts), notes, tuple(taken))


def _join(texts: list[Decoded]) -> tuple[HeldText, list[HeldText]]:
    """The texts with a line break between them, and each as a part of that; their own bytes are let go."""
    joined, ends = bytearray(), [-1]
    for place, decoded in enumerate(texts):
        joined += (b"\n" if place else b"") + decoded.held.utf8
        ends.append(len(joined))
        texts[place] = replace(decoded, held=HeldText(b""))
    whole = HeldText(joined)
    return whole, [HeldText(whole.utf8[before + 1 : end]) for before, end in pairwise(ends)]


def _twins(texts: list[HeldText], paths: list[Path]) -> tuple[str, ...]:
    pairs = near_twins(texts)
    if not pairs:
        return ()
    shown = ", ".join(f"{paths[later].name} (as {paths[first].name})" for first, later in pairs[:3])
    more = ", ..." if len(pairs) > 3 else ""
    return (f"{_files(len(pairs))} nearly the same as another: {shown}{more}; repeated text is memorized",)


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
    return begins + (f"; it could also be {' or '.join(decoded.others)}" if decoded.others else "")


def _files(count: int) -> str:
    return f"{count} file" if count == 1 else f"{count} files"


def _single(
    name: str, decoded: Decoded, files: int = 0, notes: Iterable[str] = (), sources: tuple[Source, ...] = ()
) -> Corpus:
    if decoded.held.is_blank():
        raise InputError(f"{name} is empty, expected text")
    note = (decoded.note + _shown(decoded),) if decoded.note else ()
    return Corpus(name, decoded.held, decoded.encoding, files, (*notes, *note), sources)


def _pydoc() -> Corpus:
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise InputError("this Python has no pydoc_data, expected the help texts that come with Python") from None
    return Corpus(PYDOC, "\n".join(topics[key] for key in sorted(topics)), "utf-8", 0, ())


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError as error:  # of a folder on the way
        raise InputError(f"cannot read {path}: {error.strerror}") from None
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


def _suggestion(source: str) -> str:
    names = known_names()
    close = difflib.get_close_matches(source.lower(), names, n=1)
    return (f"did you mean {close[0]}? " if close else "") + f"known texts: {', '.join(names)}"
