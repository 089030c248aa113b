"""Learnable against representable: what weights set by hand score, beside the seeds that found such weights."""

from collections.abc import Sequence

from longhold.errors import InputError
from longhold.study.report.document import Block, Cell, Entry, Paragraph, Section, Table
from longhold.study.report.groups import Group, hidden_size_of
from longhold.study.report.localized import LocalizedText, exact, two_digits, whole
from longhold.study.representable import Representable, representable
from longhold.tasks import TASKS, task_from_json


def learnable(known: Sequence[Group]) -> Section | None:
    """A table for each experiment on a task of this package; None without one.

    The hand-set networks are tested when this is called, on the tests that the rows name.
    """
    applicable = (group for group in known if not group.is_of_text and group.runs[0].fields.get("name") in TASKS)
    tables: list[Block] = list(map(_table, applicable))
    if not tables:
        return None
    title = LocalizedText("Learnable against representable", "可学会与可表示")
    return Section(title, (Paragraph(_EXPLAINED, quiet=True), *tables))


_EXPLAINED = LocalizedText(
    "Weights set by hand (longhold.study.representable), in networks like those that were trained but for the number "
    "of units, and reading ids as they are. They were tested when this page was made, as trained ones are: on fresh "
    "sequences of each test that the rows name. Where they solve a task and trained networks do not, the cell can do "
    "it, and training did not find how within this budget. Not tested: no such weights are at hand, which does not "
    "mean that there are none.",
    "手工设定的权重（longhold.study.representable），网络与训练的网络相同，只是单元数不同，且直接读取编号。"
    "它们在生成本页时像训练的网络一样接受测试：在数据行所列每个测试的新序列上。若手工设定的网络能解而训练的不能，"
    "说明该单元能做到，只是训练在此预算内没有找到。未测试：手头没有这样的权重，并不表示不存在。",
)


def _table(group: Group) -> Table:
    level = group.levels[-1] if group.levels else None
    at = (
        LocalizedText.same("")
        if level is None
        else LocalizedText(", at {} {}", "，{} {}").format(group.vary, str(level))
    )
    unit = group.runs[0].row.unit
    head: tuple[Entry, ...] = (
        LocalizedText("arm", "对象"),
        *(
            Cell(text, number=True)
            for text in (
                LocalizedText("trained: seeds that solve", "训练：解出的种子"),
                LocalizedText("trained: units", "训练：单元"),
                LocalizedText("by hand: units", "手工：单元"),
                LocalizedText("by hand: parameters", "手工：参数"),
                LocalizedText("by hand: {}", "手工：{}").format(_UNITS.get(unit, LocalizedText.same(unit))),
                LocalizedText("by hand: recall", "手工：回忆率"),
                LocalizedText("by hand: solved", "手工：解出"),
            )
        ),
    )
    caption = LocalizedText("{}{}: trained, and set by hand", "{}{}：训练与手工设定").format(group.name, at)
    return Table(caption, head, tuple(_row(group, arm, level) for arm in group.arms))


_UNITS = {"accuracy": LocalizedText("accuracy", "准确率"), "squared error": LocalizedText("squared error", "平方误差")}
_NOT_TESTED = LocalizedText("not tested", "未测试")


def _row(group: Group, arm: str, level: int | None) -> tuple[Entry, ...]:
    proportion, found = group.solve_rate(arm, level), _set_by_hand(group, arm, level)
    solved = (
        LocalizedText.same("–")
        if proportion is None
        else LocalizedText("{} of {}", "{} / {}").format(proportion.solved, proportion.seeds)
    )
    trained = (solved, LocalizedText.same(exact(group.known(hidden_size_of, arm))))
    return (arm, *(Cell(text, number=True) for text in (*trained, *_figures(found))))


def _figures(found: Representable | None) -> tuple[LocalizedText, ...]:
    if found is None:
        return (_NOT_TESTED, *[LocalizedText.same("–")] * 4)
    layers = LocalizedText("", "")
    if found.num_layers > 1:
        layers = LocalizedText(" in each of {} layers", "（{} 层各有）").format(found.num_layers)
    return (
        LocalizedText("{}{}", "{}{}").format(whole(found.hidden_size), layers),
        LocalizedText.same(whole(found.parameters)),
        LocalizedText.same(f"{found.score:.6g}"),
        LocalizedText.same(two_digits(found.recall)),
        LocalizedText("✓ yes, {} sequences", "✓ 是，{} 条序列").format(whole(found.sequences))
        if found.solved
        else LocalizedText("✗ no, {} sequences", "✗ 否，{} 条序列").format(whole(found.sequences)),
    )


def _set_by_hand(group: Group, arm: str, level: int | None) -> Representable | None:
    """By the tests of a run of the experiment at this level; another arm's has the same."""
    run = next((run for run in group.runs if run.level == level), group.runs[0])
    try:
        task = task_from_json(dict(run.fields))
        tests = tuple(map(task_from_json, run.row.spec.tests)) or (task.examination,)
    except InputError:
        return None
    return representable(task, tests, group.cell(arm))
