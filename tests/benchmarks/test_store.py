"""The JSON file of a machine."""

import json
from pathlib import Path

import pytest

from benchmarks import store


def test_a_section_replaces_itself_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "machine.json"
    store.put(path, "grid", {"date": "then", "rows": [{"a": 1}]})
    store.put(path, "memory", {"rows": []})
    store.put(path, "grid", {"date": "now", "rows": [{"a": 2}, {"b": [1.5, None, True]}]})
    sections = store.read(path)["sections"]
    assert sections == {"grid": {"date": "now", "rows": [{"a": 2}, {"b": [1.5, None, True]}]}, "memory": {"rows": []}}
    assert [file.name for file in path.parent.iterdir()] == ["machine.json"]


def test_a_row_stands_on_a_line_and_floats_are_short() -> None:
    rows = [{"x": 1 / 3, "inner": {"y": 2 / 3}}, {"x": 12345678.9}]
    text = store.text({"format": store.FORMAT, "sections": {"s": {"load": [0.123456789], "rows": rows}}})
    assert '   {"x": 0.333333, "inner": {"y": 0.666667}},' in text.splitlines()
    assert json.loads(text)["sections"]["s"] == {
        "load": [0.123457],
        "rows": [{"x": 0.333333, "inner": {"y": 0.666667}}, {"x": 12345700.0}],
    }


def test_a_missing_file_is_an_empty_document(tmp_path: Path) -> None:
    assert store.read(tmp_path / "none.json") == {"format": store.FORMAT, "sections": {}}


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text('{"rows": []}')
    with pytest.raises(store.OtherFormat, match="is not of format"):
        store.put(path, "grid", {})
    assert path.read_text() == '{"rows": []}'
