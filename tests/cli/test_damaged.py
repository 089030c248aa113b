"""Every command, given a damaged, hostile or impossible file wherever it reads one: one line and exit code 2."""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Self, get_type_hints

import pytest
from tests.study.tiny import plan
from tests.web.small import text_model
from typer.testing import CliRunner

from longhold.cli.main import COMMANDS as ALL_COMMANDS
from longhold.cli.main import app
from longhold.errors import InputError
from longhold.study.execution.workers import Job, Pool
from longhold.study.plan.file import write_plan
from longhold.text import train
from longhold.training import Progress

DEEP = 20_000
TEXT = "The cat, which already ate a bunch of food, was full. " * 12

CONTENT: dict[str, bytes] = {
    "nothing": b"",
    "zeros": bytes(900),
    "noise": random.Random(0).randbytes(900),
    "broken UTF-8": b'{"a": "caf\xc3"}\n\xff\xfe\x80',
    "a byte order mark": b"\xef\xbb\xbf",
    "a marked document": b'\xef\xbb\xbf{"a": 1}',
    "null": b"null",
    "a list": b"[1, 2]\n",
    "a text": b'"text"\n',
    "an object": b'{"digest": 1, "name": [], "facts": null, "training": 3}\n',
    "a name twice": b'{"facts": {}, "facts": {}, "training": {}}\n',
    "brackets": b"[" * DEEP,
    "braces": b'{"a":' * DEEP,
    "closed brackets": b"[" * DEEP + b"]" * DEEP,
    "a long number": b"9" * DEEP,
    "a large number": b'{"facts": {"leg": 1e999}, "training": {"lr": 1e999}}\n',
    "no number": b'{"facts": NaN, "training": -Infinity}\n',
    "half an object": b'{"facts": {"a"',
    "half a character": b'{"name": "\\ud800", "plan": "\\ud800"}\n',
    "a table": b"name = 1\nlr = [[[[1]]]]\n",
    "a table twice": b"a = 1\na = 2\n",
    "a deep table": b"lr = " + b"[" * DEEP,
    "a dotted table": b".".join([b"a"] * 20_000) + b" = 1",
    "a table of numbers": b"steps = " + b"9" * DEEP + b"\n",
    "a table of large numbers": b"core_seconds = inf\nlr = nan\nsteps = 99999999999999999999999\n",
    "a control character": b'name = "\x00"\n',
    "a database": b"SQLite format 3\x00" + bytes(900),
    "a header": (10**17).to_bytes(8, "little") + b"{}",
    "an archive": b"LHTX\x01\x08" + b"\xff" * 80,
}


def missing(path: Path) -> None:
    pass


def folder(path: Path) -> None:
    path.mkdir()
    (path / "unlike.bin").write_bytes(CONTENT["noise"])


def dangling(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def circle(path: Path) -> None:
    path.symlink_to(path)


PLACES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "missing": ("{}", missing),
    "a folder": ("{}", folder),
    "a dangling link": ("{}", dangling),
    "a circle of links": ("{}", circle),
    "a long name": ("n" * 300 + "{}", missing),
    "a long path": ("d/" * 3000 + "{}", missing),
    "below a file": ("text.txt/{}", missing),
    "a missing folder": ("no/such/{}", missing),
    "a name of two lines": ("two\nlines\x1b[31m{}", missing),
    "a name that is no UTF-8": ("caf\udce9{}", missing),
}

HERE = ("FILE", "TEXT")
"""Where the damaged file stands in a command; for one that takes any text it is short, since it may well be one."""

COMMANDS: dict[str, list[str]] = {
    "train": [
        "TEXT --set steps=1 --hidden-size 4 -o m.safetensors",
        "text.txt --config FILE.toml -o m.safetensors",
        "text.txt --more 1s -o FILE.safetensors",
        "FILE.safetensors --more 1s",
        "text.txt --set steps=2 --hidden-size 4 -o here.safetensors  < here.run/plan.json",
        "text.txt --set steps=2 --hidden-size 4 -o here.safetensors  < here.run/checkpoint.safetensors",
        "text.txt --set steps=2 --hidden-size 4 -o here.safetensors  < here.run/metrics.jsonl",
    ],
    "write": ["FILE --length 3", "model.safetensors --length 3 --prime-file TEXT", "model.safetensors --score TEXT"],
    "compare": ["TEXT -o out --budget 1s"],
    "inspect": ["FILE", "model.safetensors TEXT --max-lag 2"],
    "compress": ["TEXT --model model.safetensors -o out.lhtx --force", "text.txt --model FILE -o out.lhtx"],
    "decompress": ["FILE --model model.safetensors -o out", "text.txt --model FILE -o out"],
    "export": ["FILE --yes -o out.html", "model.safetensors --text TEXT -o out.html"],
    "info": ["FILE", "FILE --json"],
    "ui": ["FILE --no-browser", "model.safetensors FILE --no-browser"],
    "tutorial": ["--text TEXT --epochs 1"],
    "demo": [],
    "study list": [],
    "study plan": ["FILE.toml", "FILE"],
    "study cost": ["FILE.toml --workers 1", "small.toml --workers 1 --store FILE"],
    "study run": ["FILE.toml --workers 1", "small.toml --workers 1 --store FILE --budget 1s"],
    "study status": ["FILE.toml", "--store FILE"],
    "study rows": ["--store FILE"],
    "study import": ["FILE", "rows.jsonl --store FILE"],
    "study report": ["FILE", "FILE.toml", "small.toml --store FILE"],
}
"""What each command reads. A part after `<` is where the file lies, for one that the command finds by itself."""

WRITTEN = {"output", "folder"}
"""Parameters that name what is written, which other tests are about."""


def commands() -> Iterator[tuple[str, Callable[..., None]]]:
    """All there are, by what a person types, and their functions."""
    for name in ALL_COMMANDS:
        module = import_module(f"longhold.cli.{name}")
        for part, function in getattr(module, "COMMANDS", {"": getattr(module, name, None)}).items():
            yield f"{name} {part}".rstrip(), function


def test_no_command_and_no_path_escapes() -> None:
    found, paths = dict(commands()), 0
    assert set(found) == set(COMMANDS)
    for name, function in found.items():
        for parameter, kind in get_type_hints(function).items():
            if "Path" not in str(kind) or parameter in WRITTEN:
                continue
            paths += 1
            flags = [part for line in COMMANDS[name] for part in line.split()]
            option = "default" if "Option" not in str(get_type_hints(function, include_extras=True)[parameter]) else ""
            assert option or f"--{parameter}" in flags, (name, parameter)
            assert COMMANDS[name], name
    assert paths > 12


class NoWorkers(Pool):
    """In the place of processes, which are not what is looked at."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        pass

    def submit(self, job: Job) -> int:
        raise InputError("no processes here")

    def collect(self, timeout: float | None = None) -> None:
        raise InputError("no processes here")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "rows.jsonl").write_text("")
    (tmp_path / "here.run").mkdir()
    text_model("gru", num_layers=1).save(tmp_path / "model.safetensors")
    write_plan(plan(), tmp_path / "small.toml")
    monkeypatch.setattr(import_module("longhold.export.recitation"), "SAMPLED", 5)
    monkeypatch.setattr("longhold.study.execution.executor.Workers", NoWorkers)
    return tmp_path


def filled(word: str, file: str) -> str:
    """A word of a command with the file in its place."""
    for name in HERE:
        word = word.replace(name, file)
    return word


def ran(line: str, file: str, prepare: Callable[[Path], None], here: Path) -> None:
    """Run a command with the file in its place; it ends well, or with one line and exit code 2."""
    line, _, place = line.partition(" < ")
    words = line.split()
    for word in words:
        if any(name in word for name in HERE):
            place = word
    at = Path(filled(place, file))
    if os.path.isdir(at.parent) and len(at.name.encode("utf-8", "surrogateescape")) < 256:
        prepare(at)
    given = [filled(word, file) for word in words]
    before = {path: path.read_bytes() for path in here.glob("*.t*") if path.is_file()}
    done = CliRunner().invoke(app, given)
    assert done.exception is None or isinstance(done.exception, SystemExit), f"{given}: {done.exception!r}"
    assert done.exit_code in (0, 1, 2), given
    lines = done.stderr.splitlines()
    if done.exit_code == 2 and not lines[0].startswith("Usage"):
        errors = [text for text in lines if text.startswith("error: ")]
        assert len(errors) == 1, done.stderr
        assert lines[-1] == errors[0] or "rows in" in lines[-1], done.stderr
    assert "Traceback" not in done.stderr
    assert all(path.read_bytes() == data for path, data in before.items())


CASES = [(name, line) for name, lines in COMMANDS.items() for line in lines]


@pytest.mark.parametrize(("name", "line"), CASES, ids=[f"{name} {line}" for name, line in CASES])
def test_damaged_files_are_refused_in_one_line(name: str, line: str, here: Path) -> None:
    for index, data in enumerate(CONTENT.values()):
        part = data[:900] if "TEXT" in line else data

        def prepare(path: Path, data: bytes = part) -> None:
            path.write_bytes(data)

        ran(f"{name} {line}", f"bad{index}", prepare, here)


@pytest.mark.skipif(sys.platform == "win32", reason="links and names are POSIX")
@pytest.mark.parametrize(("name", "line"), CASES, ids=[f"{name} {line}" for name, line in CASES])
def test_what_cannot_be_opened_is_refused_in_one_line(name: str, line: str, here: Path) -> None:
    for index, (pattern, prepare) in enumerate(PLACES.values()):
        if " < " in line and pattern != "{}":
            continue
        for left in here.glob("here.run/*"):
            left.unlink() if left.is_symlink() or left.is_file() else (left / "unlike.bin").unlink() or left.rmdir()
        ran(f"{name} {line}", pattern.format(f"bad{index}"), prepare, here)


@pytest.mark.parametrize("left", ["half an object", "noise", "brackets", "null"])
def test_what_was_written_after_the_checkpoint_does_not_block_it(left: str, here: Path) -> None:
    """As a process leaves it that is killed, or a disk that is full."""
    settings = {"steps": 6, "evaluate_every": 2, "log_every": 1}

    def stop(progress: Progress) -> None:
        if progress.step == 5:
            raise KeyError

    with pytest.raises(KeyError):
        train("text.txt", hidden_size=4, folder="m.run", training={**settings, "checkpoint_every": 4}, on_progress=stop)
    with open(here / "m.run" / "metrics.jsonl", "ab") as metrics:
        metrics.write(CONTENT[left])
    flags = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    done = CliRunner().invoke(app, ["train", "text.txt", "--hidden-size", "4", *flags, "-o", "m.safetensors"])
    assert done.exit_code == 0, done.stderr
    lines = [json.loads(line) for line in (here / "m.run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
