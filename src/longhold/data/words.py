"""What a word of a text is, and whether the text is written in words at all."""

import re
from collections.abc import Iterable

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
"""Letters of any script, with apostrophes between them."""

_LETTERS_PER_SPACE = 20  # at most, where words have spaces between them
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u0f00-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)  # Thai, Lao, Tibetan, Burmese, Khmer, kana, ideographs


def is_spaced(parts: Iterable[str]) -> bool:
    """Whether a text, given in parts, has spaces between its words.

    It has not where most letters are of scripts that are written without them, however short the lines are, nor where
    there are more than 20 letters to a space or line break.
    """
    letters = unspaced = spaces = 0
    for part in parts:
        letters += sum(map(len, WORD.findall(part)))
        unspaced += len(_UNSPACED.findall(part))
        spaces += sum(map(part.count, " \n"))
    return 2 * unspaced <= letters <= _LETTERS_PER_SPACE * spaces
