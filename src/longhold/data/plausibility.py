"""How likely it is that somebody wrote a text: what its characters beyond ASCII are, and what they stand between."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from functools import cache
from typing import NamedTuple

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
_WORDS = re.compile(r"[^\W\d_]+")

_SHARES = {
    **dict.fromkeys("“”’", 0.12),
    **dict.fromkeys("–—…‘", 0.07),
    **dict.fromkeys("«»„\xa0", 0.04),
    **dict.fromkeys("€°•№", 0.03),
    **dict.fromkeys("£©®™§·¡¿´", 0.012),
    **dict.fromkeys("½²³±×ºªµ¼¾‹›‚¥", 0.004),
    **dict.fromkeys("¢÷†‡‰¶\xad₪", 0.0015),
    **dict.fromkeys("¤¦¨¬¯¸¹ƒˆ˜ﬁﬂ∞≤≥≠∑∂∏π∫Ω√≈∆◊‗■", 0.0003),
}
_OPENING, _CLOSING, _DASHES = "“‘„«‹‚¿¡", "”’»›´", "–—"
_CURRENCIES, _RAISED, _MARKS = "€£¥¢₪", "½¼¾²³¹ºª", "™®©"
_ALONE = frozenset("àèéêìòóôúùyíåöøæаивкосуяєіїйжбюαηοόήέ")


class Place(NamedTuple):
    """A character beyond ASCII and what it stands between."""

    before: str
    """`l`, `L` a small letter or a capital, `d` a digit, `s` white space or the edge, `o` what opens, `p` other signs;
    of a letter of another script than Latin the same with a `*`."""
    character: str
    after: str
    """As `before`."""


class Reading(NamedTuple):
    """What a text is taken for."""

    score: float
    """The logarithm of how likely it is; to be compared between readings of the same bytes."""
    beyond: float
    """The part of `score` that is owed to characters beyond ASCII and to what is no text."""
    usual: str
    """The encoding in which texts of this language usually are."""
    latin: bool
    """Whether it is written in Latin letters."""


def best_reading(text: str, broken: int = 0) -> Reading:
    """`text` in the language that makes it most likely; `broken` characters more could not be read."""
    places, words = _places(text), Counter(_WORDS.findall(text.lower()))
    ascii_share = sum(character < "\x80" for character in text) * _ASCII
    wrong = broken * _BROKEN + _CONTROL * sum(c < " " and c not in "\b\t\n\f\r\x1b" for c in text)
    found = [_spelled(language, places, words) for language in LANGUAGES]
    found += [_drawn(script, places) for script in SCRIPTS]
    beyond, known, usual, latin = max(found, key=lambda reading: reading[0] + reading[1])
    return Reading(ascii_share + wrong + beyond + known, wrong + beyond, usual, latin)


def _spelled(language: Language, places: Counter[Place], words: Counter[str]) -> tuple[float, float, str, bool]:
    beyond = sum(count * (_letter(language, place.character) + _fit(place)) for place, count in places.items())
    known = _WORD * sum(words[word] for word in language.words) - language.rarity
    return beyond, known, language.usual, next(iter(language.letters)) < "\u0250"


def _letter(language: Language, character: str) -> float:
    share = language.letters.get(character)
    if share is None:
        small = language.letters.get(character.lower())
        share = 0.0 if small is None else _CAPITAL * small
    return math.log(_LETTERS * share + _sign(character) + _other(character))


def _drawn(script: Script, places: Counter[Place]) -> tuple[float, float, str, bool]:
    shares = script.shares()
    beyond = sum(
        count * math.log(shares.get(place.character, 0.0) or 0.1 * (_sign(place.character) + _other(place.character)))
        for place, count in places.items()
    )
    return beyond, -1.0, script.usual, False


@cache
def _sign(character: str) -> float:
    return _SIGNS * _SHARES.get(character, 0.0002 if "\u2500" <= character <= "\u259f" else 0.0)


@cache
def _other(character: str) -> float:
    """How likely it is anywhere: a letter of some language, a sign that hardly anybody writes, or no character."""
    category = unicodedata.category(character)
    if category[0] in "LM":
        return _OTHERS / _LETTERS_THERE_ARE if character < "\u2000" else 1e-7
    return _LEAST if category[0] == "C" else 10 * _LEAST


def _places(text: str) -> Counter[Place]:
    kinds = "".join(map(_kind, text))
    lone = [f"s{kinds[:-1]}", f"{kinds[1:]}s"]
    return Counter(
        Place(before, character, after)
        for before, character, after in zip(lone[0], text, lone[1], strict=True)
        if character > "\x7f"
    )


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
        return 0.01 if before == large and after == large else 1.0
    if before in small and before != large:
        return 0.002
    return 0.03 if before == large and after in small and after != large else 0.5


def _sign_fit(before: str, character: str, after: str) -> float:
    letters = "lLgG"
    inside = before in letters and after in letters
    if character in "’´":
        return 1.0 if before not in "so" else 0.1
    if character in "·\xad-":
        return 1.0 if inside or before == after == "s" else 0.1
    if inside:
        return 0.3 if character in _DASHES else 0.03 if character in _MARKS + _CURRENCIES + "\xa0…•" else 0.003
    if character in _OPENING:
        return 1.0 if before in "so" and after not in "s" else 0.3 if after not in letters else 0.1
    if character in _CLOSING:
        return 1.0 if before not in "so" else 0.1
    if character in _CURRENCIES:
        return 1.0 if "d" in (before, after) else 0.3 if before in "sop" and after in "sp" else 0.1
    if character in _MARKS:
        return 1.0 if before in letters + "ds" else 0.3
    if character in _RAISED:
        return 1.0 if before in "ds" else 0.3 if before in letters else 0.1
    return 1.0 if before not in letters and after not in letters else 0.5
