"""What `demo` and `compare` share: the live picture, the tables, where the page lies."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from longhold.cli.output import say
from longhold.cli.studying import study_progress
from longhold.data.corpora import Corpus
from longhold.study.compare.run import STORE, CompareConfig, compare, require_place
from longhold.study.compare.table import show_comparison


def run_comparison(
    corpora: Sequence[Corpus],
    options: Mapping[str, object],
    folder: Path,
    *,
    name: str = "compare",
    command: str | None = None,
    force: bool = False,
) -> None:
    """Compare, print the tables, say where the page lies.

    Raises:
        InputError: an option or a text cannot be used, or the folder cannot be written.
    """
    config = CompareConfig(**dict(options))  # type: ignore[arg-type]
    require_place(corpora, folder, overwrite=force)
    for note in (note for corpus in corpora for note in corpus.notes):
        say(note)
    with study_progress(folder / STORE, "give the same command again") as watch:
        compared = compare(
            corpora, folder, config, name=name, command=command, overwrite=force, on_plan=say, on_progress=watch
        )
    show_comparison(compared.rows, compared.plan)
    files = compared.files
    beside = ", ".join(path.name for path in (files.markdown, files.rows, files.lines))
    say(f"page: {files.page.resolve()}, with {beside} and {compared.plan.name}.toml beside it")
