"""A plan as a TOML file, which `longhold.study.plan.plan.load_plan` reads back."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from longhold.files import beginning, write_file
from longhold.study.plan.plan import Plan

KIND = beginning("a plan of longhold", b'name = "', b'\nquestion = "')
"""What the file is known by."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def write_plan(plan: Plan, path: Path) -> None:
    """Write a plan, every field but those that are None.

    Raises:
        InputError: the file cannot be written, or is there and is no plan that longhold wrote.
    """
    write_file(path, plan_toml(plan).encode(), KIND)


def plan_toml(plan: Plan) -> str:
    """The file's text: fields of the plan, then a table for each experiment and for the family."""
    values = plan.model_dump(mode="json", exclude_none=True)
    experiments, family = values.pop("experiments"), values.pop("family", None)
    lines = list(_fields(values))
    for experiment in experiments:
        lines += ["", "[[experiments]]", *_fields(experiment)]
    if family is not None:
        lines += ["", "[family]", *_fields(family)]
    return "\n".join(lines) + "\n"


def _fields(values: dict[str, Any]) -> Iterator[str]:
    return (f"{_key(name)} = {_value(value)}" for name, value in values.items())


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _value(name)


def _value(value: Any) -> str:
    """Text, numbers and truth values as in JSON, but that TOML has the one character DEL escaped too."""
    if isinstance(value, dict):
        return "{ " + ", ".join(_fields(value)) + " }" if value else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
