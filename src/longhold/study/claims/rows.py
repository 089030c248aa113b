"""What a claim reads of the study's rows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import final

from pydantic import JsonValue

from longhold.errors import InputError
from longhold.study.rows.row import COLUMNS, Row

Scalar = bool | int | float | str
"""A value by which rows are picked."""


@final
@dataclass(frozen=True)
class Run:
    """One row of the study: one seed of one arm on one task."""

    row: Row
    """The row itself."""
    level: int | None
    """The value of `vary` here."""
    spared: bool = False
    """It stands for a run at this level that was not made, since those at two lower levels in a row did not solve; then
    `row` is the later of the two."""

    @property
    def id(self) -> str:
        """The row's digest."""
        return self.row.digest

    @property
    def protocol(self) -> str:
        """trained, extrapolated, capacity, readable, plain or text."""
        return self.row.spec.protocol

    @cached_property
    def task(self) -> str:
        """The task's name and the fields that its runs share, such as `recall(distractors=8, symbols=8)`, without those
        that are left open."""
        shared = {name: value for name, value in self.fields.items() if name not in ("name", self.vary)}
        named = ", ".join(f"{name}={value}" for name, value in sorted(shared.items()) if value is not None)
        return f"{self.fields['name']}({named})" if named else str(self.fields["name"])

    @property
    def fields(self) -> Mapping[str, JsonValue]:
        """All fields of the task, its name too."""
        return self.row.spec.task

    @property
    def vary(self) -> str:
        """The field in which the runs of an arm differ."""
        return self.row.spec.vary or "lag"

    @cached_property
    def arm(self) -> str:
        """Cell and initialization."""
        return self.row.spec.arm

    @property
    def seed(self) -> int:
        """The unit."""
        return self.row.spec.seed

    @property
    def failed(self) -> bool:
        """It ended in an error, such as a loss that became non-finite."""
        return self.row.error is not None

    @property
    def solved(self) -> bool:
        """Whether it solved the task; a run that failed did not."""
        return self.row.solved and not self.failed

    @property
    def recall(self) -> float:
        """0 for guessing, 1 for perfect; 0 for a run that failed."""
        return 0.0 if self.failed or self.row.recall is None else self.row.recall

    def has(self, name: str, value: Scalar) -> bool:
        """Returns whether a field of the task, or else a column of the row, has this value."""
        if name in self.fields:
            return bool(self.fields[name] == value)
        return name in COLUMNS and bool(self.row.column(name) == value)

    @property
    def budget(self) -> tuple[str, float]:
        """What ended it at the latest, by name: `steps`, or the `training_seconds` that these follow from."""
        spec = self.row.spec
        return ("steps", spec.steps) if spec.training_seconds is None else ("training_seconds", spec.training_seconds)

    @property
    def solved_at(self) -> tuple[float, bool]:
        """Steps and whether the run solved then; a run that failed is censored at the end of its budget."""
        if self.solved and self.row.solved_step is not None:
            return float(self.row.solved_step), True
        return float(self.row.spec.steps if self.failed else self.row.steps_used), False

    @property
    def by_lag(self) -> list[tuple[int, float]]:
        """(lag, recall) of one model tested at several lags, rising; tests that probe no lag are passed over."""
        return sorted((test.lag, test.recall) for test in self.row.by_lag if test.lag is not None)


def runs(rows: Iterable[Row]) -> list[Run]:
    """Returns the rows that count: those of tuning and timing are passed over, they were used to choose.

    Raises:
        InputError: two rows are the same run.
    """
    found: dict[str, Run] = {}
    for row in rows:
        if row.spec.stage == "result":
            if row.digest in found:
                raise InputError(f"row {row.digest} occurs twice: expected every row once")
            found[row.digest] = Run(row, row.spec.level if row.spec.vary else row.lag)
    return list(found.values())
