"""Text that stands twice: inside itself, in what is held out, in two files. Found by fingerprints of its stretches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from longhold.data.held_text import HeldText, pieces

STRETCH = 32
"""Characters that must be the same in a row to count: natural text hardly repeats so many."""

_ALL_BELOW = 1 << 16  # characters; of longer texts one fingerprint in sixteen is looked at
_SOME_BELOW = 1 << 24  # of still longer ones one in 256
_EVERY = 16
_BLOCK = 1 << 15  # stretches whose numbers fit into a processor's cache
_TWIN = 0.7
_NOTEWORTHY = 0.1
_FEWEST = 20  # fingerprints up to which no fraction is reported


def repeated_fraction(text: str | HeldText) -> float:
    """Returns the fraction of the stretches of `STRETCH` characters that stood in the text before; 0 for a short text.

    For a text of more than 65,536 characters it is estimated from one in sixteen stretches, of more than 16 million
    from one in 256.
    """
    return _repeated(_fingerprints(text, _every(len(text))))


def shared_fraction(text: str | HeldText, other: str | HeldText) -> float:
    """Returns the fraction of the stretches of `text` that also stand in `other`."""
    every = _every(max(len(text), len(other)))
    return _shared(_fingerprints(text, every), _fingerprints(other, every))


def near_twins(texts: Sequence[str | HeldText]) -> list[tuple[int, int]]:
    """Pairs of places of texts that are nearly the same, each later text with an earlier one.

    Both have at least seven tenths of the other's stretches; texts shorter than a stretch are twins if they are equal.
    """
    every = 1 if sum(map(len, texts)) < _ALL_BELOW else _EVERY
    sets = [np.unique(_fingerprints(text, every)) for text in texts]
    likeliest = _likeliest_twins(sets)
    equal: dict[str | HeldText, int] = {}
    pairs = []
    for place, text in enumerate(texts):
        twin, count = likeliest[place]
        if text in equal and not HeldText.of(text).is_blank():
            pairs.append((equal[text], place))
        elif count and count >= _TWIN * max(len(sets[place]), len(sets[twin])):
            pairs.append((twin, place))
        equal.setdefault(text, place)
    return pairs


def _likeliest_twins(sets: list[NDArray[np.uint64]]) -> list[tuple[int, int]]:
    """For each set of fingerprints the earlier one that had most of them first, and how many those are."""
    if not sets:
        return []
    places = np.repeat(np.arange(len(sets), dtype=np.int32), [len(found) for found in sets])
    prints = np.concatenate(sets)
    order = np.argsort(prints, kind="stable")
    prints, places = prints[order], places[order]
    first = np.concatenate([[True], prints[1:] != prints[:-1]])[: len(prints)]
    owners = places[first][np.cumsum(first) - 1][~first]
    pairs, counts = np.unique(places[~first] * np.int64(len(sets)) + owners, return_counts=True)
    likeliest = [(-1, 0)] * len(sets)
    for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
        place, owner = divmod(pair, len(sets))
        if count > likeliest[place][1]:
            likeliest[place] = owner, count
    return likeliest


class Repetition(NamedTuple):
    """Fractions that a person should know of; None where they are small or the text is too short."""

    repeated: float | None
    """Of the training text, what stood in it before; see `repeated_fraction`."""
    shared: float | None
    """Of the held-out text, what also stands in the training text; see `shared_fraction`."""


def repetition(head: str | HeldText, tail: str | HeldText) -> Repetition:
    """Repetition in a training text `head` and the held-out `tail`, where it is a tenth or more."""
    every = _every(max(len(head), len(tail)))
    trained, held_out = (_fingerprints(text, every) for text in (head, tail))
    return Repetition(
        repeated=_noteworthy(_repeated(trained), trained), shared=_noteworthy(_shared(held_out, trained), held_out)
    )


def _noteworthy(fraction: float, found: NDArray[np.uint64]) -> float | None:
    return fraction if fraction >= _NOTEWORTHY and len(found) > _FEWEST else None


def cautions(head: str | HeldText, tail: str | HeldText) -> tuple[str, ...]:
    """What a person should know of repetition in a training text `head` and the held-out `tail`, a sentence each."""
    found, sentences = repetition(head, tail), []
    if found.repeated is not None:
        sentences.append(
            f"{found.repeated:.0%} of the text repeats, word for word, what stood before: the model memorizes it"
        )
    if found.shared is not None:
        sentences.append(
            f"{found.shared:.0%} of the held-out text also stands in the training text: held-out figures are too good"
        )
    return tuple(sentences)


def _every(characters: int) -> int:
    return 1 if characters < _ALL_BELOW else _EVERY if characters < _SOME_BELOW else _EVERY**2


def _repeated(found: NDArray[np.uint64]) -> float:
    return 1 - len(np.unique(found)) / len(found) if len(found) else 0.0


def _shared(found: NDArray[np.uint64], others: NDArray[np.uint64]) -> float:
    return float(np.isin(found, others).mean()) if len(found) else 0.0


def _fingerprints(text: str | HeldText, every: int) -> NDArray[np.uint64]:
    """A number for each stretch, of those numbers about one in `every`: the same ones wherever the stretch stands."""
    kept = [hashes[hashes & np.uint64(every - 1) == 0] for hashes in map(_hashes, _blocks(text))]
    return np.concatenate(kept) if kept else np.empty(0, np.uint64)


def _blocks(text: str | HeldText) -> Iterator[NDArray[np.uint32]]:
    """The code points that `_BLOCK` stretches after each other lie in, for all of them."""
    rest = np.empty(0, np.uint32)
    for piece in pieces(text):
        codes = np.concatenate([rest, np.frombuffer(piece.encode("utf-32-le", "surrogatepass"), dtype="<u4")])
        for start in range(0, len(codes), _BLOCK):
            yield codes[start : start + _BLOCK + STRETCH - 1]
        rest = codes[max(0, len(codes) - STRETCH + 1) :]


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
