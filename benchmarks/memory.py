"""Peak memory above import: training on one very long row, and streaming a row without an end."""

from collections.abc import Iterator, Sequence

from benchmarks.cases import GATES
from benchmarks.children import in_child
from benchmarks.section import Bar, Section
from benchmarks.store import Row

MEGABYTE = 1e6


def rows(quick: bool) -> Iterator[Row]:
    """A child process for each row. The reference loop runs a tenth of the steps: its memory is in proportion."""
    steps, hidden = (300, 8) if quick else (100_000, 256)
    for cell in ("LSTM",) if quick else GATES:
        for inputs in (hidden,) if quick else (hidden, 28):
            yield _child("training", cell, steps, hidden, inputs=inputs)
        for backend in ("cpu", "torch", "reference"):
            yield _child("training", cell, steps // (10 if backend == "reference" else 1), hidden, backend=backend)
        yield _child("checkpointed", cell, steps, hidden, every=round(steps**0.5))
        yield _child("bits", cell, min(steps, 2000), hidden, backend="cpu", every=45)
    for job in ("layer", "stream"):
        yield _child(job, "LSTM", 10 * steps, hidden, every=steps // 100)


def _child(
    job: str,
    cell: str,
    steps: int,
    hidden: int,
    *,
    inputs: int | None = None,
    backend: str = "automatic",
    every: int = 0,
) -> Row:
    specification = {"job": job, "cell": cell, "steps": steps, "hidden": hidden, "inputs": inputs or hidden}
    return in_child("benchmarks.memory_child", {**specification, "backend": backend, "every": every})


def line(row: Row) -> str:
    """What a job took."""
    name = f"{row['cell']} {row['job']}, T {row['steps']:,}, I {row['inputs']}, H {row['hidden']}, {row['backend']}"
    if row["every"]:
        name += f", every {row['every']:,}"
    if "missing" in row:
        return f"{name}: not there: {row['missing']}"
    if "equal" in row:
        return f"{name}: gradients {'bit-equal' if row['equal'] else 'NOT bit-equal'}"
    if "growth" in row:
        return f"{name}: grew by {row['growth'] / MEGABYTE:.1f} MB after the first tenth"
    peak, tensors = row["peak"] / MEGABYTE, row["tensors"] / MEGABYTE
    return f"{name}: peak {peak:,.0f} MB above import, {tensors:,.0f} MB of it input, output and their gradients"


def summary(rows: Sequence[Row]) -> list[str]:
    """Item 9 of issue 3."""
    return [str(bar) for bar in bars(rows)]


def bars(rows: Sequence[Row]) -> list[Bar]:
    """What issue 3 requires of memory; a job counts with the worst of its cells."""
    there = [row for row in rows if "missing" not in row]

    def worst(job: str, field: str) -> float | None:
        found = [row[field] for row in there if row["job"] == job and row["backend"] == "automatic"]
        return max(found) / MEGABYTE if found else None

    longest = max((row["steps"] for row in rows if row["job"] == "training"), default=0)
    equal = [row["equal"] for row in there if row["job"] == "bits"]
    found = [
        Bar(f"training, T {longest:,}", worst("training", "peak"), 1000, "{:,.0f} MB", at_most=True),
        Bar(
            f"training with checkpoints, T {longest:,}", worst("checkpointed", "peak"), 1000, "{:,.0f} MB", at_most=True
        ),
        Bar("gradients with checkpoints bit-equal", float(all(equal)) if equal else None, 1.0, "{:.0f}"),
    ]
    for job in ("layer", "stream"):
        steps = max((row["steps"] for row in rows if row["job"] == job), default=0)
        found.append(Bar(f"{job} over T {steps:,}, growth", worst(job, "growth"), 1.0, "{:.1f} MB", at_most=True))
    return found


SECTION = Section("Peak memory above import", rows, line, summary)
