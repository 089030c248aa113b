"""How every seed learned, and how many steps it took to solve."""

import statistics
from collections.abc import Callable, Sequence

from markupsafe import Markup

from longhold.study.claims.rows import Run
from longhold.study.report.document import Block, Cell, Entry, Figure, Paragraph, Section, Subheading, Table
from longhold.study.report.groups import Group, steps_of
from longhold.study.report.localized import LocalizedText, counted, steps, two_digits, whole
from longhold.study.report.plots import learning_curves, solving_steps, step_scale
from longhold.study.report.series import Series, key
from longhold.study.statistics import Survival, survival, times

_QUARTERS = (0.25, 0.5, 0.75, 1.0)


def learning(known: Sequence[Group], series: Series) -> Section | None:
    """Learning curves; None where no row has one."""
    blocks: list[Block] = []
    for group in known:
        if any(_curve(run) for run in group.runs):
            drawn = _grid(
                group, series, _curves_cell, LocalizedText("{}: learning curves", "{}：学习曲线").format(group.name)
            )
            blocks += [Subheading(LocalizedText.same(group.name)), Figure((), drawn, _curve_numbers(group))]
    if not blocks:
        return None
    return Section(LocalizedText("Learning curves", "学习曲线"), (Paragraph(_CURVES, quiet=True), *blocks))


_CURVES = LocalizedText(
    "A thin line for every seed: its recall, 0 to 1, on its own new batches, by optimizer step, up to the budget. A "
    "line ends where the run ended. For a text it is the proportion saved of the bits that token frequencies cost. The "
    "rows have the loss as well.",
    "每个种子一条细线：它在自己的新批次上的回忆率（0 到 1），横轴为优化步数，直到预算为止。线在运行结束处结束。"
    "对文本而言，回忆率是相对于词元频率所省下的比特比例。行中还有损失。",
)


def time_to_solve(known: Sequence[Group], series: Series) -> Section | None:
    """Kaplan-Meier curves of the steps to solve; None without rows of a task that can be solved."""
    blocks: list[Block] = []
    for group in (one for one in known if not one.is_of_text):
        drawn = _grid(
            group, series, _solving_cell, LocalizedText("{}: steps to solve", "{}：解出所需步数").format(group.name)
        )
        blocks += [Subheading(LocalizedText.same(group.name)), Figure((), drawn, _time_numbers(group))]
    if not blocks:
        return None
    return Section(LocalizedText("Time to solve", "解出所需时间"), (Paragraph(_TIMES, quiet=True), *blocks))


_TIMES = LocalizedText(
    "The proportion of seeds, 0 to 1, that have solved by each step (Kaplan-Meier); the horizontal axis is the budget "
    "in steps. An upright tick: a seed that had not solved when its run ended, so that it only says "
    "“later”. Runs that were left out after two failures are not in it.",
    "到每一步为止已解出的种子比例（0 到 1，Kaplan-Meier 估计）；横轴为以步计的预算。竖线："
    "运行结束时尚未解出的种子，只说明“更晚”。"
    "连续两次失败后略去的运行不计在内。",
)


def _grid(
    group: Group, series: Series, cell: Callable[[Sequence[Run], float, str], Cell], caption: LocalizedText
) -> Table:
    levels: Sequence[int | None] = group.levels or (None,)
    head: list[Entry] = [LocalizedText("arm", "对象")]
    head += [_STEPS if level is None else LocalizedText.same(f"{group.vary} {level}") for level in levels]
    rows = []
    for arm in group.arms:
        style = series.style(group.cell(arm))
        cells = [cell(group.at(arm, level), _budget(group), style) for level in levels]
        rows.append((Cell(LocalizedText.same(arm), key(style)), *cells))
    foot = (Markup(""), *[step_scale(_budget(group))] * len(levels))
    return Table(caption, tuple(head), tuple(rows), foot, "grid-few" if len(levels) < 3 else "grid-many")


_STEPS = LocalizedText("by step", "按步")


def _budget(group: Group) -> float:
    return float(max(group.known(steps_of)))


def _curves_cell(known: Sequence[Run], budget: float, style: str) -> Cell:
    lines = [[(step, recall) for step, recall in _curve(run)] for run in known if _curve(run)]
    if not lines:
        return Cell(LocalizedText.same("–"))
    return Cell(counted(len(lines), "seed", "seeds", "个种子"), learning_curves(lines, budget, style))


def _curve(run: Run) -> list[tuple[float, float]]:
    return [(float(step), recall) for step, _, recall in run.row.curve]


def _solving_cell(known: Sequence[Run], budget: float, style: str) -> Cell:
    if not known:
        return Cell(LocalizedText.same("–"))
    found = _survival(known)
    censored = [time for time, seen in (run.solved_at for run in known) if not seen]
    plot = solving_steps(list(found.times), list(found.unsolved), censored, budget, style)
    return Cell(LocalizedText("{} of {} solve", "{} / {} 解出").format(found.solved, found.seeds), plot)


def _survival(known: Sequence[Run]) -> Survival:
    at, seen = zip(*(run.solved_at for run in known), strict=True)
    return survival(times(at, seen))


def _level(group: Group) -> tuple[Cell, ...]:
    name = LocalizedText("lag", "间隔") if group.vary == "lag" else LocalizedText.same(group.vary)
    return (Cell(name, number=True),) if group.levels else ()


def _places(group: Group) -> list[tuple[str, tuple[Cell, ...], tuple[Run, ...]]]:
    levels: Sequence[int | None] = group.levels or (None,)
    return [
        (arm, () if level is None else (Cell(LocalizedText.same(str(level)), number=True),), group.at(arm, level))
        for arm in group.arms
        for level in levels
        if group.at(arm, level)
    ]


def _curve_numbers(group: Group) -> Table:
    heads = [LocalizedText("after {} % of the budget", "预算的 {} %").format(round(100 * part)) for part in _QUARTERS]
    head: tuple[Entry, ...] = (LocalizedText("arm", "对象"), *_level(group), *heads)
    rows: list[tuple[Entry, ...]] = [
        (arm, *level, *(_reached(known, part * _budget(group)) for part in _QUARTERS))
        for arm, level, known in _places(group)
    ]
    caption = LocalizedText(
        "{}: recall of the middle seed (lowest to highest) at parts of the budget; a run that had ended counts "
        "with its "
        "last value",
        "{}：预算各处中间种子的回忆率（最低至最高）；已结束的运行按其最后的值计",
    )
    return Table(caption.format(group.name), head, tuple(rows))


def _reached(known: Sequence[Run], step: float) -> LocalizedText:
    last = [[recall for at, recall in _curve(run) if at <= step] for run in known]
    values = [line[-1] for line in last if line]
    if not values:
        return LocalizedText.same("–")
    shown = (two_digits(value) for value in (statistics.median(values), min(values), max(values)))
    return LocalizedText("{} ({} to {})", "{}（{} 至 {}）").format(*shown)


def _time_numbers(group: Group) -> Table:
    head: tuple[Entry, ...] = (
        LocalizedText("arm", "对象"),
        *_level(group),
        Cell(LocalizedText("solved", "解出"), number=True),
        Cell(LocalizedText("median steps", "中位步数"), number=True),
        LocalizedText("95 % interval", "95 % 区间"),
        LocalizedText("steps of every seed (+: not solved by then)", "每个种子的步数（+：至此未解出）"),
    )
    rows = [(arm, *level, *_time_row(known)) for arm, level, known in _places(group)]
    return Table(LocalizedText("{}: steps to solve", "{}：解出所需步数").format(group.name), head, tuple(rows))


def _time_row(known: Sequence[Run]) -> tuple[Entry, ...]:
    found = _survival(known)
    ends = found.median.interval
    each = ", ".join(f"{whole(time)}{'' if seen else '+'}" for time, seen in (run.solved_at for run in known))
    return (
        Cell(LocalizedText("{} of {}", "{} / {}").format(found.solved, found.seeds), number=True),
        Cell(LocalizedText.same(_time(found.median.value, found)), number=True),
        LocalizedText("{} to {}", "{} 至 {}").format(_time(ends.low, found), _time(ends.high, found)),
        each,
    )


def _time(value: float, found: Survival) -> str:
    last = steps(float(found.times[-1]))
    return f"> {last}" if value > found.times[-1] else steps(value)
