"""The memory study: plans, their cost, their runs, their rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

PlanName = Annotated[str, typer.Argument(metavar="PLAN", help="A plan's name, or a .toml file.")]
StorePath = Annotated[Path, typer.Option(help="The SQLite file of the rows.")]
Workers = Annotated[int | None, typer.Option(help="Processes, one thread each; default: one for each core.")]
On = Annotated[str, typer.Option("--executor", "--on", help="local: processes here; ray: a Ray cluster.")]

STORE = Path("longhold-study.sqlite")


def show_plans() -> None:
    """The plans that come with longhold, and the question of each."""
    from longhold.study.execution.listing import show_shipped

    show_shipped()


def plan(name: PlanName) -> None:
    """What a plan runs and compares, and what it predicts."""
    from longhold.study.execution.listing import show_plan
    from longhold.study.plan.plan import load_plan

    show_plan(load_plan(name))


def cost(name: PlanName, store: StorePath = STORE, workers: Workers = None, executor: On = "local") -> None:
    """What is left of a plan costs, in core-seconds, from a few timed steps of each kind of run."""
    from longhold.study.execution.executor import cost_of, pool_named
    from longhold.study.execution.listing import show_cost
    from longhold.study.plan.plan import load_plan
    from longhold.study.rows.store import Store

    chosen = load_plan(name)
    with Store(store) as rows, pool_named(executor, workers) as pool:
        show_cost(chosen, cost_of(chosen, rows, pool), pool.count)


def run(
    name: PlanName,
    store: StorePath = STORE,
    workers: Workers = None,
    budget: Annotated[str | None, typer.Option(help="Stop after this time, such as 90s or 2h.")] = None,
    core_seconds: Annotated[
        float | None, typer.Option(help="Core-seconds that the plan may take, instead of its own budget.")
    ] = None,
    executor: On = "local",
) -> None:
    """Run a plan, or what is left of it. Whatever ends it early, the same command resumes where it stopped."""
    from longhold.cli.progress import study_progress
    from longhold.study.execution.executor import pool_named, run_study
    from longhold.study.plan.plan import load_plan
    from longhold.study.rows.store import Store
    from longhold.training import parse_duration

    chosen = load_plan(name).with_core_seconds(core_seconds)
    seconds = None if budget is None else parse_duration(budget)
    again = run_command(name, store, workers, core_seconds, executor)
    Store(store).require_writable([name])
    with study_progress(store, again) as watch, Store(store) as rows, pool_named(executor, workers) as pool:
        run_study(chosen, rows, pool, seconds=seconds, on_progress=watch)


def run_command(name: str, store: Path, workers: int | None, core_seconds: float | None, executor: str) -> str:
    """Returns the command that resumes a study: as it was given, without its time."""
    from longhold.files import argument

    words = ["longhold study run", argument(name), "--store", argument(store)]
    words += [] if workers is None else ["--workers", str(workers)]
    words += [] if core_seconds is None else ["--core-seconds", str(core_seconds)]
    words += [] if executor == "local" else ["--executor", argument(executor)]
    return " ".join(words)


def status(
    name: Annotated[
        str | None, typer.Argument(metavar="[PLAN]", help="A plan's name, or a .toml file; default: all in the store.")
    ] = None,
    store: StorePath = STORE,
) -> None:
    """How far a study is, and how long it may still take."""
    from longhold.study.execution.listing import show_status
    from longhold.study.rows.store import Store

    with Store(store) as rows:
        show_status(name, rows)


def rows(
    name: Annotated[str | None, typer.Argument(metavar="[PLAN]", help="A plan's name; default: all.")] = None,
    store: StorePath = STORE,
    form: Annotated[str, typer.Option("--format", help="csv or jsonl.")] = "csv",
    tuning: Annotated[bool, typer.Option("--tuning", help="Also the runs that only chose a learning rate.")] = False,
) -> None:
    """Print the rows of a study."""
    from longhold.study.rows.store import Store, written

    with Store(store) as stored:
        for line in written(form, stored.rows(name, stage=None if tuning else "result")):
            print(line, end="")


def take(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files of rows in JSON lines.")],
    store: StorePath = STORE,
) -> None:
    """Read rows from JSON lines into a store."""
    from longhold.cli.output import say
    from longhold.study.rows.store import Store, from_jsonl

    Store(store).require_writable(files)
    found = [row for file in files for row in from_jsonl(file)]
    with Store(store) as stored:
        say(f"{stored.write_all(found)} of {len(found)} rows are new in {store}")


def report(
    name: Annotated[str, typer.Argument(metavar="PLAN", help="A plan's name, a .toml file, or a store of one plan.")],
    store: StorePath = STORE,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the report.")] = Path("longhold-study"),
    force: Annotated[
        bool, typer.Option("--force", help="Write over report files that longhold did not write.")
    ] = False,
) -> None:
    """Write what the rows say: one HTML page, the same as Markdown, and the rows as CSV and JSON lines."""
    from longhold.cli.output import say
    from longhold.study.report import report_of

    files = report_of(name, store, output, overwrite=force)
    beside = f"{files.markdown.name}, {files.rows.name} and {files.lines.name}"
    say(f"report: {files.page.resolve()}, with {beside} beside it")


COMMANDS: dict[str, Callable[..., None]] = {
    "list": show_plans,
    "plan": plan,
    "cost": cost,
    "run": run,
    "status": status,
    "rows": rows,
    "import": take,
    "report": report,
}
"""The subcommands by name."""
