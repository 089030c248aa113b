"""Metrics on disk."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from longhold.errors import InputError
from longhold.training.metrics import JsonLines, TensorBoard, entry_of


def test_lines_after_the_position_are_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    first = JsonLines(path)
    first.write({"step": 1, "loss": 0.1})
    position = first.position()
    first.write({"step": 2, "loss": 0.2})
    first.close()
    assert position == len(path.read_bytes().splitlines(keepends=True)[0])
    second = JsonLines(path, position)
    second.write({"step": 2, "loss": 0.3, "held_out": None})
    assert second.position() == path.stat().st_size
    second.close()
    read = [json.loads(line) for line in path.read_text().splitlines()]
    assert read == [{"step": 1, "loss": 0.1}, {"step": 2, "loss": 0.3, "held_out": None}]


@pytest.mark.parametrize(
    "line",
    [b"", b"null", b"[1]", b"3", b"{}", b'{"loss": 1}', b'{"step": null}', b'{"step": "3"}', b'{"step": true}',
     b'{"step": 1, "loss": [2]}', b'{"step": 1, "loss": 1e999}', b'{"step": 1, "lo', b"\xff\x00", b"[" * 100_000],
)  # fmt: skip
def test_a_line_that_is_no_entry_tells_nothing(line: bytes) -> None:
    assert entry_of(line) is None


def test_a_line_that_is_an_entry_is_read() -> None:
    assert entry_of(b'{"step": 3, "loss": 0.5, "held_out": null}') == {"step": 3, "loss": 0.5}


def test_a_new_run_begins_with_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("left behind\n")
    JsonLines(path).close()
    assert path.read_bytes() == b""


def test_a_line_is_on_its_way_at_once(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "metrics.jsonl")
    lines.write({"step": 3})
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 3}\n'
    lines.close()


def test_a_shorter_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("{}\n")
    with pytest.raises(InputError, match="has 3 bytes where the checkpoint counts 4"):
        JsonLines(path, 4)
    assert path.read_text() == "{}\n"


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write"):
        JsonLines(tmp_path / "no" / "metrics.jsonl")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk() -> None:
    lines = JsonLines.__new__(JsonLines)
    lines.path = Path("/dev/full")
    lines._file = open("/dev/full", "ab", buffering=0)  # noqa: SIM115
    with pytest.raises(InputError, match="cannot write /dev/full: No space left on device"):
        lines.write({"step": 1})
    lines.close()


def test_tensorboard_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", None)
    with pytest.raises(InputError, match=r"pip install 'longhold\[tensorboard\]'"):
        TensorBoard(tmp_path)
