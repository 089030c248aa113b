"""What a model writes while it trains and when it is done, and how many of its words are words of the text."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import final

import torch

from longhold.data.held_text import HeldText, seamed
from longhold.data.tokenizers import Tokenizer
from longhold.data.words import WORD, is_spaced
from longhold.models.contract import SequenceModel, device_of
from longhold.sampling import SamplingConfig, generate

_PRIME = 24
_PRIME_WITHOUT_SPACES = 8
_COUNTED = 16  # pieces of a quarter of a million characters in which letters and spaces are counted


def prime_of(text: str) -> str:
    """A few whole words from the beginning of `text`, or a few characters where no spaces separate words."""
    start = text.partition(" ")[2].lstrip() or text
    short = start[:_PRIME]
    whole = short.rpartition(" ")[0]
    return whole + " " if whole else text[:_PRIME_WITHOUT_SPACES]


@final
@dataclass(frozen=True)
class Writer:
    """Writes the same number of tokens, from the same prime with the same seed, at every call."""

    model: SequenceModel
    """What writes, in whatever state its weights are."""
    tokenizer: Tokenizer
    """Its tokenizer."""
    prime: str
    """What it continues."""
    temperature: float = 0.8
    """See `SamplingConfig`."""

    def pieces(self, length: int) -> Iterator[str]:
        """The text after the prime, in pieces of whole characters; one that is unfinished at the end is left out."""
        prompt = torch.from_numpy(self.tokenizer.encode(self.prime)).to(device_of(self.model))
        stream = self.tokenizer.stream()
        config, rule = SamplingConfig(temperature=self.temperature), self.tokenizer.continuations
        for token in generate(self.model, prompt, length, config, seed=0, continuations=rule):
            yield stream.push(token)

    def text(self, length: int) -> str:
        """The prime and `length` tokens after it."""
        return self.prime + "".join(self.pieces(length))


@dataclass(frozen=True)
class KnownWords:
    """How many words of a sample are words of a text."""

    known: int
    """Words that occur in the text."""
    total: int
    """Words of the sample; the last one, which the end may have cut, does not count."""
    unit: str
    """`words`, or `pairs of characters` where the text is not written in words."""

    @property
    def fraction(self) -> float:
        """`known / total`; 0 where there are none."""
        return self.known / self.total if self.total else 0.0


def known_words(sample: str, text: str | HeldText) -> KnownWords:
    """Count the words of `sample` and those of them that occur in `text`, whatever their case.

    A word is letters of any script, with apostrophes between them. In a text without spaces between its
    words, as Chinese or Thai, two neighbouring characters take its place.
    """
    unit = "words" if is_spaced(islice(seamed(text), _COUNTED)) else "pairs of characters"
    split = _words if unit == "words" else _pairs
    written = split(sample)[:-1]
    unseen = set(written)
    for part in seamed(text):
        folded = part.casefold()
        if any(word in folded for word in unseen):  # to look for them costs less than to split a long text
            unseen.difference_update(split(part))
    return KnownWords(sum(word not in unseen for word in written), len(written), unit)


def _words(text: str) -> list[str]:
    return WORD.findall(text.casefold())


def _pairs(text: str) -> list[str]:
    return [word[i : i + 2] for word in _words(text) for i in range(len(word) - 1)]
