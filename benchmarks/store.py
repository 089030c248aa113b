"""The JSON file of one machine: a section at a time goes in, and none disturbs another."""

import json
import os
from pathlib import Path
from typing import Any

Row = dict[str, Any]
Document = dict[str, Any]

FORMAT = 2
RESULTS = Path(__file__).resolve().parent / "results"


class OtherFormat(ValueError):
    """The file was written by another version of the benchmark; the text says what to do."""


def read(path: Path) -> Document:
    """The document at `path`, or an empty one."""
    if not path.exists():
        return {"format": FORMAT, "sections": {}}
    document = json.loads(path.read_text())
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise OtherFormat(f"{path} is not of format {FORMAT}: move it away to measure anew")
    return document


def put(path: Path, section: str, found: Document) -> None:
    """Replace one section of the document at `path`; a program that is killed leaves the old or the new file."""
    document = read(path)
    document["sections"][section] = found
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".writing")
    beside.write_text(text(document))
    os.replace(beside, path)


def text(document: Document) -> str:
    """JSON with a row on a line, so that a diff shows which rows changed."""
    sections = ",\n".join(
        f" {json.dumps(name)}: {{\n{_fields(section)}\n }}" for name, section in sorted(document["sections"].items())
    )
    return f'{{\n"format": {document["format"]},\n"sections": {{\n{sections}\n}}\n}}\n'


def _fields(section: Document) -> str:
    return ",\n".join(f"  {json.dumps(name)}: {_value(value)}" for name, value in section.items())


def _value(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        rows = ",\n".join(f"   {json.dumps(_rounded(row))}" for row in value)
        return f"[\n{rows}\n  ]"
    return json.dumps(_rounded(value))


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {name: _rounded(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    return value
