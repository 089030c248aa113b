"""Results of every seed, lag by lag."""

from collections.abc import Sequence

from markupsafe import Markup

from longhold.study.claims.rows import Run
from longhold.study.horizon import modes
from longhold.study.report.document import (
    Block,
    Cell,
    Entry,
    Figure,
    Panel,
    Paragraph,
    Section,
    Subheading,
    Table,
)
from longhold.study.report.groups import Group, Result, hidden_size_of, learning_rate_of, results_of, scale_name
from longhold.study.report.localized import LocalizedText, exact, recall, spread, two_digits
from longhold.study.report.plots import Column, Dot, recall_panel, recall_scale, seed_strip
from longhold.study.report.series import Kind, Series, key
from longhold.study.statistics import Proportion
from longhold.tasks import TASKS, Task
from longhold.tasks.adding import MarkedSum
from longhold.tasks.anbn import CountingStrings
from longhold.tasks.task import SOLVED

_FEWEST = 4  # seeds from which a test of two groups is made


def recall_by_lag(known: Sequence[Group], series: Series) -> Section | None:
    """The section; None without rows of a task that can be solved."""
    blocks: list[Block] = []
    for group in (one for one in known if not one.is_of_text):
        blocks += [
            Subheading(LocalizedText.same(group.name)),
            Paragraph(group.settings, quiet=True),
            _figure(group, series),
        ]
    if not blocks:
        return None
    return Section(
        LocalizedText("Results of each seed", "每个种子的结果"), (Paragraph(_EXPLAINED, quiet=True), *blocks)
    )


_EXPLAINED = LocalizedText(
    "Recall is 0 for guessing and 1 for perfect. A run solves a task or it does not, so the seeds are never "
    "averaged: "
    "each has a sign of its own, and below stands the proportion of seeds that solve, with Wilson's 95 % interval. A "
    "run that failed counts as not solving; so does one that was left out because its seed had failed at two easier "
    "levels "
    "in a row.",
    "回忆率 0 表示瞎猜，1 表示完美。一次运行要么解出任务，要么没有，因此从不对种子取平均：每个种子有自己的标记，"
    "下方是解出任务的种子比例及其 "
    "Wilson 95 % 区间。失败的运行计为未解出；同一种子在两个更容易的水平上连续失败后略去的运行也计为未解出。",
)


def _figure(group: Group, series: Series) -> Figure:
    drawn = _panels(group, series) if group.levels or group.by_test else _strips(group, series)
    return Figure(_legend(group), drawn, _numbers(group))


def _panels(group: Group, series: Series) -> tuple[Panel, ...]:
    return tuple(_panel(group, arm, series.style(group.cell(arm))) for arm in group.arms)


def _panel(group: Group, arm: str, style: str) -> Panel:
    columns = [_place_column(group, arm, place) for place in group.places] or [
        _level_column(group, arm, level) for level in group.levels
    ]
    note = LocalizedText("{} hidden units, learning rate {}", "{} 个隐藏单元，学习率 {}").format(
        exact(group.known(hidden_size_of, arm)), spread(group.known(learning_rate_of, arm))
    )
    plot = recall_panel(columns, style, _threshold(group), _lines(group, arm))
    return Panel(LocalizedText.same(arm), key(style), note, plot, scale_name(group))


def _lines(group: Group, arm: str) -> list[tuple[Kind, list[float]]]:
    """The recall of every model that was tested at all places, and of the probes that control it."""
    if not group.by_test:
        return []
    found: list[tuple[Kind, list[float]]] = []
    for run in group.at(arm):
        for kind, tests in ((_kind(run), run.row.by_lag), ("control", run.row.control)):
            values = [test.recall for test in results_of(tests)]
            if len(values) == len(group.places):
                found.append((kind, values))
    return found


def _level_column(group: Group, arm: str, level: int) -> Column:
    skipped = [
        Dot(-0.1, "skipped", _tip(arm, group.scale, level, seed, "not run"))
        for seed in group.skipped(arm).get(level, ())
    ]
    dots = [
        Dot(-0.1 if run.failed else run.recall, _kind(run), _tip(arm, group.scale, level, run.seed, _value(run)))
        for run in group.at(arm, level)
    ]
    return _column(str(level), [*dots, *skipped], group.solve_rate(arm, level))


def _place_column(group: Group, arm: str, place: int) -> Column:
    dots = []
    for run in group.at(arm):
        test = _result(run, place)
        if run.failed:
            dots.append(Dot(-0.1, "failed", _tip(arm, group.scale, place, run.seed, "failed")))
        elif test is not None:
            kind: Kind = "solved" if test.solved else "unsolved"
            dots.append(Dot(test.recall, kind, _tip(arm, group.scale, place, run.seed, two_digits(test.recall))))
    return _column(str(place), dots, solve_rate_at(group, arm, place))


def solve_rate_at(group: Group, arm: str, place: int) -> Proportion | None:
    """Of models that were tested at several places: those that solve one of them."""
    known = [(run, _result(run, place)) for run in group.at(arm)]
    known = [(run, test) for run, test in known if run.failed or test is not None]
    solved = sum(test is not None and test.solved and not run.failed for run, test in known)
    return Proportion(solved, len(known)) if known else None


def _result(run: Run, place: int) -> Result | None:
    return next((test for test in results_of(run.row.by_lag) if test.place == place), None)


def _column(label: str, dots: Sequence[Dot], proportion: Proportion | None) -> Column:
    if proportion is None:
        return Column(label, tuple(dots), None, None)
    return Column(label, tuple(dots), proportion.value, proportion.estimate().interval)


def _kind(run: Run) -> Kind:
    return "failed" if run.failed else "solved" if run.solved else "unsolved"


def _value(run: Run) -> str:
    return recall(None if run.failed else run.recall).en


def _tip(arm: str, vary: str, level: int | None, seed: int, value: str) -> str:
    at = "" if level is None else f" · {vary} = {level}"
    return f"{arm}{at} · seed = {seed} · recall = {value}"


def _threshold(group: Group) -> float | None:
    """Where a line may stand; None for tasks that are solved by a rule of their own."""
    task = _task(group)
    return SOLVED if task is not None and task.solved is Task.solved else None


def _own_rule(group: Group) -> list[LocalizedText]:
    """What solving means where recall does not say it."""
    task = _task(group)
    return [] if task is None else [rule for kind, rule in _RULES.items() if issubclass(task, kind)]


def _task(group: Group) -> type[Task] | None:
    return TASKS.get(str(group.runs[0].fields["name"]))


_RULES: dict[type, LocalizedText] = {
    MarkedSum: LocalizedText("solved: a mean squared error below 0.01", "解出：均方误差小于 0.01"),
    CountingStrings: LocalizedText("solved: every verdict right", "解出：全部判断正确"),
}


def _strips(group: Group, series: Series) -> Table:
    rows = []
    for arm in group.arms:
        style, proportion = series.style(group.cell(arm)), group.solve_rate(arm, None)
        dots = [
            Dot(-0.1 if run.failed else run.recall, _kind(run), _tip(arm, "", None, run.seed, _value(run)))
            for run in group.at(arm)
        ]
        text = LocalizedText.same(", ".join(_value(run) for run in group.at(arm)))
        plot = seed_strip(dots, style, _threshold(group))
        rows.append((Cell(LocalizedText.same(arm), key(style)), _count(proportion), Cell(text, plot)))
    head = (
        LocalizedText("arm", "对象"),
        Cell(_SOLVED, number=True),
        LocalizedText("recall of every seed", "每个种子的回忆率"),
    )
    return Table(LocalizedText.same(group.name), head, tuple(rows), (Markup(""), Markup(""), recall_scale()), "dots")


_SOLVED = LocalizedText("solved", "解出")


def _count(proportion: Proportion | None) -> Cell:
    text = (
        LocalizedText("none", "无")
        if proportion is None
        else LocalizedText("{} of {}", "{} / {}").format(proportion.solved, proportion.seeds)
    )
    return Cell(text, number=True)


def _legend(group: Group) -> tuple[tuple[Markup, LocalizedText], ...]:
    legend = [
        (key("neutral"), LocalizedText("a seed that solves", "解出的种子")),
        (key("neutral", "unsolved"), LocalizedText("one that does not", "未解出的种子")),
    ]
    if any(run.failed for run in group.runs):
        legend.append((key("neutral", "failed"), LocalizedText("a run that failed", "失败的运行")))
    if any(group.skipped(arm) for arm in group.arms):
        legend.append((key("neutral", "skipped"), LocalizedText("not run after two failures", "连续两次失败后未运行")))
    if group.levels or group.by_test:
        legend.append(
            (_WHISKER, LocalizedText("proportion of seeds that solve, 95 % interval", "解出任务的种子比例，95 % 区间"))
        )
    if any(run.row.control for run in group.runs):
        legend.append(
            (
                _LINE.format("control"),
                LocalizedText("control: probes trained on shuffled labels", "对照：用打乱的标签训练的探针"),
            )
        )
    if _threshold(group) is not None:
        legend.append((_LINE.format("threshold"), LocalizedText(f"solved from {SOLVED}", f"达到 {SOLVED} 即为解出")))
    legend += [(Markup(""), rule) for rule in _own_rule(group)]
    legend.append((_LINE.format("chance"), LocalizedText("guessing", "瞎猜")))
    return tuple(legend)


_WHISKER = Markup(
    '<svg class="key" viewBox="-8 -8 16 16" aria-hidden="true"><line class="whisker" y1="-8" y2="8"/>'
    '<path class="share" d="M-6,0H6"/></svg>'
)
_LINE = Markup('<svg class="key" viewBox="-8 -8 16 16" aria-hidden="true"><line class="{0}" x1="-8" x2="8"/></svg>')


def _numbers(group: Group) -> Table:
    level = (Cell(scale_name(group), number=True),)
    head: tuple[Entry, ...] = (
        LocalizedText("arm", "对象"),
        *(level if group.by_test or group.levels else ()),
        Cell(_SOLVED, number=True),
        LocalizedText("proportion, 95 % interval", "比例，95 % 区间"),
        LocalizedText("recall of every seed, in the order of seeds", "每个种子的回忆率（按种子顺序）"),
        LocalizedText("how they lie", "分布"),
    )
    rows = [row for arm in group.arms for row in _arm_rows(group, arm)]
    seeds = ", ".join(map(str, group.seeds))
    return Table(
        LocalizedText("{}: recall, seeds {}", "{}：回忆率，种子 {}").format(group.name, seeds), head, tuple(rows)
    )


def _arm_rows(group: Group, arm: str) -> list[tuple[Entry, ...]]:
    if group.by_test:
        return [
            _row(arm, place, solve_rate_at(group, arm, place), [(run, _recall(run, place)) for run in group.at(arm)], 0)
            for place in group.places
        ]
    levels = group.levels or (None,)
    skipped = group.skipped(arm)
    return [
        _row(
            arm,
            level,
            group.solve_rate(arm, level),
            [(run, run.recall) for run in group.at(arm, level)],
            len(skipped.get(level, ())) if level is not None else 0,
        )
        for level in levels
    ]


def _recall(run: Run, place: int) -> float | None:
    test = _result(run, place)
    return None if test is None else test.recall


def _row(
    arm: str, level: int | None, proportion: Proportion | None, found: Sequence[tuple[Run, float | None]], skipped: int
) -> tuple[Entry, ...]:
    values = [None if run.failed else value for run, value in found]
    at = () if level is None else (Cell(LocalizedText.same(str(level)), number=True),)
    shown = [recall(value) for value in values]
    left_out = [LocalizedText("{} not run", "{} 次未运行").format(skipped)] if skipped else []
    every = LocalizedText(
        ", ".join(text.en for text in [*shown, *left_out]), "，".join(text.zh for text in [*shown, *left_out])
    )
    return (arm, *at, _count(proportion), _interval(proportion), every if shown or left_out else "–", _lie(values))


def _interval(proportion: Proportion | None) -> LocalizedText:
    if proportion is None:
        return LocalizedText.same("–")
    known = proportion.estimate()
    ends = (two_digits(known.value), two_digits(known.interval.low), two_digits(known.interval.high))
    return LocalizedText("{}, {} to {}", "{}，{} 至 {}").format(*ends)


def _lie(values: Sequence[float | None]) -> LocalizedText:
    """Whether the seeds fall into two groups; nothing where they are few or fall into one."""
    known = [0.0 if value is None else value for value in values]
    if len(known) < _FEWEST:
        return LocalizedText.same("")
    found = modes(known)
    if not found.bimodal:
        return LocalizedText.same("")
    return LocalizedText("two groups: {} near {}, {} near {}", "分为两组：{} 个接近 {}，{} 个接近 {}").format(
        found.low.seeds, two_digits(found.low.centre), found.high.seeds, two_digits(found.high.centre)
    )
