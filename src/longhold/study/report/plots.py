"""The report's plots as inline SVG, drawn by hand: they stretch with the page, follow its colours and need no script.

Horizontal positions are percentages and vertical ones pixels, so that a narrow page narrows the plot and not its
letters. Colours, line widths and fonts are the style sheet's, by class; every series has a shape of its own beside its
colour.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from markupsafe import Markup

from longhold.study.report.axis import Axis
from longhold.study.report.series import Kind, path
from longhold.study.statistics import Interval

_TOP, _BAND, _GAP, _LOW = 8.0, 104.0, 16.0, 46.0  # above, recall, between, proportion
_SPREAD, _WIDEST = 7.0, 26.0  # pixels between the dots of two seeds, and between the first and the last
_MINI = (1000.0, 100.0)
_NOTHING = Markup("")


@final
@dataclass(frozen=True)
class Dot:
    """The recall of one run."""

    value: float
    """Where it stands; what lies outside -0.1 to 1.05 is set to the edge."""
    kind: Kind
    """What became of the run."""
    tip: str
    """The tooltip, in names of columns."""


@final
@dataclass(frozen=True)
class Column:
    """All runs at one level, and how many solved."""

    label: str
    """The level."""
    dots: tuple[Dot, ...]
    """Run by run."""
    solve_rate: float | None
    """Of runs that solved; None where there is none."""
    interval: Interval | None
    """Where it may lie."""


def recall_panel(
    columns: Sequence[Column],
    style: str,
    threshold: float | None,
    lines: Sequence[tuple[Kind, Sequence[float]]] = (),
) -> Markup:
    """Dots of every seed over levels at equal distances; below, the proportion of seeds that solve, with its interval.

    Args:
        columns: level by level.
        style: of the series.
        threshold: the recall from which a run counts as solved, where recall decides that.
        lines: where one model was tested at every level, its recall at each; joined by a thin line.
    """
    count, foot = len(columns), _TOP + _BAND + _GAP + _LOW
    layers = [_rows((0.0, 0.5, 1.0), _recall_y), _rows((0.0, 1.0), _rate_y), _between(count)]
    layers.append(_level(_recall_y(0.0), "chance"))
    if threshold is not None:
        layers.append(_level(_recall_y(threshold), "threshold"))
    layers.append(_stretched([_joined(values, count, style, kind) for kind, values in lines]))
    for place, column in enumerate(columns):
        along = (place + 0.5) / count
        shifts = [0.0] * len(column.dots) if lines else _shifts(column.dots)
        layers += [_dot(dot, along, shift, style) for dot, shift in zip(column.dots, shifts, strict=True)]
        layers.append(_whisker(column, along))
        layers.append(_number(f"{100 * along:.2f}%", foot + 17, "middle", column.label))
    return _svg("plot", foot + 24, layers)


def horizon_strip(
    value: float, interval: Interval, lags: Sequence[int], style: str, ticks: Sequence[float] = ()
) -> Markup:
    """A horizon on a logarithmic track of lags. Arrows at its ends: it lies beyond. `ticks`: every seed's own."""
    low, high = (min(max(end, 0.0), math.inf) for end in (interval.low, interval.high))
    left, right = track(low, lags), track(high, lags)
    grid = _NOTHING.join(_upright(track(lag, lags), "grid") for lag in lags)
    line = Markup('<line class="span {0}" x1="{1}" x2="{2}" y1="50%" y2="50%"/>').format(style, left, right)
    arrows = _NOTHING.join(
        _at(end, "50%", Markup('<path class="arrow {0}" d="{1}"/>').format(style, shape))
        for end, shape, there in (
            (left, "M-1,-5L-9,0L-1,5", low < lags[0]),
            (right, "M1,-5L9,0L1,5", math.isinf(high)),
        )
        if there
    )
    seeds = _NOTHING.join(_upright(track(tick, lags), f"tick {style}", "62%", "92%") for tick in ticks)
    off = value < lags[0] or math.isinf(value)
    at = {"3.00%": "7.00%", "97.00%": "93.00%"}.get(track(value, lags), track(value, lags))  # beside the arrow
    mark = _at(at, "50%", path(style, "unsolved" if off else "solved"))
    return Markup('<svg class="strip" aria-hidden="true">{0}{1}{2}{3}{4}</svg>').format(grid, line, seeds, arrows, mark)


def track(lag: float, lags: Sequence[int]) -> str:
    """Where a lag lies on a logarithmic track, with room at both ends for what lies beyond."""
    if lag < lags[0]:
        return "3.00%"
    if math.isinf(lag):
        return "97.00%"
    wide = math.log2(lags[-1] / lags[0]) if len(lags) > 1 else 0.0
    along = math.log2(lag / lags[0]) / wide if wide else 0.5
    return f"{10 + 80 * min(along, 1.0):.2f}%"


def lag_scale(lags: Sequence[int]) -> Markup:
    """The lags under a column of `horizon_strip`; where they stand close every other one."""
    shown = lags if len(lags) <= 7 else [*lags[:-1][:: math.ceil(len(lags) / 6)], lags[-1]]
    return _scale([(track(lag, lags), str(lag)) for lag in shown])


def seed_strip(dots: Sequence[Dot], style: str, threshold: float | None) -> Markup:
    """The recall of every seed on one horizontal track, from -0.1 to 1.05."""
    grid = _NOTHING.join(_upright(_across(tick), "grid") for tick in (0.0, 0.5, 1.0))
    lines = _upright(_across(0.0), "chance")
    if threshold is not None:
        lines += _upright(_across(threshold), "threshold")
    gaps = max(1, len(dots) - 1)
    marks = _NOTHING.join(
        _at(_across(_inside(dot.value)), f"{22 + 56 * place / gaps:.1f}%", path(style, dot.kind), dot.tip)
        for place, dot in enumerate(dots)
    )
    return Markup('<svg class="strip seeds" aria-hidden="true">{0}{1}{2}</svg>').format(grid, lines, marks)


def recall_scale() -> Markup:
    """The numbers under a column of `seed_strip`."""
    return _scale([(_across(tick), f"{tick:g}") for tick in (0.0, 0.5, 1.0)])


def value_strip(values: Sequence[float], tips: Sequence[str], axis: Axis, style: str) -> Markup:
    """One sign for each value on a horizontal track, and a stem from the beginning to their mean."""
    grid = _NOTHING.join(_upright(_along(tick, axis), "grid") for tick in axis.ticks)
    mean = _along(sum(values) / len(values), axis)
    stem = Markup('<line class="stem {0}" x1="{1}" x2="{2}" y1="50%" y2="50%"/>').format(
        style, _along(axis.low, axis), mean
    )
    marks = [_at(_along(value, axis), "50%", path(style), tip) for value, tip in zip(values, tips, strict=True)]
    return Markup('<svg class="strip" aria-hidden="true">{0}{1}{2}</svg>').format(grid, stem, _NOTHING.join(marks))


def value_scale(axis: Axis) -> Markup:
    """The numbers under a column of `value_strip`."""
    return _scale([(_along(tick, axis), f"{tick:g}") for tick in axis.ticks])


def learning_curves(lines: Sequence[Sequence[tuple[float, float]]], budget: float, style: str) -> Markup:
    """A thin line for every seed: recall, 0 to 1, by step, 0 to the budget."""
    drawn = [
        _polyline([(min(step / budget, 1.0), _inside(value, 0.0, 1.0)) for step, value in line], f"thin {style}")
        for line in lines
    ]
    return _mini(drawn)


def solving_steps(
    times: Sequence[float], unsolved: Sequence[float], censored: Sequence[float], budget: float, style: str
) -> Markup:
    """Kaplan-Meier: the proportion of seeds that have solved, a staircase by step; an upright tick: a censored seed."""
    points, height = [(0.0, 0.0)], 0.0
    for time, proportion in zip(times, unsolved, strict=True):
        at = min(time / budget, 1.0)
        points += [(at, height), (at, 1 - proportion)]
        height = 1 - proportion
    points.append((1.0, height) if not times or max(times) < budget else (points[-1][0], height))
    ticks = [_censored(min(time / budget, 1.0), _height(time, times, unsolved), style) for time in censored]
    return _mini([_polyline(points, f"stair {style}"), *ticks])


def step_scale(budget: float) -> Markup:
    """The numbers under a column of small plots."""
    return Markup('<span class="ends"><span>0</span><span>{0}</span></span>').format(f"{budget:,.0f}")


def decades(series: Sequence[tuple[str, Sequence[tuple[float, float]]]], style: str) -> Markup:
    """Positive numbers by lag on a logarithmic scale; the first series is dashed."""
    points = [point for _, line in series for point in line if point[1] > 0]
    low, high = (math.floor(math.log10(min(y for _, y in points))), math.ceil(math.log10(max(y for _, y in points))))
    high = max(high, low + 1)
    furthest = max(max(x for x, _ in points), 1.0)
    every = max(1, math.ceil((high - low) / 4))

    def y_of(value: float) -> float:
        return _TOP + _BAND * (high - math.log10(value)) / (high - low)

    rows = _NOTHING.join(_row(y_of(10.0**power), f"1e{power}") for power in range(low, high + 1, every))
    lines = [
        Markup('<polyline class="{0}" points="{1}"/>').format(
            f"{name} {style}", " ".join(f"{1000 * x / furthest:.1f},{y_of(y):.1f}" for x, y in line if y > 0)
        )
        for name, line in series
    ]
    ends = [_number(f"{100 * along}%", _TOP + _BAND + 18, "middle", f"{furthest * along:g}") for along in (0, 0.5, 1)]
    return _svg("plot", _TOP + _BAND + 24, [rows, _stretched(lines), *ends])


def _recall_y(value: float) -> float:
    return _TOP + _BAND * (1.05 - _inside(value)) / 1.15


def _rate_y(value: float) -> float:
    return _TOP + _BAND + _GAP + _LOW * (1 - value)


def _inside(value: float, low: float = -0.1, high: float = 1.05) -> float:
    return min(max(value, low), high)


def _along(value: float, axis: Axis) -> str:
    return f"{3 + 94 * axis.fraction(value):.2f}%"


def _across(value: float) -> str:
    return f"{4 + 92 * (value + 0.1) / 1.15:.2f}%"


def _shifts(dots: Sequence[Dot]) -> list[float]:
    gaps = len(dots) - 1
    apart = min(_SPREAD, _WIDEST / max(1, gaps))
    return [apart * (number - gaps / 2) for number in range(len(dots))]


def _dot(dot: Dot, along: float, shift: float, style: str) -> Markup:
    moved = Markup('<g transform="translate({0} 0)">{1}</g>').format(f"{shift:.1f}", path(style, dot.kind))
    return _at(f"{100 * along:.2f}%", f"{_recall_y(dot.value):.1f}", moved, dot.tip)


def _whisker(column: Column, along: float) -> Markup:
    if column.solve_rate is None or column.interval is None:
        return _NOTHING
    x, low, high = f"{100 * along:.2f}%", _rate_y(column.interval.low), _rate_y(column.interval.high)
    line = Markup('<line class="whisker" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(x, f"{low:.1f}", f"{high:.1f}")
    return line + _at(x, f"{_rate_y(column.solve_rate):.1f}", Markup('<path class="share" d="M-7,0H7"/>'))


def _joined(values: Sequence[float], count: int, style: str, kind: Kind) -> Markup:
    points = " ".join(
        f"{1000 * (place + 0.5) / count:.1f},{_recall_y(value):.1f}" for place, value in enumerate(values)
    )
    return Markup('<polyline class="thin {0} {1}" points="{2}"/>').format(style, kind, points)


def _stretched(drawn: Sequence[Markup]) -> Markup:
    return Markup(
        '<svg width="100%" height="{0}" viewBox="0 0 1000 {0}" preserveAspectRatio="none" class="free">{1}</svg>'
    ).format(f"{_TOP + _BAND:g}", _NOTHING.join(drawn))


def _height(time: float, times: Sequence[float], unsolved: Sequence[float]) -> float:
    return max((1 - proportion for at, proportion in zip(times, unsolved, strict=True) if at <= time), default=0.0)


def _censored(along: float, height: float, style: str) -> Markup:
    x, y = _MINI[0] * along, _MINI[1] * (1 - height)
    return Markup('<line class="cut {0}" x1="{1}" x2="{1}" y1="{2}" y2="{3}"/>').format(
        style, f"{x:.1f}", f"{y - 9:.1f}", f"{y + 9:.1f}"
    )


def _polyline(points: Sequence[tuple[float, float]], style: str) -> Markup:
    drawn = " ".join(f"{_MINI[0] * x:.0f},{_MINI[1] * (1 - y):.0f}" for x, y in points)
    return Markup('<polyline class="{0}" points="{1}"/>').format(style, drawn)


def _mini(drawn: Sequence[Markup]) -> Markup:
    return Markup(
        '<svg class="mini" viewBox="0 -12 1000 124" preserveAspectRatio="none" aria-hidden="true">'
        '<path class="grid" d="M0,0H1000M0,100H1000"/>{0}</svg>'
    ).format(_NOTHING.join(drawn))


def _rows(ticks: Sequence[float], y_of: Callable[[float], float]) -> Markup:
    return _NOTHING.join(_row(y_of(tick), f"{tick:g}") for tick in ticks)


def _row(y: float, text: str) -> Markup:
    return Markup(
        '<line class="grid" x1="0%" x2="100%" y1="{0}" y2="{0}"/>'
        '<text class="number" x="-8" y="{0}" dy="0.32em" text-anchor="end">{1}</text>'
    ).format(f"{y:.1f}", text)


def _between(count: int) -> Markup:
    low = _TOP + _BAND + _GAP + _LOW
    return _NOTHING.join(
        Markup('<line class="grid" x1="{0}%" x2="{0}%" y1="0" y2="{1}"/>').format(f"{100 * i / count:.2f}", f"{low:g}")
        for i in range(1, count)
    )


def _level(y: float, kind: str) -> Markup:
    return Markup('<line class="{0}" x1="0%" x2="100%" y1="{1}" y2="{1}"/>').format(kind, f"{y:.1f}")


def _upright(x: str, kind: str, top: str = "0", bottom: str = "100%") -> Markup:
    return Markup('<line class="{0}" x1="{1}" x2="{1}" y1="{2}" y2="{3}"/>').format(kind, x, top, bottom)


def _number(x: str, y: float, anchor: str, text: str) -> Markup:
    return Markup('<text class="number" x="{0}" y="{1}" text-anchor="{2}">{3}</text>').format(x, f"{y:g}", anchor, text)


def _scale(marks: Sequence[tuple[str, str]]) -> Markup:
    return Markup('<svg class="scale" aria-hidden="true">{0}</svg>').format(
        _NOTHING.join(_number(x, 12, "middle", text) for x, text in marks)
    )


def _at(x: str, y: str, drawn: Markup, tip: str = "") -> Markup:
    title = Markup("<title>{0}</title>").format(tip) if tip else _NOTHING
    return Markup('<svg class="free" x="{0}" y="{1}">{2}{3}</svg>').format(x, y, title, drawn)


def _svg(kind: str, height: float, layers: Sequence[Markup]) -> Markup:
    return Markup('<svg class="{0}" height="{1}" width="100%" aria-hidden="true">{2}</svg>').format(
        kind, f"{height:g}", _NOTHING.join(layers)
    )
