"""What a section is, and how it reports whether a bar is reached."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import final

from benchmarks.store import Row


@final
@dataclass(frozen=True)
class Section:
    """One question about speed or memory."""

    title: str
    """What is measured, for the heading."""
    rows: Callable[[bool], Iterator[Row]]
    """Measures; True: in a form small enough for a test."""
    line: Callable[[Row], str]
    """A row as it is printed when it comes."""
    summary: Callable[[Sequence[Row]], list[str]] = field(default=lambda rows: [])
    """Lines at the end, from the rows alone."""


@final
@dataclass(frozen=True)
class Bar:
    """A figure beside the target that issue 3 sets."""

    name: str
    """What the figure is."""
    value: float | None
    """The figure; None where it was not measured."""
    target: float
    """The target."""
    form: str = "{:.2f}x"
    """How both are printed."""
    at_most: bool = False
    """Whether less is better."""

    @property
    def reached(self) -> bool | None:
        """Whether the figure reaches its target; None without a figure."""
        if self.value is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target

    def __str__(self) -> str:
        target = f"target {'<=' if self.at_most else '>='} {self.form.format(self.target)}"
        if self.value is None:
            return f"not there     {self.name}: {target}"
        verdict = "reached" if self.reached else "NOT REACHED"
        return f"{verdict:13} {self.name}: {self.form.format(self.value)}, {target}"


def sizes(row: Row) -> str:
    """Cell and sizes of a row in few letters."""
    return f"{row['cell']} B{row['batch']} H{row['hidden']} T{row['steps']}"


def direction(row: Row) -> str:
    """What is timed."""
    return "training" if row["training"] else "forward"
