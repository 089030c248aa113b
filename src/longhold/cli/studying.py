"""The live picture of a study."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from longhold.cli.output import say
from longhold.files import argument
from longhold.study.execution.executor import StudyProgress
from longhold.study.execution.listing import duration, outcome


def run_command(name: str, store: Path, workers: int | None, core_seconds: float | None, executor: str) -> str:
    """The command that goes on with a study: as it was given, but for its time."""
    words = ["longhold study run", argument(name), "--store", argument(store)]
    words += [] if workers is None else ["--workers", str(workers)]
    words += [] if core_seconds is None else ["--core-seconds", str(core_seconds)]
    words += [] if executor == "local" else ["--executor", argument(executor)]
    return " ".join(words)


@contextmanager
def study_progress(store: Path, again: str) -> Iterator[Callable[[StudyProgress], None]]:
    """A bar, or a line for each row where there is no terminal; at the end, how it ended and what goes on with it."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    last: list[StudyProgress] = []
    try:
        with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task("timing a few steps", total=None)

            def watch(progress: StudyProgress) -> None:
                last[:] = [progress]
                text = "goes on" if progress.row is None else outcome(progress.row)
                left = "" if progress.seconds_left is None else f", at most {duration(progress.seconds_left)} left"
                bar.update(task, completed=progress.done, total=progress.done + progress.left, description=text + left)
                if not console.is_terminal:
                    say(f"{progress.done} of at most {progress.done + progress.left} runs{left}: {text}")

            yield watch
    finally:
        if last:
            rest = f"; for the rest {again}" if last[0].left else ""
            say(f"{last[0].done} rows in {store}{rest}")
