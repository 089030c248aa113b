"""The result of a comparison, as tables in the terminal."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from longhold.study.plan.plan import Experiment, Plan
from longhold.study.report.localized import two_digits
from longhold.study.report.writing import rivals_of, train_perplexity
from longhold.study.rows.row import Row
from longhold.study.statistics import LEAST_SEEDS
from longhold.training import printable


def show_comparison(rows: Sequence[Row], plan: Plan) -> None:
    """Print the results of a comparison, in 80 columns: a table for each experiment that has rows."""
    console = Console()
    for experiment in plan.experiments:
        known = [row for row in rows if row.spec.experiment == experiment.name and row.spec.stage == "result"]
        if known:
            shown = _text_table if experiment.protocol.name == "text" else _recall_table
            console.print(shown(known, experiment))
    fewest = min(len(experiment.seeds) for experiment in plan.experiments)
    runs = "one run" if fewest == 1 else f"{fewest} runs"
    console.print(
        f"Indicative: as few as {runs} for an arm, where a claim needs {LEAST_SEEDS} seeds; so nothing is claimed.",
        style="dim",
        highlight=False,
    )


def _text_table(rows: Sequence[Row], experiment: Experiment) -> Table:
    title = Text(f"{printable(experiment.name)}: held-out text, bits per character")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    for heading in ("parameters", "steps", "tokens/s", "train ppl", "bits/char"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in sorted(rows, key=lambda row: (experiment.labels().index(row.spec.arm), row.spec.seed)):
        speed = "" if row.tokens_per_second is None else f"{row.tokens_per_second:,.0f}"
        bits = "failed" if row.writing is None else f"{row.writing.bits:.3f}"
        perplexity = f"{train_perplexity(row.curve):.2f}" if row.curve else ""
        table.add_row(row.spec.arm, f"{row.parameters:,}", f"{row.steps_used:,}", speed, perplexity, bits)
    writing = next((row.writing for row in rows if row.writing is not None), None)
    if writing is not None:
        table.add_section()
        for name, bits_of_rival in rivals_of(writing):
            table.add_row(name.en, *[""] * 4, f"{bits_of_rival:.3f}")
    return table


def _recall_table(rows: Sequence[Row], experiment: Experiment) -> Table:
    title = Text(f"{experiment.name}: each seed, and how many solved it")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    levels = [test_spec.level for test_spec in experiment.protocol.test_specs()]
    for level in levels:
        table.add_column(f"{experiment.protocol.varies} {level}", no_wrap=True)
    for arm in experiment.labels():
        found = [[row for row in rows if (row.spec.arm, row.spec.level) == (arm, level)] for level in levels]
        table.add_row(arm, *map(_seeds, found))
    return table


def _seeds(rows: Sequence[Row]) -> str:
    if not rows:
        return "not run"
    each = " ".join("failed" if row.recall is None else two_digits(row.recall) for row in rows)
    return f"{each}\n{sum(row.solved for row in rows)} of {len(rows)}"
