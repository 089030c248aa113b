"""Lossless compression with a language model: an arithmetic coder and an archive on the fixed-point stepper."""

from longhold.compression.archive import Header, compress, decompress, read_archive

__all__ = ["Header", "compress", "decompress", "read_archive"]
