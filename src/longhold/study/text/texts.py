"""Texts of a person's own in a study: rows name them by file name and digest, and a folder beside the plan has them."""

import hashlib
import os
import re
from pathlib import Path

from longhold.data import Corpus
from longhold.errors import InputError
from longhold.files import UNKNOWN, make_folder, write_file
from longhold.training import printable

FOLDER = "texts"
"""The folder beside a plan that holds its texts, each in UTF-8 under its digest."""

VARIABLE = "LONGHOLD_TEXTS"
"""An environment variable that names more such folders, joined as those of `PATH`; worker processes read it."""

_DIGITS = 16  # of the SHA-256: enough to tell texts apart and few enough to be read
_OWN = re.compile(rf".*#([0-9a-f]{{{_DIGITS}}})", re.DOTALL)

_folders: list[Path] = []


def keep(corpus: Corpus, folder: Path) -> str:
    """Put a text into a folder of texts, which is made where it is missing, and look for texts there from now on.

    Returns:
        What rows call it: the last part of its name, and the first 16 digits of the SHA-256 of its UTF-8, such as
        `diary.txt#0f7876dad2ea61a4`.

    Raises:
        InputError: it cannot be written.
    """
    data = bytes(corpus.held.utf8)
    digest = hashlib.sha256(data).hexdigest()[:_DIGITS]
    if _held(folder, digest) is None:
        write_file(make_folder(folder) / f"{digest}.txt", data, UNKNOWN, overwrite=True)
    look_in(folder)
    return f"{_last_part(corpus.name)}#{digest}"


def look_in(folder: Path) -> None:
    """Look for texts in this folder too, here and in workers that are started from now on."""
    whole = folder.resolve()
    if whole not in _folders:
        _folders.append(whole)


def environment() -> dict[str, str]:
    """What a worker process has to have in its environment to find the same texts."""
    return {VARIABLE: os.pathsep.join(map(str, _places()))}


def is_own(corpus: str) -> bool:
    """Whether a corpus is named as `keep` names them."""
    return _OWN.fullmatch(corpus) is not None


def read_own(corpus: str) -> str:
    """The text of such a name.

    Raises:
        InputError: it is not at hand, or what lies there is another text.
    """
    digest = corpus.rpartition("#")[2]
    for folder in _places():
        data = _held(folder, digest)
        if data is not None:
            return data.decode()
    raise InputError(
        f"the text {corpus!r:.120} is not at hand: expected {FOLDER}/{digest}.txt of that SHA-256 beside the plan, "
        f"or in a folder that {VARIABLE} names"
    )


def _places() -> list[Path]:
    named = [Path(part) for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
    return list(dict.fromkeys([*_folders, *named]))


def _held(folder: Path, digest: str) -> bytes | None:
    """What a folder has under a digest; None where that is nothing or another text."""
    path = folder / f"{digest}.txt"
    try:
        data = path.read_bytes() if path.is_file() else b""
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest().startswith(digest) else None


def _last_part(name: str) -> str:
    """Without the folders that a pattern may begin with, on one line and with nothing that steers a terminal."""
    return printable(" ".join(re.split(r"[/\\]", name.rstrip("/\\"))[-1].split())) or "text"
