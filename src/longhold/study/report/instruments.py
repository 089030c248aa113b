"""What instruments saw in the trained models, for rows that carry it: `gradient_by_lag` and `time_constants`."""

import statistics
from collections.abc import Callable, Iterable, Sequence

from longhold.inspection import LEVELS
from longhold.study.claims.rows import Run
from longhold.study.report.document import (
    Block,
    Cell,
    Entry,
    Figure,
    Folded,
    Panel,
    Paragraph,
    Section,
    Subheading,
    Table,
)
from longhold.study.report.groups import Group
from longhold.study.report.localized import LocalizedText, short, two_digits
from longhold.study.report.plots import decades
from longhold.study.report.series import Series, key
from longhold.study.rows.results import TimeQuantiles
from longhold.study.statistics import superiority

_LEAST = 2  # seeds that solve, and seeds that do not, before the two are set beside each other

_Place = tuple[str, int | None, list[Run]]


def instruments(known: Sequence[Group], series: Series) -> Section | None:
    """Gradient by lag and time constants; None where no row carries either."""
    blocks: list[Block] = []
    for group in known:
        blocks += _gradients(group, series) + _gates(group)
    return Section(LocalizedText("Why: inside the models", "为什么：模型内部"), tuple(blocks)) if blocks else None


def _gradients(group: Group, series: Series) -> list[Block]:
    carrying = _carrying(group, lambda run: bool(run.row.gradient_by_lag))
    if not carrying:
        return []
    shown = _at_one_level(carrying)
    caption = LocalizedText("{}: gradient by lag", "{}：按间隔的梯度").format(group.name)
    panels = tuple(
        Panel(_titled(group, arm, level), key(style), LocalizedText.same(""), decades(_lines(found), style), _LAG)
        for arm, level, found in shown
        for style in [series.style(group.cell(arm))]
    )
    numbers: tuple[tuple[Entry, ...], ...] = tuple(
        (arm, *_level(level), Cell(LocalizedText.same(str(run.seed)), number=True), _norms(run))
        for arm, level, found in shown
        for run in found
    )
    head: tuple[Entry, ...] = (
        LocalizedText("arm", "对象"),
        *_level_head(group),
        Cell(LocalizedText("seed", "种子"), number=True),
        LocalizedText("lag: norm after training", "间隔：训练后的范数"),
    )
    blocks: list[Block] = [Subheading(caption), Paragraph(_GRADIENTS, quiet=True)]
    blocks.append(Figure((), panels, Table(caption, head, numbers), _middle(group, shown)))
    return [*blocks, _reaching(group, carrying)] if group.levels else blocks


_LAG = LocalizedText("lag, steps", "间隔（步）")
_GRADIENTS = LocalizedText(
    "The norm of the gradient of the loss by the state so many steps before, on a logarithmic scale: a line for every "
    "seed after training, a dashed one before. Where there are several levels, the longest one at which every arm has "
    "rows. It tells what training could still reach, not what the model remembers.",
    "损失对若干步之前状态的梯度范数，对数坐标：每个种子训练后一条线，训练前为虚线。有多个级别时，"
    "取每个对象都有数据的最长一级。它说明训练还能触及多远，而不是模型记得多少。",
)


def _middle(group: Group, shown: Sequence[_Place]) -> Table:
    """The middle seed of each arm."""
    caption = LocalizedText(
        "{}: norm of the gradient after training by lag{}; median over seeds, each of which is in the rows",
        "{}：训练后按间隔的梯度范数{}；种子中位数，各种子见数据行",
    ).format(group.name, _at_level(group, shown))
    found = {arm: [_by_lag(run) for run in runs] for arm, _, runs in shown}
    lags = sorted({lag for norms in found.values() for one in norms for lag in one})
    head: tuple[Entry, ...] = (
        LocalizedText("arm", "对象"),
        *(Cell(LocalizedText.same(f"{lag}"), number=True) for lag in lags),
    )
    rows: tuple[tuple[Entry, ...], ...] = tuple(
        (
            arm,
            *(
                Cell(LocalizedText.same(_median(known) if known else "–"), number=True)
                for known in _columns(norms, lags)
            ),
        )
        for arm, norms in found.items()
    )
    return Table(caption, head, rows)


def _by_lag(run: Run) -> dict[int, float]:
    return {point.lag: point.trained for point in run.row.gradient_by_lag}


def _columns(norms: Sequence[dict[int, float]], lags: Sequence[int]) -> list[list[float]]:
    return [[one[lag] for one in norms if lag in one] for lag in lags]


def _at_level(group: Group, shown: Sequence[_Place]) -> LocalizedText:
    """`, at lag 32`, where there are levels."""
    level = shown[0][1]
    return (
        LocalizedText.same("")
        if level is None
        else LocalizedText(", at {} {}", "，{} {}").format(group.vary, str(level))
    )


def _reaching(group: Group, carrying: Sequence[_Place]) -> Table:
    """At each level the gradient at the longest lag, before and after."""
    caption = LocalizedText(
        "{}: gradient that reaches the longest lag, before and after training; median over seeds",
        "{}：到达最长间隔的梯度，训练前与训练后；种子中位数",
    ).format(group.name)

    def entry(arm: str, level: int) -> Cell:
        found = next((runs for name, at, runs in carrying if (name, at) == (arm, level)), [])
        ends = [max(run.row.gradient_by_lag, key=lambda point: point.lag) for run in found]
        before, after = [end.start for end in ends], [end.trained for end in ends]
        text = f"{_median(before)} →\n{_median(after)}" if ends else "–"
        return Cell(LocalizedText.same(text), number=True)

    return _grid(group, caption, carrying, entry)


def _gates(group: Group) -> list[Block]:
    carrying = _carrying(group, lambda run: run.row.time_constants is not None)
    if not carrying:
        return []
    title = LocalizedText("{}: time constants", "{}：时间常数").format(group.name)
    levels = ", ".join(f"{100 * level:.0f}" for level in LEVELS)
    caption = LocalizedText(
        "{}: time constants of the gate that keeps the state, in steps; quantiles {} % over units, each the median "
        "over seeds",
        "{}：保持状态的门的时间常数（步）；各单元的 {} % 分位数，取种子中位数",
    ).format(group.name, levels)
    shown = _at_one_level(carrying)
    head: tuple[Entry, ...] = (
        LocalizedText("arm", "对象"),
        *_level_head(group),
        Cell(LocalizedText("seeds", "种子"), number=True),
        LocalizedText("before training", "训练前"),
        LocalizedText("after training", "训练后"),
        Cell(LocalizedText("longest", "最长"), number=True),
        LocalizedText("caution", "注意"),
    )
    whole, brief = (Table(caption, head, tuple(_constants(*place) for place in places)) for places in (carrying, shown))
    table = whole if len(shown) == len(carrying) else Folded(brief, whole)
    return [Subheading(title), table, *_prediction(group, carrying)]


def _constants(arm: str, level: int | None, found: Sequence[Run]) -> tuple[Entry, ...]:
    return (
        arm,
        *_level(level),
        Cell(LocalizedText.same(str(len(found))), number=True),
        _quantiles([gates.start for gates in _gates_of(found)]),
        _quantiles([gates.trained for gates in _gates_of(found)]),
        Cell(LocalizedText.same(_median(_longest(found))), number=True),
        _cautions(found),
    )


def _prediction(group: Group, carrying: Sequence[_Place]) -> list[Block]:
    """Whether the longest time constant tells which seeds solve."""
    rows: list[tuple[Entry, ...]] = []
    for arm, level, found in carrying:
        sides = [_longest([run for run in found if run.solved is solved]) for solved in (True, False)]
        if min(map(len, sides)) < _LEAST:
            continue
        probability = superiority([(sides[0], sides[1])]).probability
        interval = f"{two_digits(probability.interval.low)}–{two_digits(probability.interval.high)}"
        cells = (str(len(sides[0])), str(len(sides[1])), f"{two_digits(probability.value)} ({interval})")
        rows.append((arm, *_level(level), *(Cell(LocalizedText.same(text), number=True) for text in cells)))
    if not rows:
        return [Paragraph(_TOO_FEW, quiet=True)]
    head: tuple[Entry, ...] = (
        LocalizedText("arm", "对象"),
        *_level_head(group),
        Cell(LocalizedText("solve", "解出"), number=True),
        Cell(LocalizedText("do not", "未解出"), number=True),
        Cell(LocalizedText("probability, 95 % interval", "概率，95 % 区间"), number=True),
    )
    caption = LocalizedText(
        "{}: probability that the longest time constant of a seed that solves is above that of one that does not",
        "{}：解出的种子的最长时间常数大于未解出的种子的概率",
    ).format(group.name)
    return [Table(caption, head, tuple(rows)), Paragraph(_COIN, quiet=True)]


_COIN = LocalizedText(
    "0.50 means that time constants tell nothing about who solves. Read after training, so it is no cause: a seed that "
    "solves has learned to keep. Arms and levels at which at least two seeds solve and two do not.",
    "0.50 表示时间常数不能说明谁会解出。数值在训练之后读取，因此不是原因：解出的种子已学会保持。"
    "仅列出至少两个种子解出且至少两个未解出的对象和级别。",
)
_TOO_FEW = LocalizedText(
    "Whether time constants tell which seeds solve cannot be said: at no arm and level do at least two seeds solve and "
    "two not.",
    "无法判断时间常数能否说明哪些种子会解出：没有任何对象和级别同时有至少两个种子解出、两个未解出。",
)


def _grid(group: Group, caption: LocalizedText, carrying: Sequence[_Place], entry: Callable[[str, int], Cell]) -> Table:
    head: tuple[Entry, ...] = (
        LocalizedText("arm", "对象"),
        *(Cell(LocalizedText.same(f"{group.vary} {level}"), number=True) for level in group.levels),
    )
    arms = dict.fromkeys(arm for arm, _, _ in carrying)
    return Table(caption, head, tuple((arm, *(entry(arm, level) for level in group.levels)) for arm in arms))


def _carrying(group: Group, carries: Callable[[Run], bool]) -> list[_Place]:
    levels: Sequence[int | None] = group.levels or (None,)
    places = [
        (arm, level, [run for run in group.at(arm, level) if carries(run)]) for arm in group.arms for level in levels
    ]
    return [place for place in places if place[2]]


def _at_one_level(carrying: Sequence[_Place]) -> list[_Place]:
    arms = {arm for arm, _, _ in carrying}
    levels = sorted({level for _, level, _ in carrying if level is not None})
    whole = [level for level in levels if {arm for arm, at, _ in carrying if at == level} == arms]
    chosen = [*levels, *whole][-1] if levels else None
    return [place for place in carrying if place[1] == chosen]


def _titled(group: Group, arm: str, level: int | None) -> LocalizedText:
    return LocalizedText.same(arm if level is None else f"{arm}, {group.vary} {level}")


def _level_head(group: Group) -> tuple[Cell, ...]:
    return (Cell(LocalizedText.same(group.vary), number=True),) if group.levels else ()


def _level(level: int | None) -> tuple[Cell, ...]:
    return () if level is None else (Cell(LocalizedText.same(str(level)), number=True),)


def _lines(found: Sequence[Run]) -> list[tuple[str, list[tuple[float, float]]]]:
    lines: list[tuple[str, list[tuple[float, float]]]] = []
    for run in found:
        points = run.row.gradient_by_lag
        lines.append(("thin dashed", [(float(point.lag), point.start) for point in points if point.start]))
        lines.append(("thin", [(float(point.lag), point.trained) for point in points if point.trained]))
    return lines


def _norms(run: Run) -> str:
    return ", ".join(f"{point.lag}: {short(point.trained)}" for point in run.row.gradient_by_lag)


def _gates_of(found: Iterable[Run]) -> list[TimeQuantiles]:
    return [run.row.time_constants for run in found if run.row.time_constants is not None]


def _quantiles(tables: Sequence[tuple[float, ...]]) -> str:
    return ", ".join(map(_median, zip(*filter(None, tables), strict=True))) or "–"


def _longest(found: Iterable[Run]) -> list[float]:
    return [gates.longest for gates in _gates_of(found)]


def _cautions(found: Sequence[Run]) -> LocalizedText:
    barred = sum("not to be read as memory" in gates.caution for gates in _gates_of(found))
    return LocalizedText(
        "{} of {} not to be read as memory: their gradient does not fall exponentially",
        "{} / {} 不可视为记忆：其梯度并非按指数衰减",
    ).format(barred, len(found))


def _median(values: Sequence[float]) -> str:
    return short(statistics.median(values))
