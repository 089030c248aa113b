"""Markdown tables of the stored figures, for the READMEs: `python -m benchmarks tables`."""

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import store
from benchmarks.cases import GATES
from benchmarks.grid import failed, geometric
from benchmarks.section import direction, sizes
from benchmarks.store import Document, Row


def render(path: Path) -> str:
    """Every table that the file at `path` has rows for."""
    sections = store.read(path)["sections"]
    parts = [
        f"{header(sections[name])}\n\n{table(sections[name]['rows'])}" for name, table in TABLES if name in sections
    ]
    return "\n\n".join(parts)


def header(section: Document) -> str:
    """What the figures below it were measured on."""
    machine, (before, after) = section["machine"], section["load"]
    return (
        f"{machine['processor']}, {machine['threads']} threads, {machine['instruction_set']}, "
        f"torch {machine['torch']}, longhold {machine['longhold']} at {machine['commit']}, "
        f"{section['date']}, load {before:.1f} to {after:.1f}"
        f"{' (the quick form: these figures say nothing)' if section['quick'] else ''}:"
    )


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table; the first column is text, the others are figures."""
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *lines))


def grid(rows: Sequence[Row]) -> str:
    """Ratios to torch's best by cell and kind of rows, then fractions of the ceiling."""
    cases = [row for row in rows if "case" in row and "missing" not in row]
    lines = [_ratios(cell, ragged, cases) for cell in GATES for ragged in (False, True)]
    ratios = markdown(
        [
            "against torch.nn",
            "training, H <= 256",
            "training, all",
            "least",
            "forward, all",
            "least",
            "cases",
            "below 0.95",
        ],
        [line for line in lines if line],
    )
    fractions = [_fractions(cell, cases) for cell in GATES]
    ceiling = markdown(
        ["fraction of the ceiling, training", "H 128, B >= 8", "least", "H >= 256, B >= 32", "least"], fractions
    )
    return f"{ratios}\n\n{ceiling}"


def _ratios(cell: str, ragged: bool, cases: Sequence[Row]) -> list[str]:
    chosen = [row for row in cases if row["cell"] == cell and row["ragged"] == ragged]
    if not chosen:
        return []
    small = [row for row in chosen if row["hidden"] <= 256]
    figures = [_times(geometric(small, "training_ratio"))]
    for way in ("training", "forward"):
        name = f"{way}_ratio"
        figures += [_times(geometric(chosen, name)), _times(min(row[name] for row in chosen))]
    return [
        f"{cell}, {'ragged' if ragged else 'padded'}",
        *figures,
        str(len(chosen)),
        str(sum(map(bool, map(failed, chosen)))),
    ]


def _fractions(cell: str, cases: Sequence[Row]) -> list[str]:
    cells = [cell]
    for hidden, batch in (((128,), 8), ((256, 512), 32)):
        chosen = [row for row in cases if row["cell"] == cell and row["hidden"] in hidden and row["batch"] >= batch]
        least = min((row["training_of_ceiling"] for row in chosen), default=None)
        cells += [_percent(geometric(chosen, "training_of_ceiling")), _percent(least)]
    return cells


def tutorial(rows: Sequence[Row]) -> str:
    """Tokens per second of the three loops."""
    row = rows[0]
    rates = {**row["tokens_per_second"], "limit": row["limit_tokens_per_second"]}
    names = {
        "longhold": "longhold.training",
        "torch": "the same loop with nn.LSTM",
        "scratch": "from scratch, as the tutorial writes it",
        "limit": "limit: the ceiling over the products of a token",
    }
    lines = [[names[name], f"{rate:,.0f}", _times(rates["longhold"] / rate)] for name, rate in rates.items()]
    return markdown([f"tutorial's job, LSTM of {row['hidden']}", "tokens/s", "longhold over it"], lines)


def generation(rows: Sequence[Row]) -> str:
    """Characters per second, and microseconds of a step."""
    writing = []
    for row in rows:
        if "writing" in row:
            rates = dict(row["characters_per_second"])
            ours, best = rates.pop("longhold"), max(rates.values())
            writing.append(
                [f"{row['writing'].upper()} of {row['hidden']}", f"{ours:,.0f}", f"{best:,.0f}", _times(ours / best)]
            )
    stepping = [
        [f"{row['stepping']}, I = H = {row['size']}", *(_micro(row["microseconds"].get(name)) for name in _STEPS)]
        for row in rows
        if "stepping" in row
    ]
    return "\n\n".join(
        [
            markdown(["characters/s, batch 1", "longhold", "torch's best loop", "ratio"], writing),
            markdown(["microseconds a step, batch 1", *_STEPS.values()], stepping),
        ]
    )


_STEPS = {
    "stream.run": "in C++",
    "stream.step": "through Python",
    "torch cell": "nn.*Cell",
    "torch layer, whole sequence": "torch.nn, whole sequence",
}


def others(rows: Sequence[Row]) -> str:
    """Milliseconds of every framework."""
    names = list(dict.fromkeys(name for row in rows for name in row["seconds"]))
    lines = [
        [
            f"{sizes(row)} {direction(row)}",
            *(_milli(row["seconds"].get(name)) for name in names),
        ]
        for row in rows
    ]
    return markdown(["milliseconds", *names], lines)


def extras(rows: Sequence[Row]) -> str:
    """What each extra costs."""
    lines = [
        [
            f"{row['extra']} ({row['cell']}, B {row['batch']}, H {row['hidden']}, T {row['steps']})",
            *([f"{row['relative']:.2f}", _times(row["against_torch"])] if "missing" not in row else ["not there"] * 2),
        ]
        for row in rows
    ]
    return markdown(["extra", "time over the plain kernel's", "torch's own way over ours"], lines)


def memory(rows: Sequence[Row]) -> str:
    """Peaks of the training jobs, and growth of the streaming ones."""
    lines = []
    for row in rows:
        name = f"{row['cell']} {row['job']}, T {row['steps']:,}, I {row['inputs']}, H {row['hidden']}, {row['backend']}"
        for field in ("peak", "growth"):
            if field in row:
                lines.append([name, f"{row[field] / 1e6:,.0f}" if field == "peak" else f"{row[field] / 1e6:+.1f}"])
    return markdown(["memory", "MB above import, or grown"], lines)


def threads(rows: Sequence[Row]) -> str:
    """Latency beside a busy neighbour."""
    lines = [
        [
            f"{row['cell']}, {who}",
            *(_milli(row[who][state][0]) for state in ("quiet", "busy")),
            _times(row[f"{who}_slowdown"]),
        ]
        for row in rows
        if row["job"] == "latency" and "missing" not in row
        for who in ("longhold", "torch")
    ]
    return markdown(["one call, ms (median)", "quiet", "beside a busy process", "slower"], lines)


TABLES: tuple[tuple[str, Callable[[Sequence[Row]], str]], ...] = (
    ("grid", grid),
    ("tutorial", tutorial),
    ("generation", generation),
    ("others", others),
    ("extras", extras),
    ("memory", memory),
    ("threads", threads),
)
"""The table of each section that has one; how cost grows is drawn instead."""


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _milli(seconds: float | None) -> str:
    return "" if seconds is None else f"{1e3 * seconds:.3g}"


def _micro(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
