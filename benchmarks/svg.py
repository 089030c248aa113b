"""Small standalone SVG figures, laid out by hand (docs/decisions/0005): light, and dark where the reader's page is."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final
from xml.sax.saxutils import escape

STYLE = """
  svg { --card: #ffffff; --ink: #1d1c1a; --soft: #5f5b54; --rule: #e2ddd1;
    --rnn: #c8500a; --gru: #0a6cb0; --lstm: #00835c; --torch: #6d6a66; }
  @media (prefers-color-scheme: dark) { svg { --card: #1e2024; --ink: #ebe8e2; --soft: #a8a39a; --rule: #34363c;
    --rnn: #ff9355; --gru: #66b8f2; --lstm: #3fd0a0; --torch: #aaa59c; } }
  text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif;
    fill: var(--soft); font-variant-numeric: tabular-nums; }
  .title { font-size: 17px; font-weight: 600; fill: var(--ink); }
  .panel { font-size: 13.5px; font-weight: 600; fill: var(--ink); }
  .card { fill: var(--card); } .grid { stroke: var(--rule); stroke-width: 1; }
  .one { stroke: var(--soft); stroke-width: 1.2; }
  .floor { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 3 4; }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
  .rnn { stroke: var(--rnn); fill: var(--rnn); } .gru { stroke: var(--gru); fill: var(--gru); }
  .lstm { stroke: var(--lstm); fill: var(--lstm); } .torch { stroke: var(--torch); fill: var(--torch); }
  .line.rnn, .line.gru, .line.lstm, .line.torch { fill: none; } .line.torch { stroke-dasharray: 6 4; }
  .mark { stroke-width: 1.5; } .mark.hollow { fill: var(--card); } .dot { stroke-width: 1; opacity: .75; }
  .dot.hollow { fill: none; }
"""

SHAPES = {
    "rnn": "M-4.5,0a4.5,4.5 0 1,0 9,0a4.5,4.5 0 1,0 -9,0Z",
    "gru": "M0,-5.4L5.2,4L-5.2,4Z",
    "lstm": "M-4.1,-4.1H4.1V4.1H-4.1Z",
    "torch": "M0,-5.2L5.2,0L0,5.2L-5.2,0Z",
}
"""A shape beside every colour."""


@final
@dataclass(frozen=True)
class LogAxis:
    """A logarithmic scale from pixel `begin` to pixel `end`."""

    low: float
    """Value at `begin`."""
    high: float
    """Value at `end`."""
    begin: float
    """Pixels."""
    end: float
    """Pixels."""
    ticks: tuple[float, ...]
    """Values with a line and a number."""

    def at(self, value: float) -> float:
        """The pixel of a value."""
        fraction = math.log(value / self.low) / math.log(self.high / self.low)
        return self.begin + fraction * (self.end - self.begin)


def log_axis(values: Iterable[float], begin: float, end: float, ticks: Sequence[float] | None = None) -> LogAxis:
    """An axis over the values; its ticks are powers of ten, with 2 and 5 times these where the span is short."""
    finite = list(values)
    low, high = min(finite), max(finite)
    if low == high:
        low, high = low / 2, high * 2
    pad = (high / low) ** 0.04
    low, high = low / pad, high * pad
    if ticks is None:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        factors = (1, 2, 5) if high / low < 300 else (1,)
        ticks = [factor * 10.0**power for power in powers for factor in factors]
    return LogAxis(low, high, begin, end, tuple(tick for tick in ticks if low <= tick <= high))


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """Words at a place."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def rule(x1: float, y1: float, x2: float, y2: float, kind: str = "grid") -> str:
    """A straight line."""
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def mark(x: float, y: float, series: str, tip: str, kind: str = "mark", size: float = 1.0) -> str:
    """A series' shape with the text that a pointer on it shows."""
    place = f"translate({x:.1f} {y:.1f}) scale({size:g})"
    return f'<path class="{kind} {series}" transform="{place}" d="{SHAPES[series]}"><title>{escape(tip)}</title></path>'


def curve(points: Sequence[tuple[float, float]], series: str) -> str:
    """A line through pixels."""
    return f'<polyline class="line {series}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def figure(width: float, height: float, title: str, under: str, body: Sequence[str]) -> str:
    """A whole SVG document with its title and a line under it."""
    inside = "\n".join([text(24, 34, title, "title"), text(24, 55, under), *body])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-label="{escape(title)}">\n<style>{STYLE}</style>\n'
        f'<rect class="card" width="{width:g}" height="{height:g}" rx="6"/>\n{inside}\n</svg>\n'
    )
