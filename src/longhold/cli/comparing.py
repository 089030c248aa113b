"""What `demo` and `compare` share: the live picture, the table, the page."""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from longhold.cli.output import say
from longhold.data.corpora import Corpus
from longhold.errors import InputError
from longhold.study.compare import CompareConfig, CompareProgress, compare
from longhold.study.report import render_table, write_report
from longhold.training import printable


def run_comparison(corpus: Corpus, options: Mapping[str, object], folder: Path, *, command: str | None = None) -> None:
    """Compare, print the table, write the page.

    Raises:
        InputError: an option cannot be used, or the page cannot be written.
    """
    config = CompareConfig(**dict(options))  # type: ignore[arg-type]
    page = _page_in(folder)
    for note in corpus.notes:
        say(note)
    console = Console(stderr=True)
    columns = (TextColumn("{task.fields[stage]:9}"), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=1.0, stage="")
        said = set[str]()

        def watch(progress: CompareProgress) -> None:
            message = printable(progress.message)
            share = 0.0 if progress.training is None else progress.training.step / progress.training.steps
            bar.update(
                task, completed=(progress.done + share) / progress.total, description=message, stage=progress.stage
            )
            if not console.is_terminal and progress.message not in said and progress.training is None:
                said.add(progress.message)
                say(f"{progress.stage}: {progress.message}")

        comparison = compare(corpus, config, command=command, on_progress=watch)
    write_report(comparison, page)
    Console().print(render_table(comparison))
    say(f"page: {page.resolve()}")


def _page_in(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder} for the page: {error.strerror or error}") from None
    return folder / "index.html"
