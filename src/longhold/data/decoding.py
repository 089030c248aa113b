"""Bytes of a file to text."""

from __future__ import annotations

import codecs
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace

import charset_normalizer

from longhold.errors import InputError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL = frozenset(range(0x20)) - frozenset(b"\b\t\n\v\f\r\x1b")
_MOST_CONTROL = 0.01
_SAMPLE = 1 << 16
_PREVIEW = 30
_NEAR = 0.05
_MOST_OTHERS = 3
_COMMON = frozenset(
    "的一是了我不人在他有这個个上们們来來到时時大地为為子中你说說生国國年着著就那和要她出也得里裡后後自以会會家可下而过過"
    "天去能对對小多然于於心学學么麼之都好看起发發当當没沒成只如事把还還用第样樣道想作种種开開从從无無情己面最但现現前些"
    "所同日手又行意动動方头頭经經长長儿兒回分老因很给給名法间間知世什两兩次使身者被高已其进進此话話常与與三曰何見见"
    "，。、：；？！“”‘’「」『』《》…—　"
)
_LEAST_COMMON = 0.2
_MOST_BROKEN = 0.05  # places that are not UTF-8, for each character beyond ASCII that is
_LEAST_WRITING = 0.85
_CODEPAGES = [
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874"),
    *("iso8859_2", "iso8859_5", "iso8859_7", "iso8859_15", "koi8_r", "koi8_u", "mac_roman", "mac_cyrillic"),
    *("cp437", "cp850", "cp852", "cp866", "cp932", "euc_jp", "iso2022_jp", "cp949", "gb18030", "big5"),
]


@dataclass(frozen=True)
class Decoded:
    """A text and how it was read."""

    text: str
    """The characters, with every CR LF made LF and a leading byte order mark gone; nothing else is changed."""
    encoding: str
    """Python's name of the encoding."""
    note: str | None
    """What a person should know about a choice that was made for them; None for UTF-8 and for a given encoding."""
    preview: str | None = None
    """Some first characters, on one line, where the encoding was guessed, to see whether the guess is right."""
    others: tuple[str, ...] = ()
    """Encodings that the bytes fit nearly as well, and that would give another text."""


def decode(raw: bytes, *, name: str, encoding: str | None = None) -> Decoded:
    """Decodes the bytes of the file called `name`.

    A given `encoding` is obeyed or refused. Otherwise a byte order mark decides, then UTF-8, then detection by what the
    bytes look like, which is said in `note`. UTF-8 that is broken in a few places is still read as such, with U+FFFD
    there, and `note` says so. Bytes that are no text, or fit no encoding, raise `InputError`.
    """
    if encoding is not None:
        return _decoded(_strict(raw, name, encoding), encoding, None)
    for mark, marked in _MARKS:
        if raw.startswith(mark):
            note = None if marked == "utf-8-sig" else f"read as {marked} (byte order mark)"
            return _decoded(_strict(raw, name, marked), marked, note)
    if _control_share(raw) > _MOST_CONTROL:
        return _detected(*_wide(raw, name))
    try:
        return _decoded(raw.decode("utf-8"), "utf-8", None)
    except UnicodeDecodeError as error:
        return _mended(raw, error.start) or _detected(*_guess(raw, name))


def _mended(raw: bytes, first: int) -> Decoded | None:
    """UTF-8 with U+FFFD where it is broken; None where it is broken too often to be UTF-8."""
    text = raw.decode("utf-8", errors="replace")
    broken = text.count("\ufffd") - raw.count("\ufffd".encode())
    beyond = len(text) - len(text.encode("ascii", errors="ignore")) - text.count("\ufffd")
    if broken > _MOST_BROKEN * beyond:
        return None
    places = "1 place that is" if broken == 1 else f"{broken:,} places that are"
    return _decoded(text, "utf-8", f"read as utf-8 with {places} not, the first at byte {first:,}: \ufffd stands there")


def _decoded(text: str, encoding: str, note: str | None) -> Decoded:
    return Decoded(text.removeprefix("\ufeff").replace("\r\n", "\n"), encoding, note)


def _detected(text: str, encoding: str, others: tuple[str, ...] = ()) -> Decoded:
    decoded = _decoded(text, encoding, f"read as {encoding} (detected); give --encoding if that is wrong")
    return replace(decoded, preview=_preview(decoded.text), others=others)


def _preview(text: str) -> str:
    """The first characters from the first that is not ASCII on, with a little before it: plain ones tell nothing."""
    first = next((place for place, c in enumerate(text[:_SAMPLE]) if c > "\x7f"), 0)
    start = max(0, first - _PREVIEW // 3)
    shown = " ".join(text[start : start + _PREVIEW].split())
    return ("..." if start else "") + shown


def _strict(raw: bytes, name: str, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        wrong = raw[error.start : error.start + 1].hex()
        raise InputError(f"{name} is not {encoding}: byte 0x{wrong} at position {error.start}") from None
    except (LookupError, ValueError):
        raise InputError(f"encoding must be one that Python can read text with, got {encoding!r:.40}") from None


def _control_share(raw: bytes) -> float:
    """The share of bytes that text in an encoding of single bytes hardly has, over the beginning."""
    sample = raw[:_SAMPLE]
    return sum(sample.count(value) for value in _CONTROL) / max(1, len(sample))


def _wide(raw: bytes, name: str) -> tuple[str, str]:
    """UTF-16 or UTF-32 without a mark: the reading that looks most like writing, if there is one."""
    readings = []
    for encoding in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        readings.append((_writing(text[:_SAMPLE]), text, encoding))
    score, text, encoding = max(readings, default=(0.0, "", ""), key=lambda reading: reading[0])
    if score < _LEAST_WRITING:
        raise InputError(f"{name} is binary data, expected text; if it is text, give --encoding")
    return text, encoding


def _writing(text: str) -> float:
    """The share of the three commonest scripts, or 0 where the characters are not of the kind that texts use."""
    usual = sum(unicodedata.category(c)[0] in "LMNPSZ" or c in "\t\n\r" for c in text)
    scripts = Counter(
        "Han" if "\u3400" <= c <= "\u9fff" else "Hangul" if "가" <= c <= "힣" else ord(c) >> 8 for c in text
    )
    if usual < 0.98 * len(text) or (2 * scripts["Han"] > len(text) and _common(text) < _LEAST_COMMON / 2):
        return 0.0
    return sum(count for _, count in scripts.most_common(3)) / max(1, len(text))


def _common(text: str) -> float:
    """The share of the commonest Chinese characters and marks among all characters beyond ASCII."""
    beyond = [c for c in text if c > "\x7f"]
    return sum(c in _COMMON for c in beyond) / max(1, len(beyond))


def _guess(raw: bytes, name: str) -> tuple[str, str, tuple[str, ...]]:
    """The text in an encoding that is not UTF-8, which one, and which others would do: Chinese by its commonest
    characters, the rest by charset-normalizer."""
    chinese = _chinese(raw)
    return _codepage(raw, name) if chinese is None else (*chinese, ())


def _chinese(raw: bytes) -> tuple[str, str] | None:
    # Read in the wrong encoding, Chinese turns into rare characters; this holds from a handful of characters on,
    # where the general detector still confuses it with Korean or UTF-16.
    readings = []
    for encoding in ("gb18030", "big5", "big5hkscs", "utf-16-le", "utf-16-be"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        readings.append((_common(text[:_SAMPLE]), text, encoding))
    share, text, encoding = max(readings, default=(0.0, "", ""), key=lambda reading: reading[0])
    return (text, encoding) if share >= _LEAST_COMMON else None


def _codepage(raw: bytes, name: str) -> tuple[str, str, tuple[str, ...]]:
    matches = charset_normalizer.from_bytes(raw, cp_isolation=_CODEPAGES)
    best = matches.best()
    if best is None:
        raise InputError(f"{name} is neither UTF-8 nor in an encoding that can be told from its bytes; give --encoding")
    equal = [match for match in matches if match.chaos <= best.chaos and match.coherence >= best.coherence]
    # Where the bytes cannot tell Western from Central European, Western is the likelier.
    encoding = "cp1252" if any("cp1252" in match.could_be_from_charset for match in equal) else best.encoding
    text = _strict(raw, name, encoding)
    near = (
        match.encoding
        for match in matches
        if match.chaos <= best.chaos + _NEAR and match.coherence >= best.coherence and str(match) != text
    )
    return text, encoding, tuple(near)[:_MOST_OTHERS]
