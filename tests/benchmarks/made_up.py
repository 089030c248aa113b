"""Stored sections with figures that were made up, to see what is reported of them."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from benchmarks.cases import GRID, Case
from benchmarks.store import Document, Row

MACHINE = {
    "processor": "Made Up <1>",
    "cores": 2,
    "threads": 2,
    "instruction_set": "avx2",
    "torch": "9.9",
    "longhold": "0.0",
    "commit": "abc",
}


def section(rows: list[Row]) -> Document:
    return {
        "machine": MACHINE,
        "date": "2026-01-02 03:04 UTC",
        "load": [0.0, 1.0],
        "seconds": 1.0,
        "quick": False,
        "rows": rows,
    }


def grid_row(case: Case, training: float, forward: float = 2.0, share: float = 0.9, **more: Any) -> Row:
    found = {"training_ratio": training, "forward_ratio": forward}
    shares = {"training_of_ceiling": share, "forward_of_ceiling": share}
    return {"case": case.name, **asdict(case), "seconds": {}, **found, **shares, **more}


def grid_rows(training: float = 5.0, cases: Iterable[Case] = GRID) -> list[Row]:
    return [grid_row(case, training) for case in cases]


def growth_rows() -> list[Row]:
    return [
        {
            "over": over,
            "value": value,
            "cell": cell,
            "batch": 4,
            "hidden": 8,
            "steps": 16,
            "seconds": {"longhold": 1e-4 * value, "torch": 3e-4 * value},
        }
        for cell in ("RNN", "GRU", "LSTM")
        for over, values in {"steps": (1, 10, 100), "hidden": (8, 16), "batch": (1, 2), "threads": (1, 2)}.items()
        for value in values
    ]
