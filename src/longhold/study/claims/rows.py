"""What a claim reads of the study's rows, checked."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, final

from longhold.documents import parse_json
from longhold.errors import InputError

Scalar = bool | int | float | str
"""A value by which rows are picked."""

_NEEDED = ("protocol", "task", "arm", "hidden_size", "parameters", "lr", "steps", "steps_used", "solved", "seed")
_IDENTITY = ("plan", "protocol", "task", "arm", "hidden_size", "lr", "steps", "lag", "level", "seed")


@final
@dataclass(frozen=True)
class Run:
    """One row of the study: one seed of one arm on one task."""

    id: str
    """The row's digest; where it has none, one made of what tells it from others."""
    columns: Mapping[str, Any]
    """The row itself."""
    protocol: str
    """trained, extrapolated, capacity, readable or plain."""
    task: str
    """The task's name and the fields that its runs share, such as `recall(distractors=8, symbols=8)`; a field that is
    left open, None, is not told."""
    fields: Mapping[str, Any]
    """All fields of the task, its name too."""
    vary: str
    """The field in which the runs of an arm differ."""
    level: int | None
    """That field's value here."""
    arm: str
    """Cell and initialisation."""
    seed: int
    """The unit."""
    solved: bool
    """Whether it solved the task; a run that failed did not."""
    recall: float
    """0 for guessing, 1 for perfect; 0 for a run that failed."""
    failed: bool
    """It ended in an error, such as a loss that became non-finite."""
    spared: bool = False
    """It stands for a run at this level that was not made, since those at two lower levels in a row did not solve; then
    the other columns are those of the later of the two."""

    def has(self, name: str, value: Scalar) -> bool:
        """Whether a field of the task, or else a column of the row, has this value."""
        known = self.fields if name in self.fields else self.columns
        return name in known and bool(known[name] == value)

    @property
    def budget(self) -> tuple[str, float]:
        """What ended it at the latest, by name: `steps`, or the `training_seconds` that these follow from."""
        seconds = (self.columns.get("spec") or {}).get("training_seconds")
        return ("steps", self.columns["steps"]) if seconds is None else ("training_seconds", float(seconds))

    @property
    def solved_at(self) -> tuple[float, bool]:
        """Steps and whether the run solved then; a run that failed is censored at the end of its budget."""
        step = self.columns.get("solved_step")
        if self.solved and step is not None:
            return float(step), True
        return float(self.columns["steps" if self.failed else "steps_used"]), False

    @property
    def by_lag(self) -> list[tuple[int, float]]:
        """(lag, recall) of one model tested at several lags, rising; tests that probe no lag are passed over."""
        tests = [test for test in self.columns.get("by_lag") or () if test["lag"] is not None]
        return sorted((int(test["lag"]), float(test["recall"])) for test in tests)


def runs(rows: Iterable[Mapping[str, Any]]) -> list[Run]:
    """Rows that count: those of tuning and timing are passed over, they were used to choose.

    Raises:
        InputError: a row lacks something, or two rows have the same id.
    """
    found: dict[str, Run] = {}
    for row in rows:
        if row.get("stage") not in (None, "result"):
            continue
        run = _run(row)
        if run.id in found:
            raise InputError(f"row {run.id} occurs twice: expected every row once")
        found[run.id] = run
    return list(found.values())


def _run(row: Mapping[str, Any]) -> Run:
    missing = [name for name in _NEEDED if name not in row]
    if missing:
        raise InputError(f"a row without {missing[0]!r}: expected the columns {', '.join(_NEEDED)}")
    fields = parse_json(row["task"], "a row's task is not JSON") if isinstance(row["task"], str) else dict(row["task"])
    vary = str(row.get("vary") or "lag")
    level = row.get("level") if row.get("vary") else row.get("lag")
    failed = row.get("error") is not None
    recall = row.get("recall")
    return Run(
        id=str(row.get("digest") or _identity(row)),
        columns=row,
        protocol=row["protocol"],
        task=_named({name: value for name, value in fields.items() if name != vary}),
        fields=fields,
        vary=vary,
        level=None if level is None else int(level),
        arm=row["arm"],
        seed=int(row["seed"]),
        solved=bool(row["solved"]) and not failed,
        recall=0.0 if failed or recall is None else float(recall),
        failed=failed,
    )


def _named(fields: Mapping[str, Any]) -> str:
    told = ", ".join(
        f"{name}={value}" for name, value in sorted(fields.items()) if name != "name" and value is not None
    )
    return f"{fields['name']}({told})" if told else str(fields["name"])


def _identity(row: Mapping[str, Any]) -> str:
    told = json.dumps({name: row.get(name) for name in _IDENTITY}, sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()[:32]
