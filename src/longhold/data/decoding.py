"""Bytes of a file to text."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace

from longhold.data.guessing import Candidate, candidates, is_bearable, others_than, wide_candidates
from longhold.data.held_text import HeldText
from longhold.data.transcoding import first_error, transcoded
from longhold.errors import InputError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ESCAPE = b"\x1b$"
_SEVEN_BITS = ((b"\x1b$B", "iso2022_jp"), (b"\x1b$@", "iso2022_jp"), (b"\x1b$)C", "iso2022_kr"))
_CONTROL = bytes(sorted(frozenset(range(0x20)) - frozenset(b"\b\t\n\v\f\r\x1b")))
_MOST_CONTROL = 0.01
_MOST_PADDED = 0.15  # runs of NUL for each other byte: text holds fewer, UTF-16 of Latin letters far more
_LOOKED_AT = 1 << 16
_STRETCHES = 16
_MUCH = 1 << 20
_PREVIEW = 30
_MOST_BROKEN = 0.05  # places that are not in the encoding, for each character beyond ASCII that is
_LEAST_WRITING = 0.85


@dataclass(frozen=True)
class Decoded:
    """A text and how it was read."""

    held: HeldText
    """The characters, with CR LF and CR made LF and leading byte order marks gone; nothing else is changed."""
    encoding: str
    """Python's name of the encoding."""
    note: str | None
    """What a person should know about a choice that was made for them; None for UTF-8 and for a given encoding."""
    preview: str | None = None
    """Some first characters, on one line, where the encoding was guessed, to see whether the guess is right."""
    others: tuple[str, ...] = ()
    """Encodings that would give another text: those that the bytes fit nearly as well, and always the one that is usual
    for what was read."""

    @property
    def text(self) -> str:
        """`held` as one `str`."""
        return str(self.held)


def decode(raw: bytes, *, name: str, encoding: str | None = None) -> Decoded:
    """Decodes the bytes of the file called `name`.

    A given `encoding` is obeyed or refused. Otherwise a byte order mark decides, then UTF-8, then what the bytes read
    like in each encoding, with Windows-1252 and the usual ones first; `note` reports it. UTF-8 that is broken in a
    few places is still read as such, with U+FFFD there, and `note` reports it. Bytes that are no text, or fit no
    encoding, raise `InputError`.
    """
    if encoding is not None:
        return Decoded(_strict(raw, name, encoding), encoding, None)
    for mark, marked in _MARKS:
        if raw.startswith(mark):
            return _marked(raw, name, marked)
    escaped = _seven_bits(raw)
    if escaped is not None:
        return escaped
    padded = _control_fraction(raw) > _MOST_CONTROL
    if padded and not _is_padded(raw):
        found = [one for one in wide_candidates(raw) if _writing(one.text[:_LOOKED_AT]) >= _LEAST_WRITING]
        return _detected(raw, found, f"{name} is binary data, expected text; if it is text, give --encoding")
    error = first_error(raw)
    if error is None:
        note = f"read as utf-8, with NUL bytes in it: {raw.count(0):,}" if padded else None
        return Decoded(transcoded(raw, "utf-8"), "utf-8", note)
    if not _is_hopeless(raw, error.start):
        replaced, broken, beyond = _with_replacements(raw, "utf-8", error.start)
        if broken <= _MOST_BROKEN * beyond:
            return replaced
    complaint = f"{name} is neither UTF-8 nor in an encoding that can be recognized from its bytes; give --encoding"
    return _detected(raw, candidates(raw), complaint)


def _marked(raw: bytes, name: str, encoding: str) -> Decoded:
    """In the encoding that a byte order mark names, with U+FFFD where a few places are not."""
    try:
        note = None if encoding == "utf-8-sig" else f"read as {encoding} (byte order mark)"
        return Decoded(transcoded(raw, encoding), encoding, note)
    except UnicodeDecodeError as error:
        replaced, broken, beyond = _with_replacements(raw, encoding, error.start)
        if broken <= _MOST_BROKEN * beyond or _is_cut(raw, error):
            return replaced
        return Decoded(_strict(raw, name, encoding), encoding, None)


def _is_cut(raw: bytes, error: UnicodeDecodeError) -> bool:
    """Whether the last character is not whole, and all others are."""
    return error.start >= len(raw) - 4 and error.end >= len(raw)


def _is_hopeless(raw: bytes, first: int) -> bool:
    """Whether the much that follows the first place that is not UTF-8 is not UTF-8 either."""
    if len(raw) <= _MUCH:
        return False
    text = raw[first : first + _MUCH].decode("utf-8", "replace")
    broken = text.count("\ufffd")
    return 2 * broken > len(text) - len(text.encode("ascii", "ignore"))


def _with_replacements(raw: bytes, encoding: str, first: int) -> tuple[Decoded, int, int]:
    """With U+FFFD where `raw` is not in `encoding`; how often that is, and the characters beyond ASCII that are."""
    held = transcoded(raw, encoding, "replace")
    broken = sum(piece.count("\ufffd") for piece in held.pieces())
    beyond = held.beyond_ascii() - broken
    broken -= raw.count("\ufffd".encode()) if encoding == "utf-8" else 0
    places = "1 place that is" if broken == 1 else f"{broken:,} places that are"
    note = f"read as {encoding} with {places} not, the first at byte {first:,}: \ufffd stands there"
    return Decoded(held, encoding, note), broken, beyond


def _detected(raw: bytes, found: list[Candidate], complaint: str) -> Decoded:
    """`raw` in the likeliest encoding that it is all in, or nearly all; `InputError` where there is none."""
    for place, one in enumerate(found):
        decoded = _read_as(raw, one.encoding)
        if decoded is not None:
            others = others_than(one, found[place + 1 :], raw)
            return replace(decoded, preview=_preview(decoded.held), others=others)
    raise InputError(complaint)


def _read_as(raw: bytes, encoding: str) -> Decoded | None:
    try:
        held = transcoded(raw, encoding)
    except UnicodeDecodeError as error:
        replaced, broken, beyond = _with_replacements(raw, encoding, error.start)
        return replaced if is_bearable(encoding, broken, beyond, cut=_is_cut(raw, error)) else None
    return Decoded(held, encoding, f"read as {encoding} (detected); give --encoding if that is wrong")


def _preview(held: HeldText) -> str:
    """The first characters from the first that is not ASCII on, with a little before it: plain ones show nothing."""
    start = max(0, held.first_beyond_ascii() - _PREVIEW // 3)
    shown = " ".join(str(held[start : start + _PREVIEW]).split())
    return ("..." if start else "") + shown


def _strict(raw: bytes, name: str, encoding: str) -> HeldText:
    try:
        return transcoded(raw, encoding)
    except UnicodeDecodeError as error:
        wrong = raw[error.start : error.start + 1].hex()
        raise InputError(f"{name} is not {encoding}: byte 0x{wrong} at position {error.start}") from None
    except (LookupError, ValueError):
        raise InputError(f"encoding must be one that Python can read text with, got {encoding!r:.40}") from None


def _seven_bits(raw: bytes) -> Decoded | None:
    """Japanese or Korean in ASCII with escape sequences."""
    if not raw.isascii() or _ESCAPE not in raw:
        return None
    encoding = next((encoding for escape, encoding in _SEVEN_BITS if escape in raw), None)
    if encoding is None:
        return None
    try:
        held = transcoded(raw, encoding)
    except UnicodeDecodeError:
        return None
    note = f"read as {encoding} (detected); give --encoding if that is wrong"
    return Decoded(held, encoding, note, _preview(held))


def _control_fraction(raw: bytes) -> float:
    """Returns the fraction of bytes that text in a single-byte encoding hardly has, over stretches from all of it."""
    sample = _looked_at(raw)
    return _without(sample, _CONTROL) / max(1, len(sample))


def _is_padded(raw: bytes) -> bool:
    """Whether the control characters are NUL that end or fill up stretches of text."""
    sample = _looked_at(raw).rstrip(b"\0")
    other = _without(sample, _CONTROL.replace(b"\0", b""))
    text = len(sample) - sample.count(0)
    runs = len(re.findall(rb"\0+", sample))
    return other <= _MOST_CONTROL * len(sample) and runs <= _MOST_PADDED * text and 2 * text > len(sample)


def _without(sample: bytes, taken: bytes) -> int:
    return len(sample) - len(sample.translate(None, taken))


def _looked_at(raw: bytes) -> bytes:
    if len(raw) <= _LOOKED_AT:
        return raw
    starts = (len(raw) * part // _STRETCHES for part in range(_STRETCHES))
    return b"".join(raw[start : start + _LOOKED_AT // _STRETCHES] for start in starts)


def _writing(text: str) -> float:
    """Returns the fraction of the three commonest scripts, or 0 where texts do not use such characters."""
    usual = sum(unicodedata.category(c)[0] in "LMNPSZ" or c in "\t\n\r" for c in text)
    scripts = Counter(
        "Han" if "\u3400" <= c <= "\u9fff" else "Hangul" if "가" <= c <= "힣" else ord(c) >> 8 for c in text
    )
    if usual < 0.98 * len(text):
        return 0.0
    return sum(count for _, count in scripts.most_common(3)) / max(1, len(text))
