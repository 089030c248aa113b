"""How an ONNX file of ours is recognized, without the package onnx."""

import re
from typing import BinaryIO, Final

from longhold.files import Kind

_BEGINNING = re.compile(rb"\x08.\x12\x08longhold", re.DOTALL)  # the version of the format, then the producer's name


def _is_ours(file: BinaryIO) -> bool:
    return _BEGINNING.match(file.read(16)) is not None


KIND: Final = Kind("an ONNX file of longhold export", _is_ours)
"""The files that `longhold.export.onnx.save_onnx` writes."""
