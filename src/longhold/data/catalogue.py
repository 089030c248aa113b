"""Texts known by name: where they lie, and how they get there."""

from __future__ import annotations

import hashlib
import logging
import lzma
import os
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import platformdirs
import pooch

from longhold.errors import InputError

FETCH_SECONDS = 60.0
"""Longest time that one fetch may take."""


@dataclass(frozen=True)
class KnownCorpus:
    """A text that is known by name."""

    name: str
    """What a person types."""
    file: str
    """Its path below `LONGHOLD_DATA`."""
    sha256: str
    """The digest of the file."""
    description: str
    """One line about it."""
    licence: str
    """Under what terms it may be used."""
    url: str | None = None
    """Where it can be fetched; None if it is only read where it lies already."""
    packed: str | None = None
    """Its file in the package, compressed by xz; None if it does not come with the package."""


_TABLE = (
    KnownCorpus(
        name="timemachine",
        file="timemachine.txt",
        sha256="8424dbd9532ac81f7e5f0b6add90e6952baea29158309d7d1bf3884f4e12c516",
        description="H. G. Wells, The Time Machine, as the tutorial has it",
        licence="public domain",
        packed="timemachine.txt.xz",
    ),
    KnownCorpus(
        name="tinyshakespeare",
        file="tinyshakespeare.txt",
        sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        description="scenes of Shakespeare's plays, as char-rnn has them",
        licence="public domain",
        url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    ),
    KnownCorpus(
        name="hongloumeng",
        file="zh/hongloumeng.txt",
        sha256="0f7876dad2ea61a49b789e4a9112c4a14b1b133b308e61038bde24a4a2ce396d",
        description="Dream of the Red Chamber (红楼梦)",
        licence="public domain",
    ),
    KnownCorpus(
        name="lunyu",
        file="zh/lunyu.txt",
        sha256="a132510d50a06cd9682aa4d31d6a2b30292f354f93522cd7c529da1007506691",
        description="Analects (论语)",
        licence="public domain",
    ),
    KnownCorpus(
        name="tangshi300",
        file="zh/tangshi300.txt",
        sha256="e117167453ff1e315115fc15a9159afd3dc688eaca060f44522e736cfb443c09",
        description="Three Hundred Tang Poems (唐诗三百首)",
        licence="public domain",
    ),
)

KNOWN: dict[str, KnownCorpus] = {entry.name: entry for entry in _TABLE}
"""The texts known by name."""


def packed_text(entry: KnownCorpus) -> bytes | None:
    """The text as it comes with the package; None if it does not."""
    if entry.packed is None:
        return None
    return lzma.decompress((files("longhold.data") / "books" / entry.packed).read_bytes())


def own_file(entry: KnownCorpus) -> Path | None:
    """Where a known text lies in `LONGHOLD_DATA`; None if it does not."""
    folder = os.environ.get("LONGHOLD_DATA")
    path = Path(folder) / entry.file if folder else None
    return path if path is not None and path.is_file() else None


def locate(entry: KnownCorpus, seconds: float = FETCH_SECONDS) -> tuple[Path, tuple[str, ...]]:
    """The file of a known text, and notes on how it was come by.

    It is looked for in `LONGHOLD_DATA`, then in the user's cache, then fetched into the cache once, within `seconds`
    and with its digest checked. Raises `InputError` where none of this leads to it.
    """
    path = own_file(entry)
    if path is not None:
        return path, () if _matches(path, entry) else (f"{path} is not the usual text of that name: sha256 differs",)
    cached = cache_folder() / Path(entry.file).name
    if cached.is_file() and _matches(cached, entry):
        return cached, ()
    if entry.url is None:
        raise InputError(
            f"{entry.name} is only read from {entry.file} in the folder LONGHOLD_DATA, which has no such file"
        )
    return _fetch(entry, entry.url, cached, seconds), (f"fetched from {entry.url}",)


def cache_folder() -> Path:
    """Where fetched texts are kept."""
    return platformdirs.user_cache_path("longhold") / "corpora"


def _matches(path: Path, entry: KnownCorpus) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == entry.sha256
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


def _fetch(entry: KnownCorpus, url: str, target: Path, seconds: float) -> Path:
    # A thread, since no timeout of a socket bounds the search for an address or a server that sends drop by drop.
    outcome: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
    threading.Thread(target=_download, args=(entry, url, target, seconds, outcome), daemon=True).start()
    try:
        failure = outcome.get(timeout=seconds)
    except queue.Empty:
        failure = TimeoutError()
    if failure is None:
        return target
    if not isinstance(failure, OSError | ValueError):
        raise failure
    reason = {TimeoutError: f"not there after {seconds:g} s", ValueError: "what came has another sha256"}
    raise InputError(
        f"cannot fetch {entry.name} from {url} ({reason.get(type(failure), type(failure).__name__)}); "
        f"give a file instead, or put it into the folder LONGHOLD_DATA as {entry.file}"
    )


def _download(
    entry: KnownCorpus, url: str, target: Path, seconds: float, outcome: queue.SimpleQueue[Exception | None]
) -> None:
    try:
        with _quiet():
            pooch.retrieve(
                url,
                known_hash=f"sha256:{entry.sha256}",
                fname=target.name,
                path=target.parent,
                downloader=pooch.HTTPDownloader(timeout=seconds),
            )
    except Exception as error:  # carried to the thread that waits
        outcome.put(error)
    else:
        outcome.put(None)


@contextmanager
def _quiet() -> Iterator[None]:
    """What pooch would print goes to the corpus's notes."""
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
