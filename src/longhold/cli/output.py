"""How commands speak: results on standard output, everything else on standard error."""

import io
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from itertools import chain

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from longhold.sampling.scores import Place, Score, Surprises
from longhold.training import Progress, ProgressDisplay, is_main, printable
from longhold.tutorial.experiment import TutorialEpoch


def say(line: str) -> None:
    """One line for the person, not part of the result; said once, however many workers there are."""
    if is_main():
        print(printable(line), file=sys.stderr, flush=True)


def report_unknown(characters: tuple[str, ...]) -> None:
    """Tell which characters of a prompt the model has never seen."""
    if characters:
        shown = ", ".join(repr(character) for character in characters[:10])
        more = f" and {len(characters) - 10} more" if len(characters) > 10 else ""
        say(f"note: never seen in training: {shown}{more}; spelled out in bytes, the model may make little of them")


def stream(prime: str, pieces: Iterable[str], escape: bool | None = None) -> None:
    """Print the prompt and what follows as it comes, and a line break at the end, however it ends.

    Control characters are written as escapes where `escape` says so; None: on a terminal, not into a file or pipe.
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
    """Print how well a text was predicted and where it was not, for a person or as one JSON object."""
    largest = surprises.largest(places)
    if as_json:
        print(json.dumps(_score_document(surprises.score, largest), allow_nan=False))
        return
    _take_any_character()
    print("\n".join(_score_lines(surprises.score, largest)))


def one_line(text: str) -> str:
    """As `printable`, with line breaks and tabs written as `\\n` and `\\t`."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def _escapes(escape: bool | None) -> bool:
    return sys.stdout.isatty() if escape is None else escape


def _take_any_character() -> None:
    """Where standard output is in an encoding that lacks a character, it is shown as an escape."""
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
    """The live picture of a training run; nothing in workers that do not print."""
    return ProgressDisplay() if is_main() else nullcontext(lambda progress: None)


@contextmanager
def epoch_progress(total: int) -> Iterator[Callable[[TutorialEpoch], None]]:
    """A bar over all epochs of all seeds, or a line now and then where there is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with RichProgress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=total)

        def on_epoch(epoch: TutorialEpoch) -> None:
            text = f"seed {epoch.seed}  perplexity {epoch.perplexity:.2f}  {epoch.tokens_per_second:,.0f} tokens/s"
            bar.update(task, advance=1, description=text)
            if not console.is_terminal and epoch.epoch % 50 == 0:
                say(f"epoch {epoch.epoch}  {text}")

        yield on_epoch
