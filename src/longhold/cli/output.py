"""How commands speak: results on standard output, everything else on standard error."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import chain

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from longhold.study.tutorial import TutorialEpoch
from longhold.training import Progress, ProgressDisplay, is_main, printable


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


def stream(prime: str, pieces: Iterable[str]) -> None:
    """Print the prompt and what follows as it comes; escaped for a terminal, untouched into a file or pipe."""
    shown = printable if sys.stdout.isatty() else str
    for piece in chain([prime], pieces):
        print(shown(piece), end="", flush=True)
    print(flush=True)


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
