"""Lossless compression with a language model: an arithmetic coder and an archive on the fixed-point stepper."""

from longhold.compression.archive import Codec, Header, compress, decompress, read_archive, usual_limit

__all__ = ["Codec", "Header", "compress", "decompress", "read_archive", "usual_limit"]
