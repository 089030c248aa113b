"""How the sentences of a text begin, for a prompt in its own words."""

import re
from collections import Counter

from longhold.data.held_text import HeldText
from longhold.data.words import WORD, is_spaced

_READ = 200_000  # characters
_LONGEST = 20
_PAIR = 2  # characters that stand for a word elsewhere
_START = re.compile(rf"(?:^|[.!?…。！？\n])[^\w\n]*({WORD.pattern})")


def common_opening(text: str | HeldText) -> str:
    """The word that most sentences or lines begin with; two characters where words have no spaces between them.

    Empty where there are no letters.

    Example:
        >>> common_opening("The cat sat. The dog lay. A bird sang.")
        'The'
    """
    read = str(text[:_READ])
    spaced = is_spaced([read])
    starts = Counter(start if spaced or _has_case(start) else start[:_PAIR] for start in _START.findall(read))
    found = [start for start, _ in starts.most_common() if len(start) <= _LONGEST]
    return found[0] if found else ""


def _has_case(word: str) -> bool:
    """Whether it is of a script that has capitals, and so writes words."""
    return word.lower() != word.upper()
