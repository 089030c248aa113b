"""Output of commands: results on standard output, everything else on standard error."""

import io
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from itertools import chain

from longhold.sampling.scores import Place, Score, Surprises
from longhold.training import Progress, ProgressDisplay, is_main, printable


def say(line: str) -> None:
    """Print one line on standard error, once, however many workers there are."""
    if is_main():
        print(printable(line), file=sys.stderr, flush=True)


def report_unknown(characters: tuple[str, ...]) -> None:
    """Report which characters of a prompt the model has never seen."""
    if characters:
        shown = ", ".join(repr(character) for character in characters[:10])
        more = f" and {len(characters) - 10} more" if len(characters) > 10 else ""
        say(f"note: never seen in training: {shown}{more}; spelled out in bytes, the model may make little of them")


def stream(prime: str, pieces: Iterable[str], escape: bool | None = None) -> None:
    """Print the prompt and what follows as it comes, and a line break at the end, however it ends.

    `escape`: whether control characters are written as escapes; None: on a terminal, not into a file or pipe.
    """
    shown = printable if _escapes(escape) else str
    _take_any_character()
    try:
        for piece in chain([prime], pieces):
            print(shown(piece), end="", flush=True)
    except KeyboardInterrupt:
        print(flush=True)
        raise
    print(flush=True)


def show_score(surprises: Surprises, places: int, *, as_json: bool) -> None:
    """Print how well a text was predicted and where it was not, as lines or as one JSON object."""
    largest = surprises.largest(places)
    if as_json:
        print(json.dumps(_score_document(surprises.score, largest), allow_nan=False))
        return
    _take_any_character()
    print("\n".join(_score_lines(surprises.score, largest)))


def one_line(text: str) -> str:
    """Returns the text as `printable` does, with line breaks and tabs written as `\\n` and `\\t`."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def _escapes(escape: bool | None) -> bool:
    return sys.stdout.isatty() if escape is None else escape


def _take_any_character() -> None:
    """Have standard output write a character that its encoding lacks as an escape."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _score_document(score: Score, places: Sequence[Place]) -> dict[str, object]:
    figures = {
        "bits_per_character": score.bits_per_character,
        "bits_per_byte": score.bits_per_byte,
        "perplexity": score.perplexity,
    }
    counts = {"tokens": score.tokens, "characters": score.characters, "bytes": score.utf8_bytes}
    surprising = [{**asdict(place), "bits": _finite(place.bits)} for place in places]
    return {**{name: _finite(value) for name, value in figures.items()}, **counts, "surprising": surprising}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _score_lines(score: Score, places: Sequence[Place]) -> Iterator[str]:
    yield f"bits per character  {score.bits_per_character:.3f}"
    yield f"bits per byte       {score.bits_per_byte:.3f}"
    yield f"perplexity          {score.perplexity:,.3f} per token"
    yield f"text                {score.characters:,} characters, {score.utf8_bytes:,} bytes, {score.tokens:,} tokens"
    if places:
        yield "most surprising:"
    for place in places:
        before, text, after = map(one_line, (place.before, place.text, place.after))
        yield f"{place.bits:8.1f} bits  line {place.line:<6,} {before}»{text}«{after}"


def progress_display() -> AbstractContextManager[Callable[[Progress], None]]:
    """Returns the live display of a training run; nothing in workers that do not print."""
    return ProgressDisplay() if is_main() else nullcontext(lambda progress: None)
