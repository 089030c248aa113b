"""Rows from columns that tests change at will: nothing is checked, so that columns may contradict each other."""

from collections.abc import Mapping
from typing import Any

from longhold.study.rows.results import GradientAt, LagScore, PairAccuracy, TextReading, TimeQuantiles, Writing
from longhold.study.rows.row import REPEATED, Row
from longhold.study.rows.spec import Arm, TrialSpec
from tests.study.tiny import row, spec

SPEC = {**dict(spec()), "vary": None, "level": None}
ROW = dict(row(spec()))


def row_of(values: Mapping[str, Any] | Row) -> Row:
    """A row with these columns; what is not given is as in `tests.study.tiny`."""
    if isinstance(values, Row):
        return values
    said = {name: values[name] for name in (*REPEATED, "hidden_size") if name in values and name in SPEC}
    made = TrialSpec.model_construct(**{**SPEC, **_tupled(values.get("spec", {})), **_tupled(said)})
    if values.get("arm", made.arm) != made.arm:
        made = made.model_copy(update=_labelled(values["arm"], made.truncation))
    own = {name: _typed(name, value) for name, value in _tupled(values).items() if name in ROW and name != "spec"}
    return Row.model_construct(**{**ROW, **own, "spec": made})


def _labelled(arm: str, truncation: int | None) -> dict[str, str]:
    """The cell and the initialization of a label."""
    cell, _, init = arm.removesuffix(f", truncated at {truncation}").partition(" ")
    found = {"cell": cell, "init": "chrono" if init == "chrono (told the lag)" else init}
    assert Arm(**found, truncation=truncation).label == arm
    return found


def _tupled(values: Mapping[str, Any]) -> dict[str, Any]:
    """Tuples in place of lists, which JSON has."""
    return {name: _tuple(value) for name, value in values.items()}


def _tuple(value: Any) -> Any:
    return tuple(map(_tuple, value)) if isinstance(value, list | tuple) else value


def _typed(name: str, value: Any) -> Any:
    if name in ("by_lag", "control"):
        return tuple(LagScore.model_construct(**{"lag": None, "solved": False, **test}) for test in value)
    if name == "gradient_by_lag":
        return tuple(GradientAt.model_construct(**point) for point in value)
    if name == "text" and value is not None:
        pairs = tuple(PairAccuracy.model_construct(**pair) for pair in value["pairs"])
        return TextReading.model_construct(**{**_tupled(value), "pairs": pairs})
    kinds = {"time_constants": TimeQuantiles, "writing": Writing}
    return value if value is None or name not in kinds else kinds[name].model_construct(**_tupled(value))
