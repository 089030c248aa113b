"""How much of its training text a model repeats verbatim (verbatim overlap)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

SAMPLED: Final = 10_000
"""Characters that are written to find out."""

SHOWN: Final = 200
"""The most characters of a run that a line shows."""


@dataclass(frozen=True)
class Recitation:
    """The longest run of characters that stands in both texts."""

    run: str
    """the run"""
    sampled: int
    """characters that the model wrote"""
    training: int
    """characters of the training text"""

    def __str__(self) -> str:
        more = f" (the first {SHOWN} of them)" if len(self.run) > SHOWN else ""
        return (
            f"of {self.sampled:,} characters it wrote, the longest run that stands word for word in its training text "
            f"has {len(self.run)} characters{more}: {self.run[:SHOWN]!r}"
        )


def recitation(pieces: Iterable[str], training: str, characters: int = SAMPLED) -> Recitation:
    """Compare what a model writes with what it was trained on.

    Some run there always is: common words stand in every text. A run of many words is verbatim overlap.

    Args:
        pieces: what the model writes, `model.write(...)`; read until there are enough characters.
        training: the training text.
        characters: how many are enough.
    """
    written: list[str] = []
    missing = characters
    for piece in pieces:
        written.append(piece[:missing])
        missing -= len(written[-1])
        if missing == 0:
            break
    sample = "".join(written)
    return Recitation(longest_shared(sample, training), len(sample), len(training))


def longest_shared(sample: str, text: str) -> str:
    """The longest string that stands in both, of several the first in `text`.

    A suffix automaton of `sample` (Blumer et al. 1985) reads `text` once: time linear in both lengths, memory in the
    sample's.
    """
    moves, links, lengths = _suffix_automaton(sample)
    state = matched = best = end = 0
    for position, character in enumerate(text):
        target = moves[state].get(character)
        while target is None and state:
            state = links[state]
            matched = lengths[state]
            target = moves[state].get(character)
        if target is not None:
            state = target
            matched += 1
            if matched > best:
                best, end = matched, position + 1
    return text[end - best : end]


def _suffix_automaton(text: str) -> tuple[list[dict[str, int]], list[int], list[int]]:
    """Transitions, suffix links and lengths of the states; state 0 is the empty string."""
    moves: list[dict[str, int]] = [{}]
    links, lengths = [-1], [0]
    last = 0
    for character in text:
        new = len(moves)
        moves.append({})
        lengths.append(lengths[last] + 1)
        links.append(0)
        state, last = last, new
        while state >= 0 and character not in moves[state]:
            moves[state][character] = new
            state = links[state]
        if state < 0:
            continue
        target = moves[state][character]
        if lengths[target] == lengths[state] + 1:
            links[new] = target
            continue
        copy = len(moves)
        moves.append(dict(moves[target]))
        lengths.append(lengths[state] + 1)
        links.append(links[target])
        links[target] = links[new] = copy
        while state >= 0 and moves[state].get(character) == target:
            moves[state][character] = copy
            state = links[state]
    return moves, links, lengths
