"""Plots of the stored figures under docs/benchmarks, drawn from the JSON alone: `python -m benchmarks plots`."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks import store, svg
from benchmarks.cases import GATES
from benchmarks.grid import FLOOR, geometric
from benchmarks.machine import ROOT
from benchmarks.store import Document, Row

FOLDER = ROOT / "docs" / "benchmarks"

_TITLES = {
    "steps": ("Time of a training call over steps T", "steps T"),
    "hidden": ("Time of a training call over units H", "units H"),
    "batch": ("Time of a training call over rows B", "rows B"),
    "threads": ("Time of a training call over threads", "threads"),
}
_WIDTH, _PANEL, _GAP, _LEFT = 960.0, 246.0, 62.0, 66.0


def render(path: Path) -> str:
    """Write every figure that the file at `path` has rows for; gives a line for each."""
    return draw(store.read(path)["sections"], FOLDER)


def draw(sections: dict[str, Document], folder: Path) -> str:
    """Write the figures into `folder`."""
    figures: dict[str, str] = {}
    if "growth" in sections:
        rows = sections["growth"]["rows"]
        for over in _TITLES:
            chosen = [row for row in rows if row["over"] == over]
            if chosen:
                figures[f"growth-{over}"] = growth(over, chosen, machine_line(sections["growth"]))
    if "grid" in sections:
        cases = [row for row in sections["grid"]["rows"] if "case" in row and "missing" not in row]
        figures["grid"] = grid(cases, machine_line(sections["grid"]))
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        (folder / f"{name}.svg").write_text(figure)
    return "\n".join(str(folder / f"{name}.svg") for name in figures)


def machine_line(section: Document) -> str:
    """What it was measured on, in few words."""
    machine = section["machine"]
    return f"{machine['processor']}, {machine['threads']} threads, torch {machine['torch']}, {section['date'][:10]}"


def growth(over: str, rows: Sequence[Row], machine: str) -> str:
    """A panel for each cell: longhold and torch.nn on one scale, the same in all panels."""
    title, across = _TITLES[over]
    others = [name for name in ("batch", "hidden", "steps") if name != over]
    sizes = ", ".join(f"{name[0].upper() if name != 'steps' else 'T'} {rows[0][name]}" for name in others)
    top, bottom = 112.0, 330.0
    times = [1e3 * seconds for row in rows for seconds in row["seconds"].values()]
    y = svg.log_axis(times, bottom, top)
    body = [*_legend()]
    for index, cell in enumerate(GATES):
        chosen = sorted((row for row in rows if row["cell"] == cell), key=lambda row: row["value"])
        if chosen:
            body += _panel(cell, chosen, across, _LEFT + index * (_PANEL + _GAP), y)
    under = f"forward and backward, padded features, {sizes}; milliseconds; {machine}"
    return svg.figure(_WIDTH, 384, title, under, body)


def _legend() -> list[str]:
    right, y = _LEFT + 3 * _PANEL + 2 * _GAP, 30.0
    return [
        *(svg.mark(right - 176 + 12 * index, y, cell.lower(), cell) for index, cell in enumerate(GATES)),
        svg.text(right - 140, y + 4, "longhold"),
        svg.mark(right - 66, y, "torch", "torch.nn", "mark hollow"),
        svg.text(right - 54, y + 4, "torch.nn"),
    ]


def _panel(cell: str, rows: Sequence[Row], across: str, left: float, y: svg.LogAxis) -> list[str]:
    values = [row["value"] for row in rows]
    x = svg.log_axis(values, left, left + _PANEL, ticks=_thinned(values))
    body = [svg.text(left, 99, cell, "panel")]
    for tick in y.ticks:
        body += [
            svg.rule(left, y.at(tick), left + _PANEL, y.at(tick)),
            svg.text(left - 8, y.at(tick) + 4, f"{tick:g}", anchor="end"),
        ]
    for tick in x.ticks:
        body.append(svg.text(x.at(tick), y.begin + 18, f"{tick:g}", anchor="middle"))
    body.append(svg.text(left + _PANEL / 2, y.begin + 38, across, anchor="middle"))
    for series, name, kind in (("torch", "torch", "mark hollow"), (cell.lower(), "longhold", "mark")):
        points = [(x.at(row["value"]), y.at(1e3 * row["seconds"][name])) for row in rows]
        body.append(svg.curve(points, series))
        for row, (px, py) in zip(rows, points, strict=True):
            body.append(svg.mark(px, py, series, f"{name} {row['value']:,}: {1e3 * row['seconds'][name]:.3g} ms", kind))
    return body


def _thinned(values: Sequence[float]) -> list[float]:
    step = 2 if len(values) > 7 else 1
    return list(values)[::step]


def grid(cases: Sequence[Row], machine: str) -> str:
    """Every case of the grid as a dot on the ratio to torch's best, a row for each cell and kind of rows."""
    top, pitch, left, right = 96.0, 54.0, 130.0, 850.0
    kinds = [(cell, ragged) for cell in GATES for ragged in (False, True)]
    bottom = top + pitch * len(kinds)
    x = svg.log_axis([FLOOR, *(row["training_ratio"] for row in cases)], left, right)
    body = [svg.rule(x.at(tick), top - 8, x.at(tick), bottom) for tick in x.ticks]
    body += [svg.text(x.at(tick), bottom + 18, f"{tick:g}x", anchor="middle") for tick in x.ticks]
    body += [
        svg.rule(x.at(1), top - 8, x.at(1), bottom, "one"),
        svg.rule(x.at(FLOOR), top - 8, x.at(FLOOR), bottom, "floor"),
    ]
    for index, (cell, ragged) in enumerate(kinds):
        chosen = [row for row in cases if row["cell"] == cell and row["ragged"] == ragged]
        middle = top + pitch * (index + 0.5)
        body += [
            svg.text(24, middle - 2, cell, "panel"),
            svg.text(24, middle + 14, "ragged" if ragged else "padded"),
        ]
        body += _dots(chosen, x, middle, pitch)
        mean = geometric(chosen, "training_ratio")
        body.append(svg.text(_WIDTH - 24, middle + 5, "" if mean is None else f"{mean:.2f}x", "panel", "end"))
    body.append(svg.text(_WIDTH - 24, top - 14, "geometric mean", anchor="end"))
    body.append(
        svg.text(
            left,
            bottom + 40,
            "full: features, hollow: token ids; long line: as fast as torch.nn, dashed: 0.95",
        )
    )
    return svg.figure(
        _WIDTH, bottom + 60, "Training time of torch's best over longhold's, every case of the grid", machine, body
    )


def _dots(rows: Sequence[Row], x: svg.LogAxis, middle: float, pitch: float) -> list[str]:
    mean = geometric(rows, "training_ratio")
    if mean is None:
        return []
    body = []
    for index, row in enumerate(rows):
        y = middle + ((index * 7) % 13 - 6) * pitch / 20  # spread, the same in every drawing
        tip = f"{row['case']}: {row['training_ratio']:.2f}x"
        kind = "dot hollow" if row["ids"] else "dot"
        body.append(svg.mark(x.at(row["training_ratio"]), y, row["cell"].lower(), tip, kind, 0.7))
    body.append(
        svg.rule(
            x.at(mean), middle - pitch * 0.38, x.at(mean), middle + pitch * 0.38, f"line {rows[0]['cell'].lower()}"
        )
    )
    return body
