"""The archive: a header, and the coded bytes or the data as they are.

    magic     4 bytes   "LHTX"
    version   1 byte    1
    bits      1 byte    8 or 16, width of a weight in the integer model
    model     16 bytes  first half of the SHA-256 of the packed model
    length    number    bytes of the data
    symbols   number    how many symbols were coded; 0: the payload is the data as they are
    segments  number    how many segments they are in, 1 to 64; 0 if nothing was coded
    sha256    32 bytes  of the data
    crc32     4 bytes   of all the rest of the archive, little-endian
    payload             to the end

A number is written in groups of seven bits, the lowest first, with the eighth bit set in all bytes but the last.
"""

import hashlib
import zlib
from dataclasses import dataclass
from typing import Final, Protocol, final

from longhold.compression.spelling import Spelling
from longhold.compression.stream import MOST_SEGMENTS, OnProgress, decode_symbols, encode_symbols, fits, segments_for
from longhold.data.tokenizers import Tokenizer
from longhold.errors import InputError
from longhold.integer import packed, quantize, unpacked
from longhold.integer.model import Bits
from longhold.models.contract import SequenceModel
from longhold.models.language_model import LanguageModel

MAGIC: Final = b"LHTX"
VERSION: Final = 1
"""The newest version that is read, and the one that is written."""

_DIGEST: Final = 16
_SHA256: Final = 32
_FIXED: Final = len(MAGIC) + 2 + _DIGEST
_LARGEST: Final = 2**53
_LEAST_LIMIT: Final = 2**18
_MOST_TIMES: Final = 1000
_DAMAGED: Final = "the archive is truncated or damaged"
_UNLIKE: Final = "the archive is damaged: what comes out is not what went in (the SHA-256 does not match)"


class HasModel(Protocol):
    """What a `TextModel` is to compression."""

    @property
    def model(self) -> SequenceModel:
        """A `LanguageModel`; others are refused."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Its tokenizer."""


@final
@dataclass(frozen=True)
class Header:
    """What an archive declares of itself."""

    bits: Bits
    """width of a weight"""
    model: bytes
    """which model coded it, 16 bytes"""
    length: int
    """bytes of the data"""
    symbols: int
    """symbols coded; 0: stored"""
    segments: int
    """segments they are in"""
    sha256: bytes
    """of the data"""

    @property
    def is_possible(self) -> bool:
        """Whether the numbers go together."""
        if self.segments == 0:
            return self.symbols == 0
        return self.segments <= MOST_SEGMENTS and self.symbols <= self.length and fits(self.symbols, self.segments)

    def require_within(self, limit: int) -> None:
        """Raise InputError where the archive declares more than `limit` bytes."""
        if self.length > limit:
            raise InputError(
                f"the archive says that it holds {self.length:,} bytes, expected at most {limit:,}; if you trust it, "
                f"give limit={self.length} (--limit {self.length})"
            )


@final
class Codec:
    """A model made ready to compress and decompress: the same as `compress` and `decompress`, for more than one piece.

    The weights are copied when it is made.
    """

    def __init__(self, model: HasModel, bits: Bits = 16) -> None:
        """Convert the model to integers; see `compress`."""
        if not isinstance(model.model, LanguageModel):
            raise InputError(f"only a LanguageModel can compress, not a {type(model.model).__name__}")
        unpacked_model = unpacked(packed(quantize(model.model, bits), model.tokenizer))
        self._bits, self._tokenizer, self._start = bits, model.tokenizer, unpacked_model.start
        self._model, self._spelling = unpacked_model.model, Spelling(unpacked_model.tokens)
        self._digest = bytes.fromhex(unpacked_model.sha256)[:_DIGEST]

    def compress(self, data: bytes, on_progress: OnProgress | None = None) -> bytes:
        """`data` as an archive."""
        symbols = self._spelling.symbols(data, self._tokenizer)
        segments, coded = segments_for(len(symbols)), None
        if data:
            coded = encode_symbols(self._model, self._spelling, symbols, self._start, segments, len(data), on_progress)
        content = hashlib.sha256(data).digest()
        if coded is None:
            return _written(Header(self._bits, self._digest, len(data), 0, 0, content), data)
        return _written(Header(self._bits, self._digest, len(data), len(symbols), segments, content), coded)

    def decompress(self, archive: bytes, on_progress: OnProgress | None = None, *, limit: int | None = None) -> bytes:
        """The data of an archive that a codec of the same model and width made; `limit` as in `decompress`."""
        header, payload = read_archive(archive)
        if (header.bits, header.model) != (self._bits, self._digest):
            raise InputError("the archive was made with another model: it can only be read with the one that made it")
        if header.segments:
            header.require_within(usual_limit(len(archive)) if limit is None else limit)
        data = self._decoded(header, payload, on_progress) if header.segments else payload
        if len(data) != header.length or hashlib.sha256(data).digest() != header.sha256:
            raise InputError(_UNLIKE)
        return data

    def _decoded(self, header: Header, payload: bytes, on_progress: OnProgress | None) -> bytes:
        if header.length > header.symbols * self._spelling.longest:
            raise InputError(_UNLIKE)
        try:
            symbols = decode_symbols(
                self._model, self._spelling, payload, header.symbols, self._start, header.segments, on_progress
            )
            return self._spelling.data(symbols)
        except ValueError:
            raise InputError(_UNLIKE) from None
        except MemoryError:
            raise InputError(
                f"the archive says that it holds {header.length:,} bytes: more memory than there is"
            ) from None


def compress(model: HasModel, data: bytes, *, bits: Bits = 16, on_progress: OnProgress | None = None) -> bytes:
    """`data`, whatever they are, as an archive that the same model turns back into them.

    Args:
        model: a `TextModel`; its probabilities decide how short the archive is.
        data: any bytes. What is UTF-8 is read as text, everything else byte by byte. Where coding would not make it
            shorter the archive holds the data as they are.
        bits: width of a weight in the integer model that is used.
        on_progress: called with the symbols done and all symbols.

    Raises:
        InputError: the model has no integer form; see `longhold.integer.quantize`.
    """
    return Codec(model, bits).compress(data, on_progress)


def decompress(
    model: HasModel, archive: bytes, *, limit: int | None = None, on_progress: OnProgress | None = None
) -> bytes:
    """The data that went into `compress`, checked against their SHA-256.

    An archive from a stranger costs no more than its bytes can hold: a model is stepped only while they last.

    Args:
        model: the model that made it.
        archive: what `compress` gave.
        limit: bytes of data that may come out of coded symbols; None: `usual_limit`. Stored data have no limit.
        on_progress: called with the symbols done and all symbols.

    Raises:
        InputError: it is no archive, or from a newer version; it was made with another model; it is truncated or
            damaged, or declares more than the limit.
    """
    if limit is not None and limit < 0:
        raise InputError(f"limit={limit}: expected 0 or more bytes")
    return Codec(model, read_archive(archive)[0].bits).decompress(archive, on_progress, limit=limit)


def usual_limit(archive_bytes: int) -> int:
    """Bytes of data that an archive of so many bytes may hold by default: 1,000 times as many, at least
    2^18. Only data that repeat themselves beyond that need more."""
    return max(_LEAST_LIMIT, _MOST_TIMES * archive_bytes)


def read_archive(archive: bytes) -> tuple[Header, bytes]:
    """The header and the payload; nothing is decoded.

    Raises:
        InputError: it is no archive, from a newer version, truncated or damaged.
    """
    if archive[: len(MAGIC)] != MAGIC:
        raise InputError("not an archive of longhold compress")
    version = archive[len(MAGIC) : len(MAGIC) + 1]
    if version and version[0] > VERSION:
        raise InputError(
            f"the archive has version {version[0]}, this longhold reads version {VERSION}: upgrade longhold"
        )
    try:
        header, end = _header(archive)
    except (IndexError, ValueError):
        raise InputError(_DAMAGED) from None
    if int.from_bytes(archive[end : end + 4], "little") != zlib.crc32(archive[end + 4 :], zlib.crc32(archive[:end])):
        raise InputError(_DAMAGED)
    if not header.is_possible:
        raise InputError(_DAMAGED)
    return header, archive[end + 4 :]


def _written(header: Header, payload: bytes) -> bytes:
    head = MAGIC + bytes((VERSION, header.bits)) + header.model
    head += b"".join(map(_number, (header.length, header.symbols, header.segments))) + header.sha256
    return head + zlib.crc32(payload, zlib.crc32(head)).to_bytes(4, "little") + payload


def _header(archive: bytes) -> tuple[Header, int]:
    """The header, and where its checksum begins."""
    at = _FIXED
    length, at = _read_number(archive, at)
    symbols, at = _read_number(archive, at)
    segments, at = _read_number(archive, at)
    version, bits = archive[len(MAGIC)], archive[len(MAGIC) + 1]
    if version != VERSION or bits not in (8, 16) or len(archive) < at + _SHA256 + 4:
        raise ValueError
    width: Bits = 8 if bits == 8 else 16
    model, content = archive[_FIXED - _DIGEST : _FIXED], archive[at : at + _SHA256]
    return Header(width, model, length, symbols, segments, content), at + _SHA256


def _number(value: int) -> bytes:
    groups = [value & 0x7F]
    while value := value >> 7:
        groups[-1] |= 0x80
        groups.append(value & 0x7F)
    return bytes(groups)


def _read_number(archive: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = archive[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if value >= _LARGEST or shift > 56:
            raise ValueError
        if byte < 0x80:
            return value, at
