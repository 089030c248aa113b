"""A comparison as one HTML page and as tables for the terminal."""

import base64
import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from longhold.models.file import atomic_write_bytes
from longhold.study import wording
from longhold.study.comparison import Comparison
from longhold.study.figures import Axis, Mark, curves, lags, nice_axis, scale, strip, symbol
from longhold.study.recall import SOLVED, RecallRow
from longhold.training import printable

_SPREAD, _WIDEST = 9.5, 28.0  # pixels between the dots of two seeds, and between the first and the last


def write_report(comparison: Comparison, path: str | Path) -> Path:
    """Write the page to `path`, whole or not at all, and return where it lies.

    Raises:
        InputError: it cannot be written.
    """
    atomic_write_bytes(path, render_page(comparison).encode())
    return Path(path)


def render_page(comparison: Comparison) -> str:
    """The page: one HTML file without scripts that loads nothing."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("longhold.study", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_visible,
    )
    style = resources.files("longhold.study").joinpath("templates/report.css").read_text(encoding="utf-8")
    axis = nice_axis(_all_bits(comparison), from_zero=True)
    return environment.get_template("report.html.jinja").render(
        c=comparison,
        w=wording,
        symbol=symbol,
        style=Markup(style),
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        names=_listed([row.cell.upper() for row in comparison.cells]),
        dots=_dots(comparison, axis),
        dots_scale=scale(axis),
        curves=_curves(comparison),
        recall=_recall(comparison.recall),
    )


def render_table(comparison: Comparison) -> Group:
    """The same numbers for the terminal."""
    parts: list[Table | Text] = [_text_table(comparison), Text(wording.text_caption(), style="dim")]
    if comparison.recall:
        parts += [
            Text(""),
            _recall_rich(comparison.recall),
            Text(wording.recall_caption(comparison.recall), style="dim"),
        ]
    return Group(*parts)


def _all_bits(comparison: Comparison) -> list[float]:
    return [*(b.bits_per_character for b in comparison.baselines), *(row.held_out_bits for row in comparison.cells)]


def _visible(value: object) -> object:
    return printable(value) if type(value) is str else value


def _listed(names: list[str]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


@dataclass(frozen=True)
class _Dot:
    series: str
    name: str
    bits: str
    strip: Markup


def _dots(comparison: Comparison, axis: Axis) -> list[_Dot]:
    known = [("baseline", b.name, b.bits_per_character) for b in comparison.baselines]
    known += [(row.cell, row.cell.upper(), row.held_out_bits) for row in comparison.cells]
    return [
        _Dot(series, name, wording.bits(value), strip(value, axis, series, f"{name}: {wording.bits(value)}"))
        for series, name, value in known
    ]


def _curves(comparison: Comparison) -> Markup | None:
    """None where no cell was evaluated twice: a plot of one point each says nothing."""
    series = [(row.cell, [(p.seconds, p.bits_per_character) for p in row.curve]) for row in comparison.cells]
    if max(len(points) for _, points in series) < 2:
        return None
    return curves(series, "Validation bits per character against training time", "seconds of training")


@dataclass(frozen=True)
class _Panel:
    init: str
    explained: str
    plot: Markup


@dataclass(frozen=True)
class _Group:
    cell: str
    hidden_size: int
    panels: list[_Panel]


@dataclass(frozen=True)
class _Line:
    cell: str
    init: str
    lags: list[tuple[str, str]]


@dataclass(frozen=True)
class _Recall:
    symbols: int
    seeds: str
    count: int
    lags: tuple[int, ...]
    threshold: float
    groups: list[_Group]
    lines: list[_Line]
    failures: list[str]


def _recall(rows: tuple[RecallRow, ...]) -> _Recall | None:
    if not rows:
        return None
    config = rows[0].run.config
    return _Recall(
        symbols=config.symbols,
        seeds=", ".join(map(str, config.seeds)),
        count=len(config.seeds),
        lags=config.lags,
        threshold=SOLVED,
        groups=_groups(rows),
        lines=_lines(rows),
        failures=[f"{_run_name(row)}: {row.failure}" for row in rows if row.failure],
    )


def _groups(rows: tuple[RecallRow, ...]) -> list[_Group]:
    groups: dict[str, _Group] = {}
    for arm, by_lag in wording.by_arm_and_lag(rows).items():
        size = next(iter(by_lag.values()))[0].run.hidden_size
        group = groups.setdefault(arm.cell, _Group(arm.cell, size, []))
        title = f"{arm.cell.upper()}, {arm.init}: recall of each seed at lags {', '.join(map(str, by_lag))}"
        marks = [mark for place, runs in enumerate(by_lag.values()) for mark in _marks(runs, place)]
        plot = lags(marks, list(by_lag), ((0.0, "chance"), (SOLVED, "threshold")), title)
        group.panels.append(_Panel(arm.init, wording.INITS.get(arm.init, ""), plot))
    return list(groups.values())


def _marks(runs: list[RecallRow], place: int) -> list[Mark]:
    gaps = len(runs) - 1
    apart = min(_SPREAD, _WIDEST / max(1, gaps))
    return [
        Mark(
            series=row.run.arm.cell,
            x=place,
            y=row.recall or 0.0,
            tip=f"{_run_name(row)}: recall {wording.recall(row)} after {wording.whole(row.steps)} steps",
            filled=row.solved,
            failed=row.failure is not None,
            shift=apart * (i - gaps / 2),
        )
        for i, row in enumerate(runs)
    ]


def _run_name(row: RecallRow) -> str:
    return f"{row.run.arm.cell.upper()} {row.run.arm.init}, lag {row.run.lag}, seed {row.run.seed}"


def _lines(rows: tuple[RecallRow, ...]) -> list[_Line]:
    return [
        _Line(
            arm.cell,
            arm.init,
            [
                (", ".join(f"{wording.recall(r)} ({wording.whole(r.steps)})" for r in runs), wording.solved(runs))
                for runs in by_lag.values()
            ],
        )
        for arm, by_lag in wording.by_arm_and_lag(rows).items()
    ]


def _text_table(comparison: Comparison) -> Table:
    """Fits 80 columns; units and tokens stand on the page."""
    title = Text(f"{printable(comparison.source.name)}: held-out text")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    for heading in ("parameters", "steps", "tokens/s", "train ppl", "bits/char"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in comparison.cells:
        shown = [wording.whole(n) for n in (row.parameters, row.steps, row.tokens_per_second)]
        name = f"{row.cell.upper()}, {row.init}"
        table.add_row(name, *shown, wording.perplexity(row.train_perplexity), wording.bits(row.held_out_bits))
    table.add_section()
    for baseline in comparison.baselines:
        table.add_row(baseline.name, *[""] * 4, wording.bits(baseline.bits_per_character))
    return table


def _recall_rich(rows: tuple[RecallRow, ...]) -> Table:
    config = rows[0].run.config
    title = "One-symbol recall: each seed, and how many solved it"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    for lag in config.lags:
        table.add_column(f"lag {lag}", no_wrap=True)
    for arm, by_lag in wording.by_arm_and_lag(rows).items():
        cells = [f"{' '.join(map(wording.recall, runs))}\n{wording.solved(runs)}" for runs in by_lag.values()]
        table.add_row(f"{arm.cell.upper()}, {arm.init}", *cells)
    return table
