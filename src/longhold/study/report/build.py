"""The report of a study as a document, drawn from rows alone."""

from collections.abc import Iterable, Sequence

from longhold.study.plan.plan import Plan
from longhold.study.report.answer import answer
from longhold.study.report.cost import cost, tuning
from longhold.study.report.document import Document
from longhold.study.report.evaluation import Evaluation, evaluate
from longhold.study.report.gaps import gaps
from longhold.study.report.groups import Group, groups, visible
from longhold.study.report.horizons import horizons
from longhold.study.report.instruments import instruments
from longhold.study.report.learning import learning, time_to_solve
from longhold.study.report.localized import LocalizedText, listed, whole
from longhold.study.report.recall import recall_by_lag
from longhold.study.report.representable import learnable
from longhold.study.report.reproduce import reproduce, rows_digest
from longhold.study.report.series import Series
from longhold.study.report.text import text
from longhold.study.rows.row import Row
from longhold.training import printable


def study_document(rows: Iterable[Row], plan: Plan | None, command: str) -> Document:
    """The document of one plan.

    Args:
        rows: of the plan, those of tuning too.
        plan: what was declared; None where its file is not at hand.
        command: what makes the rows and the report again.

    Raises:
        InputError: a row occurs twice, or a hypothesis makes no sense.
    """
    given = list(rows)
    shown = [visible(row) for row in given]
    known, series = groups(shown, plan), Series()
    evaluation = None if plan is None else evaluate(plan, shown)
    sections = (
        answer(known, evaluation),
        recall_by_lag(known, series),
        horizons(known, series),
        text(known, series),
        learning(known, series),
        time_to_solve(known, series),
        learnable(known),
        instruments(known, series),
        tuning(shown, plan),
        cost(known),
        gaps(known, plan, evaluation),
        reproduce(shown, rows_digest(given), command),
    )
    return Document(
        title=_title(plan, known),
        eyebrow=LocalizedText("longhold memory study: {}", "longhold 记忆研究：{}").format(_name(plan, shown)),
        lead=_lead(known),
        facts=_facts(known, evaluation),
        sections=tuple(section for section in sections if section is not None),
    )


def _title(plan: Plan | None, known: tuple[Group, ...]) -> LocalizedText:
    if plan is not None:
        return LocalizedText.same(printable(plan.question))
    return (
        LocalizedText("How far back does it remember?", "它能记住多远？")
        if known
        else LocalizedText("No rows yet", "尚无数据")
    )


def _name(plan: Plan | None, rows: Sequence[Row]) -> str:
    if plan is not None:
        return plan.name
    return ", ".join(sorted({row.spec.plan for row in rows})) or "–"


def _lead(known: tuple[Group, ...]) -> LocalizedText:
    if not known:
        return LocalizedText(
            "There are no rows yet, so there is nothing to show.", "还没有任何行，因此没有可显示的内容。"
        )
    tasks = {str(run.fields["name"]) for group in known for run in group.runs}
    protocols = {group.protocol for group in known}
    return LocalizedText(
        "Tasks: {}. Protocols: {}. Every run is one seed; each of them is shown.",
        "任务：{}。协议：{}。每次运行为一个种子，全部显示。",
    ).format(listed(sorted(tasks)), listed(sorted(protocols)))


def _facts(known: tuple[Group, ...], evaluation: Evaluation | None) -> tuple[tuple[LocalizedText, LocalizedText], ...]:
    everything = [run for group in known for run in group.runs]
    arms = {arm for group in known for arm in group.arms}
    failed = sum(run.failed for run in everything)
    facts = [
        (LocalizedText("runs", "运行"), LocalizedText.same(whole(len(everything)))),
        (LocalizedText("that failed", "其中失败"), LocalizedText.same(whole(failed))),
        (LocalizedText("arms", "对象"), LocalizedText.same(whole(len(arms)))),
        (LocalizedText("seeds", "种子"), _seeds(known)),
    ]
    if evaluation is not None and (evaluation.claims or evaluation.unanswered):
        facts.append(
            (
                LocalizedText("comparisons tested", "已判断的比较"),
                LocalizedText("{} of {}", "{} / {}").format(
                    len(evaluation.claims), len(evaluation.claims) + len(evaluation.unanswered)
                ),
            )
        )
    return tuple(facts)


def _seeds(known: tuple[Group, ...]) -> LocalizedText:
    counts = sorted({len(group.seeds) for group in known})
    if not counts:
        return LocalizedText.same("0")
    return LocalizedText.same(f"{counts[0]}") if len(counts) == 1 else LocalizedText.same(f"{counts[0]}–{counts[-1]}")
