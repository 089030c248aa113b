"""The header of a safetensors file, which lists what is in it, checked against the file's size.

    8 bytes     length of the header, little-endian
    header      one JSON object: name -> {dtype, shape, data_offsets}, and texts under `__metadata__`
    the rest    the tensors' bytes, one after the other without gaps

Everything is checked here against the size of the file before a byte of a tensor is read, because a header can name
any size: whoever trusts it first allocates what it claims.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from longhold.documents import LONG_DIGITS, LONGEST, parse_json
from longhold.errors import InputError

_MOST_DIMENSIONS = 16
_LARGEST = 2**48  # entries of a tensor, dimensions of 0 counted as 1
_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E4M3FNUZ", "F8_E5M2", "F8_E5M2FNUZ"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 8),
}


@dataclass(frozen=True)
class Header:
    """The contents of a header, once they fit the file."""

    metadata: Mapping[str, str]
    """the writer's own texts"""
    shapes: Mapping[str, tuple[int, ...]]
    """shape of each stored tensor by name"""


def read_header(file: BinaryIO) -> Header:
    """The header of an open file, with the tensors named in it known to fill exactly the rest of the file.

    Raises:
        InputError: it is no such file, or damaged, truncated or longer than its header claims.
    """
    header, left = _header(file)
    metadata = _metadata(header.pop("__metadata__", {}))
    spans = {name: _span(entry) for name, entry in header.items()}
    _require_gapless(list(spans.values()), left)
    return Header(metadata, {name: tuple(entry["shape"]) for name, entry in header.items()})


def read_metadata(file: BinaryIO) -> tuple[dict[str, str], set[str]]:
    """The writer's own texts and the tensors' names; the rest of the file may be damaged.

    Raises:
        InputError: it is no such file, or the header is damaged.
    """
    header, _ = _header(file)
    return _metadata(header.pop("__metadata__", {})), set(header)


def _header(file: BinaryIO) -> tuple[dict[str, Any], int]:
    """The JSON of a header, and how many bytes follow it."""
    size = os.fstat(file.fileno()).st_size
    if size == 0:
        raise InputError("the file is empty")
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > size - 8:
        raise InputError("it is not a safetensors file, or it is truncated")
    if length > LONGEST:
        raise InputError(f"it is not a safetensors file, or its header is too long: {length:,} bytes of {LONGEST:,}")
    header = parse_json(file.read(length), "it is not a safetensors file, or it is damaged", LONG_DIGITS)
    if not isinstance(header, dict):
        raise InputError("it is not a safetensors file, or it is damaged")
    return header, size - 8 - length


def _metadata(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise InputError("it is truncated or damaged")
    return value


def _span(entry: Any) -> tuple[int, int]:
    """Where a tensor's bytes begin and end, as many as its type and shape need."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise InputError("it is truncated or damaged")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not (isinstance(dtype, str) and dtype in _BYTES and _sizes(shape) and _sizes(offsets) and len(offsets) == 2):
        raise InputError("it is truncated or damaged")
    capacity = _LARGEST
    for size in shape:
        capacity //= max(size, 1)
    if len(shape) > _MOST_DIMENSIONS or capacity == 0 or offsets[1] - offsets[0] != math.prod(shape) * _BYTES[dtype]:
        raise InputError("it is truncated or damaged")
    return offsets[0], offsets[1]


def _sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(size) is int and 0 <= size <= _LARGEST * 8 for size in value)


def _require_gapless(spans: list[tuple[int, int]], capacity: int) -> None:
    end = 0
    for start, stop in sorted(spans):
        if start != end:
            raise InputError("it is truncated or damaged")
        end = stop
    if end != capacity:
        raise InputError("it is truncated or damaged")
