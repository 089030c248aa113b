"""The grid: every cell at every size against torch.nn, and against what the processor can multiply."""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

import longhold
from benchmarks.cases import CONTROLS, GATES, GRID, QUICK, Case
from benchmarks.contenders import Work, contenders, pair, source, takes_ids, work
from benchmarks.section import Bar, Section
from benchmarks.store import Row
from benchmarks.timing import QUICK as QUICK_BUDGET
from benchmarks.timing import Budget, Call, interleaved, medians, ratio_interval

FLOOR = 0.95
"""The least ratio to torch.nn anywhere."""

_BUDGET = Budget()
_AGAIN = Budget(rounds=15, seconds=2.0)
_WAYS = ("training", "forward")


def rows(quick: bool) -> Iterator[Row]:
    """A row for each case, controls first."""
    torch.manual_seed(0)
    budget = QUICK_BUDGET if quick else _BUDGET
    for case in CONTROLS[:1] if quick else CONTROLS:
        yield control(case, budget)
    for case in QUICK if quick else GRID:
        yield measure(case, budget, again=not quick)


def control(case: Case, budget: Budget) -> Row:
    """torch.nn against torch.nn: two layers of the same size."""
    x = source(case)
    both = [_plain(pair(case)[0], x) for _ in "ab"]
    calls: dict[str, Call] = {}
    for name, one in zip("ab", both, strict=True):
        calls |= {f"{name} training": one.training, f"{name} forward": one.inference}
    median = medians(interleaved(calls, budget))
    return {"control": case.name, **{f"{way}_ratio": median[f"a {way}"] / median[f"b {way}"] for way in _WAYS}}


def _plain(layer: Any, x: Tensor) -> Work:
    return work(lambda: (layer(x)[0],), (*layer.parameters(), x))


def measure(case: Case, budget: Budget, *, again: bool) -> Row:
    """All timings of a case; with `again`, a case under the floor is measured once more and gets intervals."""
    missing = takes_ids() if case.ids else None
    if missing is not None:
        return {"case": case.name, **asdict(case), "missing": missing}
    found = contenders(case)
    square = torch.randn(1024, 1024)
    calls: dict[str, Call] = {"sgemm": lambda: square @ square}
    for name, one in found.items():
        calls |= {f"{name} training": one.training, f"{name} forward": one.inference}
    row = summarised(case, interleaved(calls, budget))
    if again and min(row["training_ratio"], row["forward_ratio"]) < FLOOR:
        row = summarised(case, interleaved(calls, _AGAIN), intervals=True)
    return {**row, "backend": _backend(case)}


def summarised(case: Case, samples: dict[str, list[float]], *, intervals: bool = False) -> Row:
    """Medians, ratios to torch's best, and the fraction of the ceiling."""
    median = medians(samples)
    row: Row = {"case": case.name, **asdict(case), "rounds": len(samples["sgemm"]), "seconds": median}
    ceiling = 2 * 1024**3 / median["sgemm"]
    row["ceiling_gflops"] = ceiling / 1e9
    for way in _WAYS:
        ours = f"longhold {way}"
        best = min((name for name in median if name.startswith("torch") and name.endswith(way)), key=median.__getitem__)
        row[f"{way}_ratio"] = median[best] / median[ours]
        row[f"{way}_of_ceiling"] = case.flops(backward=way == "training") / median[ours] / ceiling
        row[f"{way}_best"] = best.removesuffix(f" {way}")
        if intervals:
            row[f"{way}_interval"] = ratio_interval(samples[best], samples[ours])
    return row


def _backend(case: Case) -> str:
    layer = getattr(longhold, case.cell)(case.inputs, case.hidden)
    lengths = case.lengths() if case.ragged else None
    return str(longhold.explain(layer, source(case).detach(), lengths=lengths).backend)


def line(row: Row) -> str:
    """A case as it is printed when it comes."""
    if "control" in row:
        return (
            f"{row['control']:34} torch against torch {row['training_ratio']:.2f}x, forward {row['forward_ratio']:.2f}x"
        )
    if "missing" in row:
        return f"{row['case']:34} not there: {row['missing']}"
    verdict = "" if not failed(row) else "  FAILED " + ", ".join(failed(row))
    ratios = f"training {row['training_ratio']:6.2f}x {row['training_of_ceiling']:4.0%}"
    return f"{row['case']:34} {ratios}   forward {row['forward_ratio']:6.2f}x {row['forward_of_ceiling']:4.0%}{verdict}"


def failed(row: Row) -> list[str]:
    """The ways in which a row is below the floor: its ratio, or after a second measurement its whole interval."""
    if "missing" in row:
        return []
    return [way for way in _WAYS if row.get(f"{way}_interval", (0, row[f"{way}_ratio"]))[1] < FLOOR]


def summary(rows: Sequence[Row]) -> list[str]:
    """Items 1 to 3 of issue 3."""
    controls = [row[f"{way}_ratio"] for row in rows if "control" in row for way in _WAYS]
    cases = [row for row in rows if "case" in row and "missing" not in row]
    absent = [row["missing"] for row in rows if "missing" in row]
    lines = [f"{len(absent)} cases not there: {absent[0]}"] if absent else []
    if controls:
        lines.append(f"torch against torch: {min(controls):.2f}x to {max(controls):.2f}x in {len(controls)} pairs")
    bad = [f"{row['case']} ({', '.join(failed(row))})" for row in cases if failed(row)]
    again = sum("training_interval" in row for row in cases)
    lines.append(f"{len(bad)} of {len(cases)} cases fail the floor of {FLOOR}, {again} were measured again")
    lines += [f"    {name}" for name in bad]
    return lines + [str(bar) for bar in bars(cases)] + _details(cases)


def bars(cases: Sequence[Row]) -> list[Bar]:
    """What issue 3 requires of the grid as a whole."""
    small = [row for row in cases if row["hidden"] <= 256]
    below = sum(bool(failed(row)) for row in cases) if cases else None
    found = [Bar(f"cases that are below {FLOOR} with 95 % confidence", below, 0, "{:.0f}", at_most=True)]
    for cell, ragged, target in (("GRU", None, 4.0), ("RNN", None, 4.0), ("LSTM", True, 4.0), ("LSTM", False, 1.6)):
        chosen = [row for row in small if row["cell"] == cell and ragged in (None, row["ragged"])]
        rows = {None: "", True: " ragged", False: " padded"}[ragged]
        found.append(Bar(f"{cell}{rows}, H <= 256, geometric mean", geometric(chosen, "training_ratio"), target))
    for cell in GATES:
        for name, hidden, batch, target in (
            ("H 128, B >= 8", (128,), 8, 0.5),
            ("H >= 256, B >= 32", (256, 512), 32, 0.85),
        ):
            chosen = [row for row in cases if row["cell"] == cell and row["hidden"] in hidden and row["batch"] >= batch]
            fraction = geometric(chosen, "training_of_ceiling")
            found.append(Bar(f"{cell}, {name}, fraction of the ceiling, geometric mean", fraction, target, "{:.0%}"))
    return found


def geometric(rows: Sequence[Row], name: str) -> float | None:
    """The geometric mean of a figure, or None without rows."""
    return math.exp(statistics.fmean(math.log(row[name]) for row in rows)) if rows else None


def _details(cases: Sequence[Row]) -> list[str]:
    """Geometric means by cell, kind of input and kind of rows: which of them carries a mean."""
    lines = []
    for cell in GATES:
        for ids in (False, True):
            for ragged in (False, True):
                chosen = [r for r in cases if (r["cell"], r["ids"], r["ragged"]) == (cell, ids, ragged)]
                if chosen:
                    lines.append(_detail(f"{cell} {'ids' if ids else 'x'} {'ragged' if ragged else 'padded'}", chosen))
    return lines


def _detail(name: str, rows: Sequence[Row]) -> str:
    figures = ", ".join(
        f"{way} {geometric(rows, f'{way}_ratio'):.2f}x (least {min(row[f'{way}_ratio'] for row in rows):.2f}x)"
        for way in _WAYS
    )
    return f"    {name:18} {figures}"


SECTION = Section("Every cell at every size against torch.nn", rows, line, summary)
