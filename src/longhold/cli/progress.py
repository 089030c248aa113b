"""Progress bars of commands, on standard error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from longhold.cli.output import say

if TYPE_CHECKING:
    from longhold.study.execution.executor import StudyProgress
    from longhold.tutorial.experiment import TutorialEpoch


@contextmanager
def byte_progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, whole: bar.update(task, completed=done, total=whole)


@contextmanager
def epoch_progress(total: int) -> Iterator[Callable[["TutorialEpoch"], None]]:
    """A bar over all epochs of all seeds, or a line now and then where there is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=total)

        def on_epoch(epoch: "TutorialEpoch") -> None:
            text = f"seed {epoch.seed}  perplexity {epoch.perplexity:.2f}  {epoch.tokens_per_second:,.0f} tokens/s"
            bar.update(task, advance=1, description=text)
            if not console.is_terminal and epoch.epoch % 50 == 0:
                say(f"epoch {epoch.epoch}  {text}")

        yield on_epoch


@contextmanager
def study_progress(store: Path, again: str) -> Iterator[Callable[["StudyProgress"], None]]:
    """A bar, or a line for each row where there is no terminal; at the end the rows and what runs the rest."""
    from longhold.study.execution.listing import duration, outcome

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    last: list[StudyProgress] = []
    try:
        with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task("timing a few steps", total=None)

            def watch(progress: "StudyProgress") -> None:
                last[:] = [progress]
                text = "resumes" if progress.row is None else outcome(progress.row)
                left = "" if progress.seconds_left is None else f", at most {duration(progress.seconds_left)} left"
                bar.update(task, completed=progress.done, total=progress.done + progress.left, description=text + left)
                if not console.is_terminal:
                    say(f"{progress.done} of at most {progress.done + progress.left} runs{left}: {text}")

            yield watch
    finally:
        if last:
            rest = f"; for the rest {again}" if last[0].left else ""
            say(f"{last[0].done} rows in {store}{rest}")
