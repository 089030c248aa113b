"""Properties of a text, character by character, that units of a network may follow."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_OPENING = "([{（［｛【〔"
_CLOSING = ")]}）］｝】〕"
_PAIRED = dict(zip("“«「『„", "”»」』“", strict=True))

Labels = NDArray[np.bool_] | NDArray[np.float64]


def text_properties(text: str) -> dict[str, Labels]:
    """Each property after every character of `text`, `(N,)`: bool where it holds or not, else numbers.

    quotes         inside quotation marks; straight ones open and close in turn, a blank line closes them
    brackets       inside brackets
    line_position  characters since the line began
    indentation    blanks that the line began with
    word_position  letters and digits since the word began, 0 between words
    """
    return {
        "quotes": np.array(list(_quotes(text)), dtype=bool),
        "brackets": np.array(list(_brackets(text)), dtype=bool),
        "line_position": np.array(list(_line_positions(text)), dtype=np.float64),
        "indentation": np.array(list(_indentations(text)), dtype=np.float64),
        "word_position": np.array(list(_word_positions(text)), dtype=np.float64),
    }


def _quotes(text: str) -> Iterator[bool]:
    closing, before = "", ""
    for character in text:
        if closing:
            ends = character == closing or (character == "\n" == before)
            closing = "" if ends else closing
        elif character == '"':
            closing = '"'
        else:
            closing = _PAIRED.get(character, "")
        before = character
        yield bool(closing)


def _brackets(text: str) -> Iterator[bool]:
    expected: list[str] = []
    for character in text:
        if character in _OPENING:
            expected.append(_CLOSING[_OPENING.index(character)])
        elif expected and character == expected[-1]:
            expected.pop()
        yield bool(expected)


def _line_positions(text: str) -> Iterator[int]:
    position = 0
    for character in text:
        position = 0 if character == "\n" else position + 1
        yield position


def _indentations(text: str) -> Iterator[int]:
    blanks, in_front = 0, True
    for character in text:
        if character == "\n":
            blanks, in_front = 0, True
        elif in_front and character in " \t":
            blanks += 1
        else:
            in_front = False
        yield blanks


def _word_positions(text: str) -> Iterator[int]:
    position = 0
    for character in text:
        position = position + 1 if character.isalnum() else 0
        yield position
