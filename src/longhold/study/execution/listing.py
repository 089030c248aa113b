"""Plans, their cost and their progress as tables in the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from longhold.study.claims import Question
from longhold.study.execution.cost import Bill
from longhold.study.execution.executor import status
from longhold.study.plan.agenda import Agenda
from longhold.study.plan.plan import Experiment, Plan, load_plan, questions, shipped
from longhold.study.rows.row import Row
from longhold.study.rows.store import Store


def duration(seconds: float) -> str:
    """A time as a person says it: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def outcome(row: Row) -> str:
    """Returns the result of a run, in a few words."""
    at = "" if row.spec.vary is None else f", {row.spec.vary} {row.spec.level}"
    found = row.error or (f"solved in {row.solved_step} steps" if row.solved else _unsolved(row))
    kind = {"timing": ", timed", "tuning": f", tuning lr {row.spec.lr:g}"}.get(row.spec.stage, "")
    return f"{row.spec.experiment}: {row.spec.arm}{at}, seed {row.spec.seed}{kind}: {found}"


def _unsolved(row: Row) -> str:
    if row.spec.stage == "timing":
        return f"{1000 * (row.step_seconds or 0.0):.2f} ms a step"
    if row.writing is not None:
        return f"{row.writing.bits:.3f} bits per character"
    return f"{row.score:.3f} {row.unit}" if row.spec.protocol == "text" else f"not solved (recall {row.recall:.2f})"


def show_shipped() -> None:
    """Print the plans that come with longhold."""
    table = _table("plan", "core-seconds", "question")
    for name, (question, core_seconds) in questions().items():
        table.add_row(name, f"{core_seconds:,.0f}", question)
    Console().print(table)


def show_plan(plan: Plan) -> None:
    """Print what a plan runs and compares."""
    console = Console()
    console.print(f"{plan.name}: {plan.question}", markup=False, highlight=False)
    for text in filter(None, (plan.notes, f"budget: {plan.core_seconds:,.0f} core-seconds")):
        console.print(text, markup=False, highlight=False)
    table = _table("experiment", "protocol", "task", "levels", "arms", "seeds", "steps", "learning rate")
    for experiment in plan.experiments:
        table.add_row(*_experiment(experiment))
    console.print(table)
    for question in plan.family.questions if plan.family else ():
        console.print(f"- {_question(question)}", markup=False, highlight=False)


def _experiment(experiment: Experiment) -> tuple[str, ...]:
    levels = [test_spec.level for test_spec in experiment.protocol.test_specs() if test_spec.level is not None]
    rate = f"{experiment.lr:g}" if experiment.lr is not None else "tuned for each arm"
    if experiment.search is not None:
        rate = f"searched for each arm, with {', '.join(experiment.search.dimensions[1:])}"
    steps = f"{experiment.training_seconds:g} core-seconds" if experiment.steps is None else f"{experiment.steps:,}"
    return (
        experiment.name,
        experiment.protocol.name,
        str(experiment.protocol.task["name"]),
        f"{experiment.protocol.varies} {', '.join(map(str, levels))}" if levels else "",
        "\n".join(experiment.labels()),
        str(len(experiment.seeds)),
        steps,
        rate,
    )


def _question(question: Question) -> str:
    kind, sign = ("prediction", ">") if question.predicted else ("question", "or")
    at = f" at {', '.join(map(str, question.levels))}" if question.levels else ""
    where = "".join(f", {name} {value}" for name, value in question.where.items())
    unit = " times" if question.is_ratio else ""
    return (
        f"{kind} {question.name!r}: {question.a} {sign} {question.b} in {question.measure} "
        f"({question.task}, {question.protocol}{at}{where}), by at least {question.minimum_effect:g}{unit}"
    )


def show_cost(plan: Plan, account: Sequence[Bill], workers: int) -> None:
    """Print what is left of a plan costs."""
    table = _table("experiment", "runs at most", "core-seconds at most", "predicted")
    for bill in account:
        table.add_row(bill.experiment, f"{bill.runs:,}", f"{bill.at_most:,.0f}", f"{bill.predicted:,.0f}")
    predicted = sum(bill.predicted for bill in account)
    table.add_row(
        "all", f"{sum(bill.runs for bill in account):,}", f"{sum(b.at_most for b in account):,.0f}", f"{predicted:,.0f}"
    )
    console = Console()
    console.print(table)
    console.print(
        f"predicted {duration(predicted / workers)} on {workers} workers; the plan's budget is "
        f"{plan.core_seconds:,.0f} core-seconds",
        highlight=False,
    )


def show_status(name: str | None, store: Store) -> None:
    """Print how far one plan is, or each plan that has rows in a store.

    Raises:
        InputError: there is no such plan, or the store cannot be read.
    """
    table = _table("plan", "experiment", "runs", "of at most", "solved", "failed", "core-seconds", "left at most")
    for plan_name in store.plans() if name is None else (name,):
        if name is None and plan_name not in shipped():
            found = store.rows(plan_name, stage=None)
            table.add_row(plan_name, "(its file is not given)", f"{len(found):,}", "", *_sums(found), "")
            continue
        plan = load_plan(plan_name)
        progress, left = status(plan, store)
        for experiment in plan.experiments:
            table.add_row(plan.name, experiment.name, *_standing(experiment, left), "")
        rest = "" if progress.seconds_left is None else f"{progress.seconds_left:,.0f} core-seconds"
        table.add_row(
            plan.name, "all", f"{progress.done:,}", f"{progress.done + progress.left:,}", *_sums(left.done), rest
        )
    Console().print(table)


def _standing(experiment: Experiment, left: Agenda) -> tuple[str, ...]:
    rows = [row for row in left.done if row.spec.experiment == experiment.name]
    ahead = sum(spec.experiment == experiment.name for spec in left.specs())
    return f"{len(rows):,}", f"{len(rows) + ahead:,}", *_sums(rows)


def _sums(rows: Sequence[Row]) -> tuple[str, str, str]:
    return (
        f"{sum(row.solved for row in rows):,}",
        f"{sum(row.error is not None for row in rows):,}",
        f"{sum(row.core_seconds for row in rows):,.0f}",
    )


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table
