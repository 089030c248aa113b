"""Which encoding bytes without a mark are in: the one that reads most like writing, with the usual ones first."""

from __future__ import annotations

import codecs
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import charset_normalizer
import numpy as np

from longhold.data.plausibility import Reading, best_reading

# How much less expected an encoding is than Windows-1252, in nats.
_RARITY = {
    "cp1252": 0.0,
    "utf-8": 0.0,
    "iso8859_15": 3.0,
    "mac_roman": 8.0,
    "cp850": 8.0,
    "cp437": 8.5,
    "cp858": 9.0,
    "cp1250": 2.0,
    "iso8859_2": 3.0,
    "cp852": 8.0,
    "mac_latin2": 9.0,
    "iso8859_16": 6.0,
    "cp1251": 1.0,
    "koi8_r": 2.0,
    "koi8_u": 2.5,
    "cp866": 3.0,
    "iso8859_5": 4.0,
    "mac_cyrillic": 6.0,
    "cp855": 7.0,
    "cp1253": 2.0,
    "iso8859_7": 2.5,
    "cp737": 6.0,
    "cp1254": 2.5,
    "cp857": 8.5,
    "cp1255": 2.0,
    "iso8859_8": 3.0,
    "cp862": 6.0,
    "cp1256": 2.0,
    "iso8859_6": 3.0,
    "cp720": 6.0,
    "cp1257": 3.0,
    "iso8859_4": 6.0,
    "iso8859_13": 4.0,
    "cp775": 8.5,
    "cp1258": 4.0,
    "cp874": 2.0,
    "gb18030": 1.0,
    "big5": 1.5,
    "cp950": 2.0,
    "big5hkscs": 3.0,
    "cp932": 1.0,
    "euc_jp": 1.5,
    "cp949": 1.0,
    "johab": 8.0,
    "utf-16-le": 6.0,
    "utf-16-be": 7.0,
}
# Encodings of other scripts that hold Latin letters and signs too: a text of those alone is hardly ever in them.
_FOREIGN = (
    *("cp1251", "koi8_r", "koi8_u", "cp866", "iso8859_5", "mac_cyrillic", "cp855", "cp1253", "iso8859_7", "cp737"),
    *("cp1255", "iso8859_8", "cp862", "cp1256", "iso8859_6", "cp720", "cp874"),
)
_OF_ANOTHER_SCRIPT = 6.0
_UNKNOWN = 8.0  # of an encoding that charset-normalizer names and the table does not
_TWO_BYTES = ("utf-16-le", "utf-16-be")
_FOUR_BYTES = ("utf-32-le", "utf-32-be")
_LEAST_LIKELY = -6.5  # nats for each byte beyond ASCII
_LEAST_LIKELY_WIDE = -10.0  # nats for each character beyond ASCII
_SLACK = -8.0  # nats that one odd character may cost
_BEYOND = bytes(range(0x80, 0x100))
_SAMPLE = 4096
_WINDOWS = 24
_WINDOW = _SAMPLE // _WINDOWS
_LOOK_BACK = 1 << 16
_SHORTEST_CUT = 20  # bytes


_NEAR = 5.0  # nats
_FEW, _NOT_FAR = 20, 20.0  # up to so many characters beyond ASCII no guess is sure, and the next best one is named
_MOST_OTHERS = 3


class Candidate(NamedTuple):
    """An encoding, and how well a sample reads in it."""

    score: float
    """How likely the sample is, in nats, with how expected the encoding is."""
    encoding: str
    """Python's name of it."""
    text: str
    """The sample, read."""
    reading: Reading
    """What it is taken for."""
    plausible: bool
    """Whether somebody may have written it."""


def candidates(raw: bytes) -> list[Candidate]:
    """The encodings that bytes which are no UTF-8 may be in, the likeliest first.

    Of encodings that read the sample alike the most expected one stands here. Of long bytes a sample across all of them
    is looked at, where they are not ASCII.
    """
    parts = narrow_sample(raw)
    found = [_narrow(parts, encoding, cost) for encoding, cost in _RARITY.items() if encoding not in _TWO_BYTES]
    found += [_wide(even_sample(raw), encoding) for encoding in _TWO_BYTES]
    ranked = _distinct(found)
    if not any(candidate.plausible for candidate in ranked):
        best = charset_normalizer.from_bytes(b"\n".join(parts)).best()
        if best is not None and best.encoding not in _RARITY:
            ranked = _distinct([_narrow(parts, best.encoding, _UNKNOWN)])
    return [candidate for candidate in ranked if candidate.plausible]


def wide_candidates(raw: bytes) -> list[Candidate]:
    """As `candidates`, for bytes that hold control characters: UTF-32 and UTF-16."""
    parts = even_sample(raw)
    ranked = _distinct([_wide(parts, encoding) for encoding in (*_FOUR_BYTES, *_TWO_BYTES)])
    return [candidate for candidate in ranked if candidate.plausible]


def others_than(chosen: Candidate, rest: list[Candidate], raw: bytes) -> tuple[str, ...]:
    """Encodings to be named beside the chosen one: those that read nearly as well, and always the usual one.

    That is Windows-1252 for all that is written in Latin letters, and the usual one of the language. Where few
    characters decide, the next best one is named as well.
    """
    few = sum(character > "\x7f" for character in chosen.text) <= _FEW
    rest = [one for one in rest if one.encoding != "utf-8"]  # which `--encoding` would refuse
    near = [one.encoding for one in rest if one.score >= chosen.score - _NEAR]
    related = (one for one in rest if not (chosen.reading.latin and one.encoding in _FOREIGN))
    if few and not near and (second := next(related, None)) and second.score >= chosen.score - _NOT_FAR:
        near = [second.encoding]
    usual = [chosen.reading.usual, *(["cp1252"] if chosen.reading.latin else [])]
    missing = [one for one in dict.fromkeys(usual) if one not in near and _reads_otherwise(raw, one, chosen)]
    return (*near[: _MOST_OTHERS - len(missing)], *missing)


def _reads_otherwise(raw: bytes, encoding: str, chosen: Candidate) -> bool:
    if encoding == chosen.encoding or chosen.encoding in (*_TWO_BYTES, *_FOUR_BYTES):
        return False
    other = _narrow(narrow_sample(raw), encoding, 0.0)
    return other is not None and other.text not in (chosen.text, "") and "\ufffd" not in other.text


def is_bearable(encoding: str, broken: int, beyond: int, *, cut: bool) -> bool:
    """Whether bytes may be in an encoding with `broken` places that are not in it and `beyond` non-ASCII characters.

    What is UTF-8 is hardly ever anything else, so a few such characters outweigh a broken place. `cut` says that the
    only such place is a last character that is not whole.
    """
    if encoding in ("utf-8", *_TWO_BYTES, *_FOUR_BYTES):
        return broken <= beyond / 4 or (broken == 1 and (beyond > 0 or cut))
    return broken <= beyond / 10


def narrow_sample(raw: bytes) -> list[bytes]:
    """Stretches of `raw` around bytes beyond ASCII, from all over it, that begin where a character begins."""
    if len(raw) <= _SAMPLE:
        return [raw]
    data = np.frombuffer(raw, np.uint8)
    parts = []
    for first, last in _stretches(len(raw)):
        place = first + int(np.argmax(data[first:last] > 0x7F))
        start = _after_white_space(raw, place)
        if place - start > _WINDOW and max(raw[start : start + _WINDOW]) < 0x80:
            start = place
        parts.append(raw[start : max(place + 1, start + _WINDOW)])
    return parts


def even_sample(raw: bytes) -> list[bytes]:
    """Stretches from all over `raw` whose beginnings and lengths are multiples of four."""
    if len(raw) <= _SAMPLE:
        return [raw]
    begins = (first - first % 4 for first, _ in _stretches(len(raw)))
    return [raw[begin : begin + _WINDOW - _WINDOW % 4] for begin in begins]


def _stretches(size: int) -> list[tuple[int, int]]:
    edges = [size * part // _WINDOWS for part in range(_WINDOWS + 1)]
    return list(pairwise(edges))


def _after_white_space(raw: bytes, place: int) -> int:
    # No encoding of several bytes has a line break or a space as one of them.
    begin = max(0, place - _LOOK_BACK)
    found = max(raw.rfind(b"\n", begin, place), raw.rfind(b" ", begin, place))
    return begin if found < 0 else found + 1


def _narrow(parts: list[bytes], encoding: str, cost: float) -> Candidate | None:
    whole = len(parts) == 1
    text = "\n".join(_decoded(part, encoding, final=whole) for part in parts)
    broken = text.count("\ufffd")
    beyond = sum(character > "\x7f" for character in text) - broken
    cut = whole and text.endswith("\ufffd") and len(parts[0]) > _SHORTEST_CUT
    if not is_bearable(encoding, broken, beyond, cut=cut):
        return None
    reading = _reading(text.replace("\ufffd", "?"), broken)
    cost += _OF_ANOTHER_SCRIPT if reading.latin and encoding in _FOREIGN else 0.0
    high = sum(len(part) - len(part.translate(None, _BEYOND)) for part in parts)
    return Candidate(reading.score - cost, encoding, text, reading, reading.beyond >= _LEAST_LIKELY * high + _SLACK)


def _wide(parts: list[bytes], encoding: str) -> Candidate | None:
    text = "\n".join(_decoded(part, encoding, final=False) for part in parts)
    if not text or "\ufffd" in text:
        return None
    reading = _reading(text, 0)
    beyond = sum(character > "\x7f" for character in text)
    plausible = reading.beyond >= _LEAST_LIKELY_WIDE * max(1, beyond)
    return Candidate(reading.score - _RARITY.get(encoding, 0.0), encoding, text, reading, plausible)


_reading = lru_cache(maxsize=16)(best_reading)  # many encodings read a text alike


def _decoded(part: bytes, encoding: str, *, final: bool) -> str:
    return codecs.getincrementaldecoder(encoding)("replace").decode(part, final)


def _distinct(found: list[Candidate | None]) -> list[Candidate]:
    ranked = sorted((one for one in found if one is not None), key=lambda one: -one.score)
    texts: set[str] = set()
    return [one for one in ranked if not (one.text in texts or texts.add(one.text))]  # type: ignore[func-returns-value]
