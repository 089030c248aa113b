"""*The Time Machine* exactly as the tutorial prepares it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from longhold.data.tokenizers.base import Ids, integers, require_id
from longhold.errors import InputError

UNKNOWN = "<unk>"
"""The first entry of the vocabulary; stands for every character that the text lacks."""


@dataclass(frozen=True)
class TutorialText:
    """The tutorial's token ids and its vocabulary."""

    train: Ids
    """The first `max_tokens` ids of the text, which is all that the tutorial ever looks at."""
    held_out: Ids
    """The ids of the rest of the text."""
    vocabulary: tuple[str, ...]
    """`<unk>`, then the characters from the most to the least frequent in the whole text."""

    def encode(self, text: str) -> Ids:
        """The ids of `text`, one for each character; 0 for characters that the vocabulary lacks."""
        index = {character: token for token, character in enumerate(self.vocabulary)}
        return np.array([index.get(character, 0) for character in text], dtype=np.int64)

    def decode(self, ids: Iterable[int]) -> str:
        """The characters of `ids`."""
        tokens = integers(ids)
        for token in tokens:
            require_id(token, len(self.vocabulary))
        return "".join(self.vocabulary[token] for token in tokens)


def time_machine_tutorial(text: str, max_tokens: int = 10_000) -> TutorialText:
    """The preprocessing of Zhang et al., *Dive into Deep Learning* (Chinese edition, 8.2 and 8.3).

    In each line every run of characters other than A-Z and a-z becomes one space, the ends are stripped, and the rest
    is made lower case; the characters of all lines follow each other with nothing between the lines. The vocabulary is
    counted on the whole text, equal counts in the order of first appearance. Raises `InputError` if the text has no
    more than `max_tokens` such characters.
    """
    lines = [re.sub("[^A-Za-z]+", " ", line).strip().lower() for line in text.split("\n")]
    characters = "".join(lines)
    if max_tokens < 1 or len(characters) <= max_tokens:
        raise InputError(f"the tutorial's {max_tokens} letters and a held-out rest need more than {len(characters)}")
    vocabulary = (UNKNOWN, *(character for character, _ in Counter(characters).most_common()))
    index = {character: token for token, character in enumerate(vocabulary)}
    ids = np.array([index[character] for character in characters], dtype=np.int64)
    return TutorialText(ids[:max_tokens], ids[max_tokens:], vocabulary)
