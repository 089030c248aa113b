"""Token ids in a file that is mapped, not read, so that a text may be larger than memory."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from longhold.data.batching import Tokens
from longhold.errors import InputError
from longhold.files import beginning, replacing, require_output

_HEADER = struct.Struct("<8sIIQQ")
_MAGIC = b"longhold"
_VERSION = 1
_DTYPES: dict[int, np.dtype[np.unsignedinteger]] = {2: np.dtype("<u2"), 4: np.dtype("<u4")}


@dataclass(frozen=True)
class TokenFile:
    """An open token file."""

    tokens: Tokens
    """The ids, `(N,)`, mapped read-only: uint16 where the vocabulary has up to 65,536 ids, else uint32."""
    vocab_size: int
    """The number of ids of the tokenizer; every token is below it."""


KIND = beginning("a token file", _MAGIC)
"""What a token file is known by."""


def write_tokens(path: str | Path, chunks: Iterable[Tokens], vocab_size: int, *, overwrite: bool = False) -> int:
    """Writes the ids of `chunks` one after the other and returns their number.

    The file is a header of 32 bytes (`longhold`, version, bytes per token, number of tokens, vocabulary size;
    little-endian) and the ids. It appears under `path` only when it is whole; a token file that is there is replaced,
    and any other file with `overwrite`. Raises `InputError` for an id outside the vocabulary, for no ids at all,
    and where the file cannot be written.
    """
    if not 1 <= vocab_size <= 1 << 32:
        raise InputError(f"vocab_size of a token file must be in 1..2**32, got {vocab_size}")
    require_output(path, KIND, overwrite=overwrite)
    with replacing(path) as file:
        return _write(file, chunks, vocab_size)


def open_tokens(path: str | Path) -> TokenFile:
    """Maps the file that `write_tokens` wrote; `InputError` if it is missing, cut short or something else."""
    try:
        with open(path, "rb") as file:
            header = file.read(_HEADER.size)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    if len(header) < _HEADER.size or not header.startswith(_MAGIC):
        raise InputError(f"{path} is not a token file")
    _, version, width, count, vocab_size = _HEADER.unpack(header)
    if version != _VERSION:
        raise InputError(f"{path} has token file version {version}, expected {_VERSION}")
    if width not in _DTYPES or not 1 <= vocab_size <= 1 << 8 * width or count < 1:
        raise InputError(f"{path} has a damaged header: {count} tokens of {width} bytes, {vocab_size} ids")
    if size != _HEADER.size + count * width:
        raise InputError(f"{path} must have {_HEADER.size + count * width} bytes for its {count} tokens, got {size}")
    tokens = np.memmap(path, dtype=_DTYPES[width], mode="r", offset=_HEADER.size, shape=(count,))
    return TokenFile(tokens, vocab_size)


def _write(file: BinaryIO, chunks: Iterable[Tokens], vocab_size: int) -> int:
    width = 2 if vocab_size <= 1 << 16 else 4
    count = 0
    file.write(bytes(_HEADER.size))
    for chunk in chunks:
        ids = np.asarray(chunk)
        if ids.ndim != 1 or (ids.size and not np.issubdtype(ids.dtype, np.integer)):
            raise InputError(f"tokens must be rows of integers, got shape {ids.shape} of {ids.dtype}")
        if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) < vocab_size:
            raise InputError(f"tokens must be in 0..{vocab_size - 1}, got {ids.min()}..{ids.max()}")
        file.write(ids.astype(_DTYPES[width]).tobytes())
        count += ids.size
    if not count:
        raise InputError("a token file needs at least one token, got none")
    file.seek(0)
    file.write(_HEADER.pack(_MAGIC, _VERSION, width, count, vocab_size))
    file.flush()
    os.fsync(file.fileno())
    return count
