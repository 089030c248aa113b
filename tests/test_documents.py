"""JSON and TOML from files: values, or one line; whatever the file holds."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longhold import documents
from longhold.documents import (
    DEEPEST,
    deeper_than,
    parse_json,
    parse_toml_value,
    read_json_lines,
    read_text,
    read_toml,
    require_characters,
)
from longhold.errors import InputError
from tests.helpers import as_nobody

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abé", max_size=3), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


@given(value=VALUES)
def test_what_the_standard_library_writes_is_read(value: Any) -> None:
    for ascii_only in (True, False):
        text = json.dumps(value, ensure_ascii=ascii_only)
        assert parse_json(text, "no") == parse_json(text.encode(), "no") == value


@given(data=st.binary(max_size=60))
def test_any_bytes_are_a_value_or_the_complaint(data: bytes) -> None:
    with contextlib.suppress(InputError):
        parse_json(data, "no such thing")


def nested(levels: int, text: str = "[]") -> str:
    return text[0] * levels + text[1] * levels


REFUSED = {
    "half": ('{"a": [1, 2', "not JSON"),
    "twice": ('{"a": 1, "b": 2, "a": 3}', "the name 'a' stands twice"),
    "infinite": ("[1e999]", "the number 1e999 is too large"),
    "no number": ("[NaN]", "NaN is no number"),
    "negative infinity": ("-Infinity", "-Infinity is no number"),
    "a long number": ("9" * 21, "is too large"),
    "a very long number": ("-" + "9" * 100_000, "is too large"),
    "deep": (nested(DEEPEST + 1).replace("[]", "[1]"), f"more than {DEEPEST} levels"),
    "very deep": (nested(100_000), "levels|brackets without an end"),
    "deep objects": ('{"a":' * 100_000, "brackets without an end"),
    "half a character": ('["\\uD83D"]', "half of a character"),
    "a control character": ('["\x00"]', "Invalid control character"),
}


@pytest.mark.parametrize(("text", "told"), REFUSED.values(), ids=REFUSED)
def test_json_that_is_refused(text: str, told: str, path: Path) -> None:
    path.write_text(f"1\n\n{text}\n", encoding="utf-8")
    with pytest.raises(InputError, match=f"file, line 3: .*(?:{told})") as caught:
        list(read_json_lines(path))
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    if "half of" not in told:
        with pytest.raises(InputError, match=r"^no$"):
            parse_json(text, "no")


def test_half_a_character_is_json_but_no_text(path: Path) -> None:
    value = parse_json('["\\ud800"]', "no")
    assert value == ["\ud800"]
    with pytest.raises(ValueError, match="half of a character"):
        require_characters(value)
    require_characters({"😀": ["\x00"]})


def test_what_is_just_within_the_limits_is_read() -> None:
    assert deeper_than(parse_json(f"[{'[' * (DEEPEST - 1)}1{']' * (DEEPEST - 1)}]", "no"), DEEPEST - 1)
    assert parse_json(f"[-{2**63}, {2**64 - 1}]", "no") == [-(2**63), 2**64 - 1]
    assert parse_json("9" * 1000, "no", digits=1000) == 10**1000 - 1
    assert parse_json('["\\ud83d\\ude00", "\\\\ud800"]', "no") == ["😀", "\\ud800"]


def test_lines_are_what_a_line_feed_ends(path: Path) -> None:
    path.write_bytes(b'\xef\xbb\xbf1\r\n\n"a\xe2\x80\xa8\xc2\x85b"\n[]')
    assert list(read_json_lines(path)) == [(1, 1), (3, "a\u2028\x85b"), (4, [])]
    path.write_bytes(b"1\n\xff\n")
    with pytest.raises(InputError, match="line 2: expected text in UTF-8"):
        list(read_json_lines(path))


def test_a_byte_order_mark_is_no_part_of_a_text(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf{}")
    assert list(read_json_lines(path)) == [(1, {})]
    assert read_text(path, 9) == "{}"
    path.write_bytes(b"\xef\xbb\xbflr = 1\n")
    assert read_toml(path) == {"lr": 1}


@pytest.mark.parametrize("read", [read_toml, lambda path: list(read_json_lines(path))])
def test_what_is_too_long_or_cannot_be_opened_is_named(
    read: Any, tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "LONGEST", 50)
    monkeypatch.setattr(documents, "LONGEST_TOML", 50)
    path.write_bytes(b" " * 51)
    for place, told in (
        (path, "more than 50 bytes"),
        (tmp_path, "Is a directory|Permission denied"),
        (tmp_path / "none", "No such file"),
        (tmp_path / ("n" * 300), "name too long"),
        (path / "below", "Not a directory|No such file"),
    ):
        with pytest.raises(InputError, match=told) as caught:
            read(place)
        assert str(place) in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="cannot read"):
        read("a\0b")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev/zero")
def test_a_file_without_an_end_is_not_read_to_it() -> None:
    with pytest.raises(InputError, match="more than 1,000 bytes"):
        read_text("/dev/zero", 1000)


def test_a_file_that_may_not_be_read(path: Path) -> None:
    path.write_text("{}")
    path.chmod(0)
    with as_nobody(), pytest.raises(InputError, match="Permission denied"):
        read_toml(path)


TOML = {
    "deep": "a = " + "[" * 100_000,
    "deep values": "a = " + nested(DEEPEST + 2),
    "dots": ".".join(["a"] * 20_000) + " = 1",
    "quoted dots": " . ".join(['"a b"', "'c'"] * 20_000) + " = 1",
    "a table of dots": f"[{'.'.join(['a'] * 20_000)}]",
    "dots inside": "x = {" + ".".join(["a"] * 20_000) + " = 1}",
    "a long number": "a = " + "9" * 100_000,
    "a large number": "a = [" + "9" * 21 + "]",
    "infinite": "a = { b = inf }",
    "no number": "a = nan",
    "twice": "a = 1\na = 2",
    "no TOML": "{",
}


@pytest.mark.parametrize("text", TOML.values(), ids=TOML)
def test_toml_that_is_refused(text: str, path: Path) -> None:
    path.write_text(text)
    with pytest.raises(InputError, match="expected a TOML file") as caught:
        read_toml(path)
    assert "\n" not in str(caught.value)
    assert "sys." not in str(caught.value)


def test_toml_that_is_usual_is_read(path: Path) -> None:
    path.write_text("a.b.c = 1\nx = [0.1, 1.5e3, -2]\n[t.u]\nwhy = 'one. two. three. ' # 1.2.3.4\n")
    assert read_toml(path) == {"a": {"b": {"c": 1}}, "x": [0.1, 1500.0, -2], "t": {"u": {"why": "one. two. three. "}}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("0.5", 0.5),
        ("[1, 2]", [1, 2]),
        ("true", True),
        ("adamw", "adamw"),
        ("", ""),
        ("1\nb = 2", "1\nb = 2"),
    ],
)
def test_a_value_on_the_command_line(text: str, value: object) -> None:
    assert parse_toml_value(text) == value


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 100_000, "1e999", "nan", "{" + "a." * 20_000 + "b = 1}"])
def test_a_value_that_is_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_toml_value(text)
    assert "\n" not in str(caught.value)
