"""How long a person waits before anything happens: Python alone, `import longhold`, `longhold --help`."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial

from benchmarks.section import Bar, Section
from benchmarks.store import Row
from benchmarks.timing import QUICK, Budget, interleaved, medians

_PROGRAMS = {
    "python": [sys.executable, "-c", "pass"],
    "import longhold": [sys.executable, "-c", "import longhold"],
    "longhold --help": [sys.executable, "-m", "longhold", "--help"],
}


def rows(quick: bool) -> Iterator[Row]:
    """Whole processes in turn, medians."""
    calls = {name: partial(_run, command) for name, command in _PROGRAMS.items()}
    found = medians(interleaved(calls, QUICK if quick else Budget(rounds=15, seconds=0.0, sample_seconds=0.0)))
    yield from ({"program": name, "seconds": seconds} for name, seconds in found.items())


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


def line(row: Row) -> str:
    """The program and its milliseconds."""
    return f"{row['program']}: {1e3 * row['seconds']:.0f} ms"


def summary(rows: Sequence[Row]) -> list[str]:
    """Help within 0.3 s."""
    seconds = {row["program"]: row["seconds"] for row in rows}
    return [str(Bar("longhold --help", seconds.get("longhold --help"), 0.3, "{:.2f} s", at_most=True))]


SECTION = Section("From the command to the first line", rows, line, summary)
