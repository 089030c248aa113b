"""Runs of text quality: both ways get the same characters, are scored alike and stored."""

import json
import math
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from benchmarks.texts import TEXTS, Text
from safetensors.torch import load_file
from typer.testing import CliRunner

import longhold
from benchmarks import machine, main, quality, store
from longhold.cli.main import app

PANGRAM = "the quick brown fox jumps over the lazy dog\n"
TEXT = Text("A made up text", PANGRAM * 9, PANGRAM, "a test part: jumps over the fox\n")


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(store, "RESULTS", tmp_path)
    monkeypatch.setattr(machine, "facts", lambda: {"processor": "Made Up"})
    monkeypatch.setitem(TEXTS, "timemachine", lambda: TEXT)
    return tmp_path


def run(arm: str, folder: Path) -> dict[str, Any]:
    words = ["quality", "--text", "timemachine", "--arm", arm, "--minutes", "0.01", "--seed", "3"]
    words += ["--keep", str(folder / "kept.safetensors")]
    assert main.main(words) == 0
    found: dict[str, Any] = json.loads((folder / f"quality-timemachine-{arm}-0.01m-seed-3.json").read_text())
    assert found["characters"] == {"learnt": 9 * len(PANGRAM), "held_out": len(PANGRAM), "test": 32}
    assert found["bits_per_character"].keys() == {"held_out", "test"}
    assert found["wall_seconds"] >= 0.3
    assert (found["quality"], found["arm"], found["seed"]) == ("timemachine", arm, 3)
    assert found["machine"] == {"processor": "Made Up"}
    return found


def test_a_run_of_torch_is_stored(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run("nn", results)
    assert found["steps"] >= 1
    assert load_file(results / "kept.safetensors")["decoder.weight"].shape == (29, 200)
    assert found["characters_seen"] == 700 * found["steps"]
    # 28 letters and line break of the text and the colon of its test part
    assert found["parameters"] == 29 * 200 * 2 + 29 + 2 * 4 * (2 * 200 * 200 + 2 * 200)
    assert len(found["validations"]) == len(found["learning_rates"]) >= 1
    assert 1 < found["bits_per_character"]["held_out"] < 20
    assert "A made up text, nn: held-out" in capsys.readouterr().out


def test_a_run_of_longhold_is_the_command(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scored: list[tuple[str, float]] = []
    plain = longhold.TextModel.score

    def noted(model: longhold.TextModel, text: str) -> Any:
        scored.append((text, plain(model, text).bits_per_character))
        return plain(model, text)

    def in_this_process(command: Sequence[str], *, check: bool) -> None:
        assert command[1:4] == ["-m", "longhold", "train"]
        assert Path(command[4]).read_text(encoding="utf-8") == TEXT.file
        # small, since it is the way that is tested here
        done = CliRunner().invoke(app, [*command[3:], "--hidden-size", "8"])
        assert done.exit_code == 0, done.output

    monkeypatch.setattr(longhold.TextModel, "score", noted)
    monkeypatch.setattr(subprocess, "run", in_this_process)
    found = run("longhold", results)
    assert scored == [(TEXT.held, found["bits_per_character"]["held_out"]), (TEXT.test, scored[1][1])]
    assert found["model"]["hidden_size"] == 8
    assert longhold.load(results / "kept.safetensors").facts.characters == len(TEXT.train)


def test_the_table_is_of_what_is_stored(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = {"title": "T", "wall_seconds": 60.4, "parameters": 1234, "characters": {"learnt": 100}}
    for arm, bits in (("nn", {"held_out": 2.0}), ("longhold", {"held_out": 1.5, "test": 1.25})):
        row = {**common, "quality": "zh", "arm": arm, "characters_seen": 250, "bits_per_character": bits}
        (results / f"quality-zh-{arm}-1m.json").write_text(json.dumps(row))
    assert main.main(["quality", "--table"]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| T | longhold | 60 | 1,234 | 2.5 | 1.500 | 1.250 |",
        "| T | nn | 60 | 1,234 | 2.5 | 2.000 |  |",
    ]


def test_the_documents_say_what_is_stored() -> None:
    runs = quality.stored(store.RESULTS)
    assert quality.table(runs) in (machine.ROOT / "docs" / "text-quality.md").read_text(encoding="utf-8")
    bits = {(run["quality"], run["arm"]): run["bits_per_character"] for run in runs}
    for page in ("docs/results.md", "docs/zh/results.md"):
        page_text = (machine.ROOT / page).read_text(encoding="utf-8").replace("（", " (").replace("）", ")")
        for text in ("timemachine", "tinyshakespeare", "zh", "ptb"):
            for part, ours in bits[text, "longhold"].items():
                assert f"{ours:.3f} ({bits[text, 'nn'][part]:.3f})" in page_text, (page, text, part)
    ours, theirs = (f"{bits['tinyshakespeare', arm]['held_out']:.3f}" for arm in ("longhold", "nn"))
    assert re.search(rf"\*\*{ours} bits.*recipe has {theirs} ", (machine.ROOT / "README.md").read_text("utf-8"))
    assert re.search(rf"每字符 {ours} 比特.*配方为 {theirs} ", (machine.ROOT / "README.zh-CN.md").read_text("utf-8"))


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf", "x"])
def test_a_time_that_is_none_is_refused(minutes: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["quality", "--minutes", minutes])
    assert ended.value.code == 2
    assert "--minutes" in capsys.readouterr().err


def test_a_text_that_is_not_there_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LONGHOLD_DATA", raising=False)
    assert main.main(["quality", "--text", "ptb"]) == 2
    assert capsys.readouterr().err == "error: LONGHOLD_DATA is not set, expected the folder of the texts\n"


def test_a_name_says_what_was_run() -> None:
    assert quality.name_of("zh", "nn", 10.0, 0) == "quality-zh-nn-10m"
    assert quality.name_of("zh", "nn", 0.5, 2) == "quality-zh-nn-0.5m-seed-2"
    assert math.isclose(quality._positive("0.2"), 0.2)
