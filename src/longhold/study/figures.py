"""Plots as inline SVG, drawn by hand: they stretch with the page, follow its colours and need no script.

Horizontal positions are percentages and vertical ones pixels, so that a narrow page narrows the plot and not its
letters. Colours, line widths and fonts are the style sheet's, by class; every series has a shape of its own beside its
colour.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_SHAPES = {
    "rnn": "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0Z",
    "gru": "M0,-6L5.8,4.4L-5.8,4.4Z",
    "lstm": "M-4.6,-4.6H4.6V4.6H-4.6Z",
    "baseline": "M0,-6L6,0L0,6L-6,0Z",
    "failed": "M-4.5,-4.5L4.5,4.5M-4.5,4.5L4.5,-4.5",
}


@dataclass(frozen=True)
class Mark:
    """A sign in a plot."""

    series: str
    """Whose it is: a cell, or `baseline`; decides shape and colour."""
    x: float
    """Where, in data units."""
    y: float
    """Where, in data units."""
    tip: str
    """What a pointer resting on it is told."""
    filled: bool = True
    """Solid or outlined."""
    failed: bool = False
    """Whether a cross stands for a run without a value."""
    shift: float = 0.0
    """Pixels to the right, to keep neighbours apart."""


@dataclass(frozen=True)
class Axis:
    """A linear scale with its ticks."""

    low: float
    """Value at the beginning."""
    high: float
    """Value at the end."""
    ticks: tuple[float, ...]
    """Values with a line and a number."""

    def share(self, value: float) -> float:
        """How far along a value lies, from 0 to 1."""
        return (value - self.low) / (self.high - self.low)


def nice_axis(values: Iterable[float], *, from_zero: bool = False, wanted: int = 5) -> Axis:
    """An axis over the values whose ticks are 1, 2 or 5 times a power of ten apart."""
    known = [*values, *([0.0] if from_zero else [])]
    low, high = min(known), max(known)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(round(i * step, 10) for i in range(first, last + 1))
    return Axis(ticks[0], ticks[-1], ticks)


def symbol(series: str) -> Markup:
    """The sign of a series alone, for legends and headings."""
    return Markup(
        '<svg class="key" viewBox="-8 -8 16 16" aria-hidden="true"><path class="mark {0}" d="{1}"/></svg>'
    ).format(series, _SHAPES[series])


def strip(value: float, axis: Axis, series: str, tip: str) -> Markup:
    """One value on a horizontal track: a row of a dot plot, as tall as a line of text."""
    grid = Markup("").join(
        Markup('<line class="grid" x1="{0}%" x2="{0}%" y1="0" y2="100%"/>').format(_percent(axis.share(tick)))
        for tick in axis.ticks
    )
    stem = Markup('<line class="stem {0}" x1="0%" x2="{1}%" y1="50%" y2="50%"/>').format(
        series, _percent(axis.share(value))
    )
    mark = _sign(Mark(series, value, 0, tip), axis.share(value), "50%")
    return Markup('<svg class="strip" role="img" aria-label="{0}">{1}{2}{3}</svg>').format(tip, grid, stem, mark)


def scale(axis: Axis) -> Markup:
    """The numbers under a column of strips."""
    numbers = Markup("").join(
        Markup('<text class="number" x="{0}%" y="12" text-anchor="middle">{1}</text>').format(
            _percent(axis.share(tick)), f"{tick:g}"
        )
        for tick in axis.ticks
    )
    return Markup('<svg class="scale" aria-hidden="true">{0}</svg>').format(numbers)


def curves(series: Sequence[tuple[str, Sequence[tuple[float, float]]]], title: str, across: str) -> Markup:
    """Lines through points, one series per cell."""
    points = [point for _, line in series for point in line]
    x, y = nice_axis((p[0] for p in points), from_zero=True), nice_axis(p[1] for p in points)
    height = 260.0
    lines = Markup("").join(
        Markup('<polyline class="line {0}" points="{1}"/>').format(
            name, " ".join(f"{1000 * x.share(a):.1f},{height * (1 - y.share(b)):.1f}" for a, b in line)
        )
        for name, line in series
    )
    stretched = Markup(
        '<svg width="100%" height="{0}" viewBox="0 0 1000 {0}" preserveAspectRatio="none" class="free">{1}</svg>'
    ).format(f"{height:g}", lines)
    marks = Markup("").join(
        _sign(Mark(name, a, b, f"{name}: {b:.3f} at {a:.1f}"), x.share(a), f"{height * (1 - y.share(b)):.1f}")
        for name, line in series
        for a, b in line
    )
    under = Markup("").join(_tick_below(x.share(tick), height, f"{tick:g}") for tick in x.ticks)
    label = Markup('<text class="label" x="50%" y="{0}" text-anchor="middle">{1}</text>').format(height + 40, across)
    return _plot(title, height, 48, _grid(y, height), stretched, marks, under, label)


def lags(marks: Sequence[Mark], ticks: Sequence[int], lines: Sequence[tuple[float, str]], title: str) -> Markup:
    """A panel of dots over lags at equal distances; `mark.x` is the place of its lag among `ticks`."""
    height, y = 150.0, Axis(-0.1, 1.05, (0.0, 0.5, 1.0))
    level = Markup("").join(
        Markup('<line class="{0}" x1="0%" x2="100%" y1="{1}" y2="{1}"/>').format(
            kind, f"{height * (1 - y.share(v)):.1f}"
        )
        for v, kind in lines
    )
    between = Markup("").join(
        Markup('<line class="grid" x1="{0}%" x2="{0}%" y1="0" y2="{1}"/>').format(_percent(i / len(ticks)), height + 22)
        for i in range(1, len(ticks))
    )
    signs = Markup("").join(
        _sign(m, (m.x + 0.5) / len(ticks), f"{height * (1 - y.share(min(max(m.y, y.low), y.high))):.1f}") for m in marks
    )
    under = Markup("").join(_tick_below((i + 0.5) / len(ticks), height, str(lag)) for i, lag in enumerate(ticks))
    unit = Markup('<text class="number" x="-8" y="{0}" text-anchor="end">lag</text>').format(height + 18)
    return _plot(title, height, 26, _grid(y, height), between, level, signs, under, unit)


def _plot(title: str, height: float, below: float, *layers: Markup) -> Markup:
    return Markup('<svg class="plot" role="img" aria-label="{0}" height="{1}" width="100%">{2}</svg>').format(
        title, f"{height + below:g}", Markup("").join(layers)
    )


def _grid(axis: Axis, height: float) -> Markup:
    row = Markup(
        '<line class="grid" x1="0%" x2="100%" y1="{0}" y2="{0}"/>'
        '<text class="number" x="-8" y="{0}" dy="0.32em" text-anchor="end">{1}</text>'
    )
    return Markup("").join(row.format(f"{height * (1 - axis.share(tick)):.1f}", f"{tick:g}") for tick in axis.ticks)


def _tick_below(share: float, height: float, text: str) -> Markup:
    return Markup('<text class="number" x="{0}%" y="{1}" text-anchor="middle">{2}</text>').format(
        _percent(share), f"{height + 18:g}", text
    )


def _sign(mark: Mark, share: float, y: str) -> Markup:
    kind = f"{mark.series}{'' if mark.filled else ' hollow'}{' failed' if mark.failed else ''}"
    shape = _SHAPES["failed" if mark.failed else mark.series]
    return Markup(
        '<svg class="free" x="{0}%" y="{1}"><path class="mark {2}" transform="translate({3} 0)" d="{4}">'
        "<title>{5}</title></path></svg>"
    ).format(_percent(share), y, kind, f"{mark.shift:g}", shape, escape(mark.tip))


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"
