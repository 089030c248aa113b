"""What every seed came to, lag by lag."""

from collections.abc import Sequence

from markupsafe import Markup

from longhold.study.claims.rows import Run
from longhold.study.horizon import modes
from longhold.study.statistics import Share
from longhold.study.study_report.document import (
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
from longhold.study.study_report.groups import Group
from longhold.study.study_report.plots import Column, Dot, recall_panel, recall_scale, seed_strip
from longhold.study.study_report.said import Said, exact, recall, two_digits
from longhold.study.study_report.series import Kind, Series, key
from longhold.tasks.task import SOLVED

_FEWEST = 4  # seeds from which it is asked whether they fall into two groups


def recall_by_lag(known: Sequence[Group], series: Series) -> Section | None:
    """The section; None without rows."""
    blocks: list[Block] = []
    for group in known:
        blocks += [Subheading(Said.same(group.name)), Paragraph(group.settings, quiet=True), _figure(group, series)]
    if not blocks:
        return None
    return Section(Said("What each seed came to", "每个种子的结果"), (Paragraph(_EXPLAINED, quiet=True), *blocks))


_EXPLAINED = Said(
    "Recall is 0 for guessing and 1 for perfect. A run solves a task or it does not, so the seeds are never "
    "averaged: "
    "each has a sign of its own, and below stands the share of seeds that solve, with Wilson's 95 % interval. A run "
    "that failed counts as not solving; so does one that was left out because its seed had failed at two easier "
    "levels "
    "in a row.",
    "回忆率 0 表示瞎猜，1 表示完美。一次运行要么解出任务，要么没有，因此从不对种子取平均：每个种子有自己的标记，"
    "下方是解出任务的种子比例及其 "
    "Wilson 95 % 区间。失败的运行计为未解出；同一种子在两个更容易的水平上连续失败后略去的运行也计为未解出。",
)


def _figure(group: Group, series: Series) -> Figure:
    drawn = _panels(group, series) if group.levels or group.by_lag else _strips(group, series)
    return Figure(_legend(group), drawn, _numbers(group))


def _panels(group: Group, series: Series) -> tuple[Panel, ...]:
    return tuple(_panel(group, arm, series.style(group.cell(arm))) for arm in group.arms)


def _panel(group: Group, arm: str, style: str) -> Panel:
    columns = [_lag_column(group, arm, lag) for lag in group.lags] or [
        _level_column(group, arm, level) for level in group.levels
    ]
    lines: list[tuple[Kind, list[float]]] = [
        (_kind(run), [value for _, value in run.by_lag])
        for run in group.at(arm)
        if len(run.by_lag) == len(group.lags) > 0
    ]
    controls = [values for run in group.at(arm) if len(values := _control(run)) == len(group.lags) > 0]
    lines += [("control", values) for values in controls]
    note = Said("{} hidden units, learning rate {}", "{} 个隐藏单元，学习率 {}").format(
        exact(group.column("hidden_size", arm)), ", ".join(f"{lr:g}" for lr in sorted(set(group.column("lr", arm))))
    )
    return Panel(Said.same(arm), key(style), note, recall_panel(columns, style, _threshold(group), lines))


def _level_column(group: Group, arm: str, level: int) -> Column:
    spared = [
        Dot(-0.1, "spared", _tip(arm, group.vary, level, seed, "not run")) for seed in group.spared(arm).get(level, ())
    ]
    dots = [
        Dot(-0.1 if run.failed else run.recall, _kind(run), _tip(arm, group.vary, level, run.seed, _value(run)))
        for run in group.at(arm, level)
    ]
    return _column(str(level), [*dots, *spared], group.share(arm, level))


def _lag_column(group: Group, arm: str, lag: int) -> Column:
    dots = []
    for run in group.at(arm):
        value = dict(run.by_lag).get(lag)
        kind: Kind = "failed" if run.failed else "solved" if _solved(run, lag) else "unsolved"
        if value is not None or run.failed:
            at = -0.1 if value is None else value
            dots.append(
                Dot(at, kind, _tip(arm, "lag", lag, run.seed, "failed" if value is None else two_digits(value)))
            )
    return _column(str(lag), dots, lag_share(group, arm, lag))


def lag_share(group: Group, arm: str, lag: int) -> Share | None:
    """Of models that were tested at several lags: those that solve one of them."""
    known = [run for run in group.at(arm) if run.failed or lag in dict(run.by_lag)]
    return Share(sum(_solved(run, lag) for run in known), len(known)) if known else None


def _solved(run: Run, lag: int) -> bool:
    return not run.failed and any(test["lag"] == lag and test["solved"] for test in run.columns["by_lag"])


def _control(run: Run) -> list[float]:
    return [float(test["recall"]) for test in run.columns.get("control") or ()]


def _column(label: str, dots: Sequence[Dot], share: Share | None) -> Column:
    if share is None:
        return Column(label, tuple(dots), None, None)
    return Column(label, tuple(dots), share.value, share.estimate().interval)


def _kind(run: Run) -> Kind:
    return "failed" if run.failed else "solved" if run.solved else "unsolved"


def _value(run: Run) -> str:
    return recall(None if run.failed else run.recall).en


def _tip(arm: str, vary: str, level: int | None, seed: int, value: str) -> str:
    at = "" if level is None else f" · {vary} = {level}"
    return f"{arm}{at} · seed = {seed} · recall = {value}"


def _threshold(group: Group) -> float | None:
    """Where a line may stand: tasks measured by squared error solve by another rule than recall."""
    return SOLVED if set(group.column("unit")) == {"accuracy"} else None


def _strips(group: Group, series: Series) -> Table:
    rows = []
    for arm in group.arms:
        style, share = series.style(group.cell(arm)), group.share(arm, None)
        dots = [
            Dot(-0.1 if run.failed else run.recall, _kind(run), _tip(arm, "", None, run.seed, _value(run)))
            for run in group.at(arm)
        ]
        text = Said.same(", ".join(_value(run) for run in group.at(arm)))
        plot = seed_strip(dots, style, _threshold(group))
        rows.append((Cell(Said.same(arm), key(style)), _count(share), Cell(text, plot)))
    head = (Said("arm", "对象"), Cell(_SOLVED, number=True), Said("recall of every seed", "每个种子的回忆率"))
    return Table(Said.same(group.name), head, tuple(rows), (Markup(""), Markup(""), recall_scale()), "dots")


_SOLVED = Said("solved", "解出")


def _count(share: Share | None) -> Cell:
    text = Said("none", "无") if share is None else Said("{} of {}", "{} / {}").format(share.solved, share.seeds)
    return Cell(text, number=True)


def _legend(group: Group) -> tuple[tuple[Markup, Said], ...]:
    legend = [
        (key("neutral"), Said("a seed that solves", "解出的种子")),
        (key("neutral", "unsolved"), Said("one that does not", "未解出的种子")),
    ]
    if any(run.failed for run in group.runs):
        legend.append((key("neutral", "failed"), Said("a run that failed", "失败的运行")))
    if any(group.spared(arm) for arm in group.arms):
        legend.append((key("neutral", "spared"), Said("not run after two failures", "连续两次失败后未运行")))
    if group.levels or group.by_lag:
        legend.append((_WHISKER, Said("share of seeds that solve, 95 % interval", "解出任务的种子比例，95 % 区间")))
    if any(_control(run) for run in group.runs):
        legend.append(
            (_LINE.format("control"), Said("control: probes taught shuffled labels", "对照：用打乱的标签训练的探针"))
        )
    if _threshold(group) is not None:
        legend.append((_LINE.format("threshold"), Said(f"solved from {SOLVED}", f"达到 {SOLVED} 即为解出")))
    legend.append((_LINE.format("chance"), Said("guessing", "瞎猜")))
    return tuple(legend)


_WHISKER = Markup(
    '<svg class="key" viewBox="-8 -8 16 16" aria-hidden="true"><line class="whisker" y1="-8" y2="8"/>'
    '<path class="share" d="M-6,0H6"/></svg>'
)
_LINE = Markup('<svg class="key" viewBox="-8 -8 16 16" aria-hidden="true"><line class="{0}" x1="-8" x2="8"/></svg>')


def _numbers(group: Group) -> Table:
    level = (Cell(Said("lag", "延迟") if group.by_lag or group.vary == "lag" else Said.same(group.vary), number=True),)
    head: tuple[Entry, ...] = (
        Said("arm", "对象"),
        *(level if group.by_lag or group.levels else ()),
        Cell(_SOLVED, number=True),
        Said("share, 95 % interval", "比例，95 % 区间"),
        Said("recall of every seed, in the order of seeds", "每个种子的回忆率（按种子顺序）"),
        Said("how they lie", "分布"),
    )
    rows = [row for arm in group.arms for row in _arm_rows(group, arm)]
    seeds = ", ".join(map(str, group.seeds))
    return Table(Said("{}: recall, seeds {}", "{}：回忆率，种子 {}").format(group.name, seeds), head, tuple(rows))


def _arm_rows(group: Group, arm: str) -> list[tuple[Entry, ...]]:
    if group.by_lag:
        return [
            _row(arm, lag, lag_share(group, arm, lag), [(run, dict(run.by_lag).get(lag)) for run in group.at(arm)], 0)
            for lag in group.lags
        ]
    levels = group.levels or (None,)
    spared = group.spared(arm)
    return [
        _row(
            arm,
            level,
            group.share(arm, level),
            [(run, run.recall) for run in group.at(arm, level)],
            len(spared.get(level, ())) if level is not None else 0,
        )
        for level in levels
    ]


def _row(
    arm: str, level: int | None, share: Share | None, found: Sequence[tuple[Run, float | None]], spared: int
) -> tuple[Entry, ...]:
    values = [None if run.failed else value for run, value in found]
    at = () if level is None else (Cell(Said.same(str(level)), number=True),)
    shown = [recall(value) for value in values]
    left_out = [Said("{} not run", "{} 次未运行").format(spared)] if spared else []
    every = Said(", ".join(text.en for text in [*shown, *left_out]), "，".join(text.zh for text in [*shown, *left_out]))
    return (arm, *at, _count(share), _interval(share), every if shown or left_out else "–", _lie(values))


def _interval(share: Share | None) -> Said:
    if share is None:
        return Said.same("–")
    known = share.estimate()
    ends = (two_digits(known.value), two_digits(known.interval.low), two_digits(known.interval.high))
    return Said("{}, {} to {}", "{}，{} 至 {}").format(*ends)


def _lie(values: Sequence[float | None]) -> Said:
    """Whether the seeds fall into two groups; nothing where they are few or fall into one."""
    known = [0.0 if value is None else value for value in values]
    if len(known) < _FEWEST:
        return Said.same("")
    found = modes(known)
    if not found.bimodal:
        return Said.same("")
    return Said("two groups: {} near {}, {} near {}", "分为两组：{} 个接近 {}，{} 个接近 {}").format(
        found.low.seeds, two_digits(found.low.centre), found.high.seeds, two_digits(found.high.centre)
    )
