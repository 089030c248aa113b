"""How likely it is that somebody wrote a text: what its characters beyond ASCII are, and what they stand between."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from functools import cache
from string import ascii_lowercase
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from longhold.data.ideographs import SCRIPTS, Script
from longhold.data.languages import LANGUAGES, Language

# Of what stands beyond ASCII: letters of the language, signs, letters of other languages.
_LETTERS, _SIGNS, _OTHERS = 0.6, 0.35, 0.05
_LETTERS_THERE_ARE = 600
_CAPITAL = 0.1
_LEAST = 1e-8
_ASCII = math.log(0.05)  # of each ASCII character, which an encoding of two bytes may take for half of another one
_CONTROL = -12.0
_BROKEN = -10.0
_WORD = 2.0
_SCRIPT = -1.0  # how expected a text is in a script of thousands of characters, as the rarity of a language
_PLAIN, _MOST_PLAIN = 0.5, 400  # the weight of a letter from a to z, and how many count: neighbours are not independent
_LONELY = math.log(0.1)  # an opening quotation mark in a text without a closing one
_CONTROLS = re.compile(r"[\x00-\x07\x0e-\x1a\x1c-\x1f]")
_WORDS = re.compile(r"[^\W\d_]+")

_SHARES = {
    **dict.fromkeys("“”’", 0.12),
    **dict.fromkeys("–—…‘", 0.07),
    **dict.fromkeys("«»„\xa0", 0.04),
    **dict.fromkeys("€°•№", 0.03),
    **dict.fromkeys("£©®™§·¡¿´", 0.015),
    **dict.fromkeys("½²³±×ºªµ¼¾‹›‚¥¢", 0.004),
    **dict.fromkeys("÷†‡‰¶\xad₪", 0.0015),
    **dict.fromkeys("¤¦¨¬¯¸¹ƒˆ˜ﬁﬂ∞≤≥≠∑∂∏π∫Ω√≈∆◊‗■", 0.0003),
}
_OPENING, _CLOSING, _DASHES = "“‘„«‹‚¿¡", "”’»›´", "–—"
_CURRENCIES, _RAISED, _MARKS = "€£¥¢₪", "½¼¾²³¹", "™®©"
_ALONE = frozenset("àèéêìòóôúùyíåöøæаивкосуяєіїйжбюαηοόήέ")


_ENDS = {"“": "”", "‘": "’", "„": "“”", "‚": "‘’", "«": "»", "‹": "›", "¿": "?", "¡": "!"}


def _weights() -> NDArray[np.float64]:
    """The evidence of each letter from a to z for each language, as logarithms; none for languages of other letters."""
    frequencies = np.array(
        [[language.plain.get(letter, np.nan) for letter in ascii_lowercase] for language in LANGUAGES]
    )
    return np.asarray(np.nan_to_num(np.log(frequencies / np.nanmean(frequencies, axis=0))))


_WEIGHTS = _weights()


class Place(NamedTuple):
    """A character beyond ASCII and what it stands between."""

    before: str
    """`l` and `L` a small letter and a capital, `g` and `G` those of other scripts than Latin, `d` a digit, `s` white
    space or the edge, `b` a line of a box, `o` what opens, `p` other signs."""
    character: str
    after: str
    """As `before`."""


class Reading(NamedTuple):
    """What a text is taken for."""

    score: float
    """The logarithm of how likely it is; to be compared between readings of the same bytes."""
    beyond: float
    """The part of `score` that is owed to characters beyond ASCII and to what could not be read."""
    usual: str
    """The encoding in which texts of this language usually are."""
    latin: bool
    """Whether it is written in Latin letters."""


def best_reading(text: str, broken: int = 0) -> Reading:
    """`text` in the language that makes it most likely; `broken` characters more could not be read."""
    places = _places(text)
    beyond = Counter(character for character in text if character > "\x7f")
    words, plain = Counter(_WORDS.findall(text.lower())), _WEIGHTS @ _plain(text)
    common = broken * _BROKEN
    spelled = common + sum(count * _fit(place) for place, count in places.items()) + _LONELY * _lonely(text)
    drawn = common + sum(count * _glue(place) for place, count in places.items())
    found = [
        (spelled + _letters(language, beyond), agrees + _known(language, words), language.usual, language.latin)
        for language, agrees in zip(LANGUAGES, plain.tolist(), strict=True)
    ]
    found += [(drawn + _characters(script, beyond), _SCRIPT, script.usual, False) for script in SCRIPTS]
    signs, known, usual, latin = max(found, key=lambda reading: reading[0] + reading[1])
    plain_ones = (len(text) - beyond.total()) * _ASCII + _CONTROL * len(_CONTROLS.findall(text))
    return Reading(plain_ones + signs + known, signs, usual, latin)


def _letters(language: Language, beyond: Counter[str]) -> float:
    return sum(count * _letter(language, character) for character, count in beyond.items())


def _known(language: Language, words: Counter[str]) -> float:
    """How expected a language is, and how well a text's words agree with it."""
    return _WORD * sum(words[word] for word in language.words & words.keys()) - language.rarity


def _characters(script: Script, beyond: Counter[str]) -> float:
    frequencies = script.frequencies()
    return sum(count * _character(frequencies, character) for character, count in beyond.items())


def _plain(text: str) -> NDArray[np.float64]:
    """How often each letter from a to z stands there, weighed."""
    small = text.lower()
    counts = np.array([small.count(letter) for letter in ascii_lowercase], dtype=np.float64)
    return np.asarray(_PLAIN * min(1.0, _MOST_PLAIN / max(1.0, counts.sum())) * counts)


def _lonely(text: str) -> int:
    """Opening quotation marks that nothing closes."""
    return sum(text.count(mark) for mark, ends in _ENDS.items() if not any(end in text for end in ends))


@cache
def _letter(language: Language, character: str) -> float:
    frequency = language.letters.get(character)
    if frequency is None:
        small = language.letters.get(character.lower())
        frequency = 0.0 if small is None else _CAPITAL * small
    return math.log(_LETTERS * frequency + _sign(character) + _other(character))


def _drawn(script: Script, places: Counter[Place]) -> tuple[float, float, str, bool]:
    frequencies = script.frequencies()
    beyond = sum(count * (_character(frequencies, place.character) + _glue(place)) for place, count in places.items())
    return beyond, -1.0, script.usual, False


def _character(frequencies: dict[str, float], character: str) -> float:
    return math.log(frequencies.get(character, 0.0) or 0.1 * (_sign(character) + _other(character)))


def _glue(place: Place) -> float:
    """The logarithm of how well a character goes beside Latin letters, of which a word may end there."""
    return (0.0, math.log(0.3), math.log(0.02))[(place.before in "lL") + (place.after in "lL")]


@cache
def _sign(character: str) -> float:
    return _SIGNS * _SHARES.get(character, 0.0002 if _is_box(character) else 0.0)


@cache
def _other(character: str) -> float:
    """How likely it is anywhere: a letter of some language, a sign that hardly anybody writes, or no character."""
    category = unicodedata.category(character)
    if category[0] in "LM":
        return _OTHERS / _LETTERS_THERE_ARE if character < "\u2000" else 1e-7
    return _LEAST if category[0] == "C" else 10 * _LEAST


def _places(text: str) -> Counter[Place]:
    kinds = f"s{''.join(map(_kind, text))}s"
    return Counter(
        Place(kinds[place], character, kinds[place + 2]) for place, character in enumerate(text) if character > "\x7f"
    )


def _is_box(character: str) -> bool:
    return "\u2500" <= character <= "\u259f"


@cache
def _kind(character: str) -> str:
    category = unicodedata.category(character)
    if category[0] in "LM":
        latin = character < "\u0250"
        if category == "Lu":
            return "L" if latin else "G"
        return "l" if latin else "g"
    if category[0] == "N":
        return "d"
    if character.isspace():
        return "s"
    if character in "─═":
        return "b"
    return "o" if category in ("Ps", "Pi") or character in "\"'¿¡„" else "p"


@cache
def _fit(place: Place) -> float:
    """The logarithm of how well a character goes with what it stands between."""
    before, character, after = place
    category = unicodedata.category(character)
    if category[0] == "M":
        return 0.0 if before in "lLgG" else math.log(0.01)
    if category[0] == "L" and character not in "ºªƒ":
        return math.log(_letter_fit(before, character, after, category))
    return math.log(_sign_fit(before, character, after))


def _letter_fit(before: str, character: str, after: str, category: str) -> float:
    latin = character < "\u0250"
    small, large, foreign = ("lL", "L", "gG") if latin else ("gG", "G", "lL")
    if "d" in (before, after):
        return 0.03
    if before in foreign or after in foreign:
        return 0.005
    alone = before not in small and after not in small
    if category not in ("Ll", "Lu"):
        return 1.0
    if alone:
        return 0.3 if character.lower() in _ALONE else 0.03
    if category == "Ll":
        return (0.01 if before == large else 0.05) if after == large else 1.0
    if before in small and before != large:
        return 0.002
    return 0.03 if before == large and after in small and after != large else 0.5


def _sign_fit(before: str, character: str, after: str) -> float:
    letters = "lLgG"
    inside = before in letters and after in letters
    if "b" in (before, after) and _is_box(character):
        return 500.0  # one piece of a box is rare, and hardly ever alone
    if character in "’´":
        return 1.0 if before not in "so" else 0.1
    if character in "·\xad-":
        return 1.0 if inside or before == after == "s" else 0.1
    if inside:
        return 0.3 if character in _DASHES + "\xa0" else 0.1 if character in _MARKS + _CURRENCIES + "…•" else 0.003
    if character == "\xa0":
        return 0.1 if "s" in (before, after) else 1.0
    if character in _OPENING:
        good = before in "sop" and after != "s"
        return 1.0 if good else 0.3 if before not in letters else 0.01
    if character in _CLOSING:
        return 1.0 if before not in "so" else 0.1
    if character in _CURRENCIES:
        return 1.0 if "d" in (before, after) else 0.3 if before in "sop" and after in "sp" else 0.05
    if character in _MARKS:
        return 1.0 if before in letters + "ds" else 0.3
    if character in "ªº":
        return 1.0 if before == "d" else 0.05 if before == "L" else 0.002
    if character in _RAISED:
        return 1.0 if before in "ds" else 0.2 if before in letters else 0.1
    if character in "…•":
        return 1.0 if before in letters and character == "…" else 0.5 if before not in letters else 0.05
    return 1.0 if before not in letters and after not in letters else 0.03 if character not in _DASHES else 0.2
