"""Text that stands twice: inside itself, in what is held out, in two files. Found by fingerprints of its stretches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

STRETCH = 32
"""Characters that must be the same in a row to count: natural text hardly repeats so many."""

_ALL_BELOW = 1 << 16  # characters; of longer texts one fingerprint in sixteen is looked at
_EVERY = 16
_BLOCK = 1 << 22
_TWIN = 0.7
_NOTEWORTHY = 0.1
_FEWEST = 20  # fingerprints below which no share is told


def repeated_share(text: str) -> float:
    """The share of the text's stretches of `STRETCH` characters that stood in it before; 0 for a text that is shorter.

    For a text of more than 65,536 characters it is estimated from one in sixteen stretches.
    """
    found = _fingerprints(text, _every(len(text)))
    return 1 - len(np.unique(found)) / len(found) if len(found) else 0.0


def shared_share(text: str, other: str) -> float:
    """The share of the stretches of `text` that also stand in `other`."""
    every = _every(max(len(text), len(other)))
    found = _fingerprints(text, every)
    return float(np.isin(found, _fingerprints(other, every)).mean()) if len(found) else 0.0


def near_twins(texts: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of places of texts that are nearly the same, each later text with an earlier one.

    Both have at least seven tenths of the other's stretches; texts shorter than a stretch are twins if they are equal.
    """
    every = _every(sum(map(len, texts)))
    sets = [np.unique(_fingerprints(text, every)) for text in texts]
    owner: dict[int, int] = {}
    equal: dict[str, int] = {}
    pairs = []
    for place, (text, found) in enumerate(zip(texts, sets, strict=True)):
        prints = found.tolist()
        shared = Counter(owner[one] for one in prints if one in owner).most_common(1)
        likeliest, count = shared[0] if shared else (-1, 0)
        if text.strip() and text in equal:
            pairs.append((equal[text], place))
        elif count and count >= _TWIN * max(len(prints), len(sets[likeliest])):
            pairs.append((likeliest, place))
        equal.setdefault(text, place)
        for one in prints:
            owner.setdefault(one, place)
    return pairs


class Repetition(NamedTuple):
    """Shares that a person should know of; None where they are small or the text too short to tell."""

    repeated: float | None
    """Of the training text, what stood in it before; see `repeated_share`."""
    shared: float | None
    """Of the held-out text, what also stands in the training text; see `shared_share`."""


def repetition(head: str, tail: str) -> Repetition:
    """Repetition in a training text `head` and the held-out `tail`, where it is a tenth or more."""
    repeated = repeated_share(head) if len(head) >= STRETCH + _FEWEST else 0.0
    shared = shared_share(tail, head) if len(tail) >= STRETCH + _FEWEST else 0.0
    return Repetition(*(share if share >= _NOTEWORTHY else None for share in (repeated, shared)))


def cautions(head: str, tail: str) -> tuple[str, ...]:
    """What a person should know of repetition in a training text `head` and the held-out `tail`, a sentence each."""
    found, said = repetition(head, tail), []
    if found.repeated is not None:
        said.append(
            f"{found.repeated:.0%} of the text repeats, word for word, what stood before: the model learns that by "
            "heart"
        )
    if found.shared is not None:
        said.append(
            f"{found.shared:.0%} of the held-out text also stands in the training text: held-out figures are too good"
        )
    return tuple(said)


def _every(characters: int) -> int:
    return 1 if characters < _ALL_BELOW else _EVERY


def _fingerprints(text: str, every: int) -> NDArray[np.uint64]:
    """A number for each stretch, of those numbers about one in `every`: the same ones wherever the stretch stands."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    blocks = (codes[start : start + _BLOCK + STRETCH - 1] for start in range(0, len(codes), _BLOCK))
    kept = [hashes[hashes % np.uint64(every) == 0] for hashes in map(_hashes, blocks)]
    return np.concatenate(kept) if kept else np.empty(0, np.uint64)


def _hashes(codes: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """A polynomial in each stretch's code points, modulo 2^64, and stirred."""
    if len(codes) < STRETCH:
        return np.empty(0, np.uint64)
    sums = codes.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    power, width = 0xD6E8FEB86659FD93, 1
    while width < STRETCH:
        sums = sums[:-width] * np.uint64(power) + sums[width:]
        power, width = power * power % 2**64, 2 * width
    sums ^= sums >> np.uint64(32)
    sums *= np.uint64(0xD6E8FEB86659FD93)
    return sums ^ (sums >> np.uint64(29))
