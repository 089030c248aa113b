"""Horizons: each protocol by itself, every arm with its interval, and what lies beyond the lags that were run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from markupsafe import Markup

from longhold.errors import InputError
from longhold.study.claims.sentences import HORIZONS
from longhold.study.horizon import seed_horizons, trained_horizon
from longhold.study.horizon.seeds import describe as describe_seed
from longhold.study.horizon.trained import describe as describe_trained
from longhold.study.report.document import Block, Cell, Entry, Figure, Paragraph, Section, Subheading, Table
from longhold.study.report.groups import (
    Group,
    hidden_size_of,
    learning_rate_of,
    parameters_of,
    results_of,
    scale_name,
    steps_of,
    untruncated,
)
from longhold.study.report.localized import LocalizedText, counted, exact, spread
from longhold.study.report.plots import horizon_strip, lag_scale
from longhold.study.report.series import Series, key
from longhold.study.statistics import LEAST_SEEDS, Interval


@final
@dataclass(frozen=True)
class ArmHorizon:
    """How far one arm goes, under one protocol."""

    arm: str
    """The arm."""
    value: float
    """In levels; 0 below the grid, infinite beyond it."""
    interval: Interval
    """Its ends likewise."""
    grid: tuple[int, ...]
    """The levels."""
    shown: tuple[str, str, str]
    """Value and ends as they are printed."""
    seeds: int
    """How many it rests on."""
    each: tuple[float, ...]
    """Every seed's own; empty for a trained horizon, which belongs to a group of seeds."""
    remarks: tuple[LocalizedText, ...]
    """What a reader has to know."""

    @property
    def text(self) -> LocalizedText:
        """`90 (95 % interval 70 to >= 512; 10 seeds)`"""
        value, low, high = self.shown
        percent = f"{100 * self.interval.confidence:.0f}"
        seeds = counted(self.seeds, "seed", "seeds", "个种子")
        return LocalizedText("{} ({} % interval {} to {}; {})", "{}（{} % 区间 {} 至 {}；{}）").format(
            value, percent, low, high, seeds
        )


def name_of(group: Group) -> LocalizedText | None:
    """What the horizon of a group's protocol is called; None where it has none."""
    if group.protocol not in HORIZONS or not (group.levels or group.places):
        return None
    name = HORIZONS[group.protocol]
    return LocalizedText(name["en"], name["zh"])


def arm_horizons(group: Group) -> tuple[ArmHorizon, ...]:
    """The horizon of every arm that has rows enough for one."""
    if name_of(group) is None:
        return ()
    found = (_trained(group, arm) if group.protocol == "trained" else _by_seed(group, arm) for arm in group.arms)
    return tuple(one for one in found if one is not None)


def horizons(known: Sequence[Group], series: Series) -> Section | None:
    """The section; None where no rows have a horizon."""
    blocks: list[Block] = []
    for group in known:
        name, found = name_of(group), arm_horizons(group)
        if name is not None and found:
            blocks += [
                Subheading(LocalizedText("{}: {}", "{}：{}").format(group.name, name)),
                *_shown(group, found, name, series),
                *_by_truncation(group, found, name),
            ]
    if not blocks:
        return None
    return Section(LocalizedText("How far", "多远"), (Paragraph(_EXPLAINED, quiet=True), *blocks))


_EXPLAINED = LocalizedText(
    "Each protocol asks another question, so their figures do not compare with each other. Trained horizon: the "
    "lag at "
    "which half of the seeds no longer solve. The others: the last lag before a seed's recall falls below one "
    "half, and "
    "the median of that over seeds. An arrow, and >= or < in the table, says that it lies beyond what was run.",
    "每种协议问的是不同的问题，数值之间不可相互比较。训练跨度：一半种子不再能解出的间隔。其余："
    "单个种子的回忆率降到一半以下之前的最后一个"
    "间隔，取各种子的中位数。箭头，以及表中的 >= 或 <，表示超出所测范围。",
)


def _trained(group: Group, arm: str) -> ArmHorizon | None:
    table = group.outcomes(arm)
    if table is None:
        return None
    found = trained_horizon(table)
    ends = found.horizon.interval
    remarks = [_RISES] if found.nonmonotone else []
    if table.stopped:
        remarks.append(
            LocalizedText(
                "{} left out after two failures in a row count as not solved", "连续两次失败后略去的 {} 计为未解出"
            ).format(counted(table.stopped, "run", "runs", "次运行"))
        )
    if table.incomplete:
        remarks.append(
            LocalizedText("seeds left out for missing rows: {}", "因缺少行而略去的种子：{}").format(
                _numbers(table.incomplete)
            )
        )
    shown = [describe_trained(value, found.lags) for value in (found.horizon.value, ends.low, ends.high)]
    return _arm(arm, found.horizon.value, ends, found.lags, shown, len(table.solved), (), remarks)


def _by_seed(group: Group, arm: str) -> ArmHorizon | None:
    curves = _curves(group, arm)
    if not curves:
        return None
    accuracy = group.known(lambda row: row.unit, arm)[:1] == ["accuracy"]
    try:
        found = seed_horizons(
            curves,
            trials=min(group.known(lambda row: row.test_sequences, arm)) if accuracy else None,
            chance=group.known(lambda row: row.chance, arm)[0] if accuracy else 0.0,
        )
    except InputError:
        return None
    grid, ends = group.places or group.levels, found.median.interval
    shown = [describe_seed(value, found.longest) for value in (found.median.value, ends.low, ends.high)]
    each = [math.inf if one.censored else float(one.value) for one in found.seeds.values()]
    remarks = []
    if found.nonmonotone:
        remarks.append(
            LocalizedText("recall rises again at longer lags in seeds {}", "回忆率在更长处又上升的种子：{}").format(
                _numbers(found.nonmonotone)
            )
        )
    return _arm(arm, found.median.value, ends, grid, shown, len(curves), each, remarks)


def _curves(group: Group, arm: str) -> dict[int, list[tuple[int, float]]]:
    """Recall by lag, or by level, of every seed; a run that failed holds nothing."""
    if group.by_test:
        nothing = [(place, 0.0) for place in group.places]
        found = {run.seed: [(test.place, test.recall) for test in results_of(run.row.by_lag)] for run in group.at(arm)}
        return {seed: curve or nothing for seed, curve in found.items()}
    curves: dict[int, list[tuple[int, float]]] = {}
    for run in group.at(arm):
        if run.level is not None:
            curves.setdefault(run.seed, []).append((run.level, run.recall))
    return curves


def _arm(
    arm: str,
    value: float,
    interval: Interval,
    grid: tuple[int, ...],
    shown: Sequence[str],
    seeds: int,
    each: Sequence[float],
    remarks: Sequence[LocalizedText],
) -> ArmHorizon:
    few = [_FEW] if seeds < LEAST_SEEDS else []
    return ArmHorizon(arm, value, interval, grid, (shown[0], shown[1], shown[2]), seeds, tuple(each), (*remarks, *few))


_RISES = LocalizedText("more seeds solve again at longer lags", "更长的间隔处解出的种子又增多")
_FEW = LocalizedText(f"indicative: fewer than {LEAST_SEEDS} seeds", f"仅供参考：不足 {LEAST_SEEDS} 个种子")


def _numbers(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))


def _shown(group: Group, found: Sequence[ArmHorizon], name: LocalizedText, series: Series) -> list[Block]:
    grid = tuple(sorted({level for one in found for level in one.grid}))
    rows = tuple(
        (
            Cell(LocalizedText.same(one.arm), key(series.style(group.cell(one.arm)))),
            Cell(LocalizedText.same(one.shown[0]), number=True),
            Cell(one.text, _strip(one, grid, series.style(group.cell(one.arm)))),
        )
        for one in found
    )
    axis = _axis(group, name)
    head = (_ARM, Cell(_unit(group), number=True), scale_name(group))
    drawn = Table(axis, head, rows, (Markup(""), Markup(""), lag_scale(grid)), "dots")
    return [Paragraph(group.settings, quiet=True), Figure(_legend(found), drawn, _numbers_table(group, found, axis))]


def _by_truncation(group: Group, found: Sequence[ArmHorizon], name: LocalizedText) -> list[Block]:
    """Horizon against truncation: a row for each cell and initialization, a column for each number of steps."""
    arms = {run.arm: untruncated(run) for run in group.runs}
    cuts = sorted({cut for _, cut in arms.values() if cut is not None})
    if not cuts:
        return []
    by_arm = {arms[one.arm]: one for one in found}
    head: tuple[Entry, ...] = (
        LocalizedText("gradients go back, steps", "梯度回传（步）"),
        *(Cell(LocalizedText.same(str(cut)), number=True) for cut in cuts),
        Cell(LocalizedText("all", "全部"), number=True),
    )
    rows: tuple[tuple[Entry, ...], ...] = tuple(
        (arm, *(_horizon_at(by_arm.get((arm, cut))) for cut in (*cuts, None)))
        for arm in dict.fromkeys(arm for arm, _ in arms.values())
    )
    caption = LocalizedText("{}: {} against truncation", "{}：{}与截断").format(group.name, name)
    return [Table(caption, head, rows), Paragraph(_TRUNCATED, quiet=True)]


def _horizon_at(one: ArmHorizon | None) -> Cell:
    if one is None:
        return Cell(LocalizedText.same("–"), number=True)
    return Cell(LocalizedText("{}\n({} to {})", "{}\n（{} 至 {}）").format(*one.shown), number=True)


_TRUNCATED = LocalizedText(
    "Horizon with its 95 % interval. Truncated: the state is carried over, gradients stop after so many steps, counted "
    "back from the end of the sequence. A horizon beyond them was not taught by a gradient from the answer to what it "
    "rests on: it is what the cell keeps by itself, through its initialization or what shorter gradients made of it.",
    "跨度及其 95 % 区间。截断：状态继续传递，梯度从序列末尾起回传若干步后停止。跨度若超出这些步数，"
    "就不是由答案到其依据的梯度教会的，而是单元自身保持的：来自初始化，或较短梯度的作用。",
)


def _strip(one: ArmHorizon, grid: Sequence[int], style: str) -> Markup:
    value, ends = one.value, one.interval
    return horizon_strip(value, ends, grid, style, one.each)


_ARM = LocalizedText("arm", "对象")


def _unit(group: Group) -> LocalizedText:
    return LocalizedText("steps", "步") if group.vary == "lag" else LocalizedText.same(group.vary)


def _axis(group: Group, name: LocalizedText) -> LocalizedText:
    """Protocol, K, size, budget and learning rate, as they belong to every horizon."""
    symbols = sorted({str(run.fields["symbols"]) for run in group.runs if "symbols" in run.fields})
    parts = [f"K = {', '.join(symbols)}"] if symbols else []
    text = LocalizedText(
        "{}{}, {} parameters, at most {} steps, learning rate {}", "{}{}，{} 个参数，至多 {} 步，学习率 {}"
    )
    return text.format(
        name,
        "".join(f", {part}" for part in parts),
        exact(group.known(parameters_of)),
        exact(group.known(steps_of)),
        spread(group.known(learning_rate_of)),
    )


def _legend(found: Sequence[ArmHorizon]) -> tuple[tuple[Markup, LocalizedText], ...]:
    line = Markup('<svg class="key" viewBox="-8 -8 16 16" aria-hidden="true"><line class="span" x1="-8" x2="8"/></svg>')
    legend = [
        (key("neutral"), LocalizedText("horizon", "跨度")),
        (key("neutral", "unsolved"), LocalizedText("beyond the lags that were run", "超出所测间隔")),
        (line, LocalizedText("95 % interval over seeds", "对种子的 95 % 区间")),
    ]
    if any(one.each for one in found):
        tick = Markup(
            '<svg class="key" viewBox="-8 -8 16 16" aria-hidden="true"><line class="tick" y1="-6" y2="6"/></svg>'
        )
        legend.append((tick, LocalizedText("one seed", "一个种子")))
    return tuple(legend)


def _numbers_table(group: Group, found: Sequence[ArmHorizon], caption: LocalizedText) -> Table:
    head = (
        _ARM,
        Cell(_unit(group), number=True),
        LocalizedText("95 % interval", "95 % 区间"),
        Cell(LocalizedText("seeds", "种子"), number=True),
        Cell(LocalizedText("hidden units", "隐藏单元"), number=True),
        Cell(LocalizedText("parameters", "参数"), number=True),
        Cell(LocalizedText("budget, steps", "预算（步）"), number=True),
        Cell(LocalizedText("learning rate", "学习率"), number=True),
        LocalizedText("every seed", "各种子"),
        LocalizedText("remarks", "说明"),
    )
    rows = tuple(_number_row(group, one) for one in found)
    return Table(caption, head, rows)


def _number_row(group: Group, one: ArmHorizon) -> tuple[Cell | LocalizedText | str, ...]:
    columns = (exact(group.known(read, one.arm)) for read in (hidden_size_of, parameters_of, steps_of))
    longest = one.grid[-1]
    return (
        one.arm,
        Cell(LocalizedText.same(one.shown[0]), number=True),
        LocalizedText("{} to {}", "{} 至 {}").format(one.shown[1], one.shown[2]),
        Cell(LocalizedText.same(str(one.seeds)), number=True),
        *(Cell(LocalizedText.same(text), number=True) for text in columns),
        Cell(LocalizedText.same(spread(group.known(learning_rate_of, one.arm))), number=True),
        ", ".join(describe_seed(value, longest) for value in one.each) or "–",
        LocalizedText("; ".join(part.en for part in one.remarks), "；".join(part.zh for part in one.remarks)),
    )
