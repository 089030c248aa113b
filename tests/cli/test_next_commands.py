"""Commands that are printed as the next one: each is read by a shell and run as it stands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from longhold.cli.main import app
from longhold.cli.study import run_command
from longhold.cli.train import continue_command

TEXT = "".join(f"On day {day} the traveller found sand, {day % 7} stones and a machine.\n" for day in range(60))
SMALL = ("--hidden-size", "8", "--set", "steps=6", "--set", "batch_size=2", "--set", "sequence_length=8")
QUICK = ("--set", "batch_size=2", "--set", "sequence_length=8")
NAMES = ["-x.safetensors", "--help", "a b.safetensors", "it's $HOME.safetensors", "*.bin", "日记.safetensors"]


def longhold(command: str, *more: str) -> Result:
    program, *words = shlex.split(command)
    assert program == "longhold"
    return CliRunner().invoke(app, [*words, *more])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_what_train_prints_can_be_run(here: Path, name: str) -> None:
    Path(f"{name}.txt").write_text(TEXT, encoding="utf-8")
    trained = CliRunner().invoke(app, ["train", f"./{name}.txt", *SMALL, "-o", f"./{name}"])
    assert trained.exit_code == 0, trained.stderr
    (command,) = re.findall(r"write with it: (longhold write .*)", trained.stderr)
    written = longhold(command, "--length", "3")
    assert written.exit_code == 0, written.stderr
    repeated = {"encoding": "utf-8", "held_out": 0.1, "device": "cpu"}
    more = longhold(continue_command(f"{name}.txt", Path(name), repeated).replace("10m", "1s"), *QUICK)
    assert more.exit_code == 0, more.stderr
    assert "continues with the LSTM" in more.stderr


@pytest.mark.parametrize(
    ("source", "output", "repeated", "expected"),
    [
        ("diary.txt", "diary.safetensors", {}, "longhold train diary.txt --more 10m"),
        ("diary.txt", "out/diary.safetensors", {}, "longhold train diary.txt --more 10m -o out/diary.safetensors"),
        ("a b.txt", "a-b.safetensors", {}, "longhold train 'a b.txt' --more 10m"),
        ("m.safetensors", "m.safetensors", {}, "longhold train m.safetensors --more 10m"),
        ("-", "m.safetensors", {}, "longhold train - --more 10m -o m.safetensors"),
        (
            "diary.txt",
            "diary.safetensors",
            {"encoding": "cp1252", "held_out": 0.2, "device": "cuda"},
            "longhold train diary.txt --more 10m --encoding cp1252 --held-out 0.2 --device cuda",
        ),
    ],
)
def test_continuing_takes_what_it_needs(source: str, output: str, repeated: dict[str, object], expected: str) -> None:
    assert continue_command(source, Path(output), repeated) == expected


@pytest.mark.parametrize("store", ["s.sqlite", "-s.sqlite", "a b.sqlite", "--help"])
def test_the_rest_of_a_study_can_be_run(here: Path, store: str) -> None:
    words = shlex.split(run_command("-p.toml", Path(store), 3, 5000.5, "ray"))
    assert words[:5] == ["longhold", "study", "run", "./-p.toml", "--store"]
    assert Path(words[5]) == Path(store)
    assert not words[5].startswith("-")
    assert words[6:] == ["--workers", "3", "--core-seconds", "5000.5", "--executor", "ray"]
    refused = longhold(run_command("-p.toml", Path(store), None, None, "local"))
    assert refused.exit_code == 2
    assert "-p.toml: cannot read" in refused.stderr
