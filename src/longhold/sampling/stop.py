"""Text that ends where a stop text begins."""

from collections.abc import Iterable, Iterator, Sequence

from longhold.data.lines import plain_lines
from longhold.errors import InputError


def stop_texts(stop: str | Sequence[str]) -> tuple[str, ...]:
    """One stop text or several as a tuple, their line ends as a model writes them.

    Raises:
        InputError: one is empty, which would stop before anything is written, or no text.
    """
    stops = (stop,) if isinstance(stop, str) else tuple(stop) if isinstance(stop, Iterable) else (stop,)
    for text in stops:
        if not isinstance(text, str) or not text:
            raise InputError(f"stop={text!r:.60}: expected some text to stop before")
    return tuple(map(plain_lines, stops))


def until_stop(pieces: Iterable[str], stops: Sequence[str]) -> Iterator[str]:
    """The pieces up to a stop text, which is left out with all that follows; `pieces` is not read beyond it.

    A stop text may lie across pieces: what may still become one is held back until it is known, and comes out at the
    end if it never did. Of several the one that is complete first counts, of those the longest, so the result does not
    depend on where the text is cut into pieces.
    """
    held = ""
    for piece in pieces:
        held += piece
        found = [(start + len(text), start) for text in stops if (start := held.find(text)) >= 0]
        kept = min(found)[1] if found else len(held) - _beginning(held, stops)
        if kept:
            yield held[:kept]
        if found:
            return
        held = held[kept:]
    if held:
        yield held


def _beginning(text: str, stops: Sequence[str]) -> int:
    """Length of the longest end of `text` that a stop text begins with."""
    return max((_overlap(text, stop) for stop in stops), default=0)


def _overlap(text: str, stop: str) -> int:
    lengths = range(min(len(text), len(stop) - 1), 0, -1)
    return next((length for length in lengths if text.endswith(stop[:length])), 0)
