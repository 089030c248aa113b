"""Bytes in any encoding to a held text, block by block, so that no `str` of all of them is ever made."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from longhold.data.held_text import HeldText
from longhold.data.lines import plain_lines

_BLOCK = 1 << 22
_AS_THEY_ARE = ("utf-8", "utf-8-sig", "ascii")
_WHOLE = ("idna", "punycode")  # codecs that cannot read a text in parts


def transcoded(raw: bytes, encoding: str, errors: str = "strict") -> HeldText:
    """`raw` in `encoding`, with every CR LF and every CR made LF and byte order marks at its beginning gone.

    Raises `UnicodeDecodeError` where it is not in that encoding; `LookupError` or `ValueError` where there is no such
    encoding of text.
    """
    kind = codecs.lookup(encoding).name
    if kind in _AS_THEY_ARE and errors == "strict":
        return _as_it_is(raw, kind)
    utf8 = bytearray()
    for text in _line_ends_made_plain(_texts(raw, encoding, errors)):
        utf8 += text.encode("utf-8", "surrogatepass")
    return HeldText(memoryview(utf8)[_after_marks(utf8) :])


def first_error(raw: bytes) -> UnicodeDecodeError | None:
    """Where `raw` is no UTF-8; None where all of it is."""
    start = 0
    while start < len(raw) and not raw.isascii():
        try:
            start += codecs.utf_8_decode(memoryview(raw)[start : start + _BLOCK], "strict", len(raw) - start <= _BLOCK)[
                1
            ]
        except UnicodeDecodeError as error:
            return UnicodeDecodeError("utf-8", raw, start + error.start, start + error.end, error.reason)
    return None


def _as_it_is(raw: bytes, kind: str) -> HeldText:
    if kind == "ascii":
        if not raw.isascii():
            raw.decode(kind)
    elif (error := first_error(raw)) is not None:
        raise error
    plain = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in raw else raw
    return HeldText(memoryview(plain)[_after_marks(plain) :])


def _after_marks(utf8: bytes | bytearray) -> int:
    begins = 0
    while utf8.startswith(codecs.BOM_UTF8, begins):
        begins += len(codecs.BOM_UTF8)
    return begins


def _texts(raw: bytes, encoding: str, errors: str) -> Iterator[str]:
    codec = codecs.lookup(encoding)
    if len(raw) <= _BLOCK or codec.incrementaldecoder is None or codec.name in _WHOLE:
        yield raw.decode(encoding, errors)
        return
    b"a".decode(encoding, "replace")  # refuses codecs that make no text
    decoder = codec.incrementaldecoder(errors)
    view = memoryview(raw)
    for start in range(0, len(raw), _BLOCK):
        block = view[start : start + _BLOCK]
        try:
            yield decoder.decode(block, start + _BLOCK >= len(raw))
        except UnicodeDecodeError as error:
            before = start - (len(error.object) - len(block))  # what the decoder held back stands before the block
            raise UnicodeDecodeError(encoding, raw, before + error.start, before + error.end, error.reason) from None


def _line_ends_made_plain(texts: Iterator[str]) -> Iterator[str]:
    held_back = ""
    for text in texts:
        whole = held_back + text
        held_back = "\r" if whole.endswith("\r") else ""
        yield plain_lines(whole[: len(whole) - len(held_back)])
    yield plain_lines(held_back)
