"""`longhold inspect` as a person uses it, and what it answers to bad input."""

from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from longhold.cli.main import app

TEXT = "The cat, which already ate a bunch of food, was full. The cats, which already ate it, were full.\n" * 30
SMALL = ["--hidden-size", "8", "--set", "steps=6", "--set", "batch_size=2", "--set", "sequence_length=8"]


def longhold(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "120"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    (path / "cats.txt").write_text(TEXT, encoding="utf-8")
    for cell in ("rnn", "lstm"):
        trained = longhold("train", path / "cats.txt", "--cell", cell, "-o", path / f"{cell}.safetensors", *SMALL)
        assert trained.exit_code == 0, trained.output
    return path


def refused(result: Result, *words: str) -> None:
    """One line on standard error, exit code 2, no traceback."""
    assert result.exit_code == 2, result.output
    complaint = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(complaint) == 1, result.stderr
    assert "Traceback" not in result.output
    for word in words:
        assert word in complaint[0]


def test_an_lstm_shows_time_constants_gradients_and_context(folder: Path) -> None:
    result = longhold("inspect", folder / "lstm.safetensors", folder / "cats.txt", "--max-lag", "16")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    for heading in ("Time constants of the units", "Gates", "Gradient of the loss by lag", "Context use, 512 targets"):
        assert any(line.startswith(heading) for line in lines), heading
    assert "As memory: " in result.stdout
    assert [line.split()[0] for line in lines if "e-0" in line and "(" in line and "to" in line][:2] == ["0", "1"]
    rows = [line.split() for line in lines]
    assert {"1", "2", "4", "8", "16", "all"} <= {row[0] for row in rows if len(row) in (2, 3)}
    assert {row[0] for row in rows if len(row) == 4} >= {"i", "f", "g", "o"}
    assert "bits per token" in lines[-1]
    assert result.stderr == ""


def test_without_a_text_the_weights_alone_are_shown(folder: Path) -> None:
    result = longhold("inspect", folder / "lstm.safetensors")
    assert result.exit_code == 0, result.output
    assert "by bias alone" in result.stdout
    assert "Gradient" not in result.stdout
    assert "give a text" in result.stderr


def test_an_rnn_says_that_it_has_no_gates_and_shows_the_rest(folder: Path) -> None:
    result = longhold("inspect", folder / "rnn.safetensors", folder / "cats.txt", "--max-lag", "4")
    assert result.exit_code == 0, result.output
    assert "An RNN has no gates" in result.stdout
    assert "Gradient of the loss by lag" in result.stdout
    assert "no gates" in longhold("inspect", folder / "rnn.safetensors").stdout


def test_a_short_text_shortens_the_lags_and_says_so(folder: Path) -> None:
    (folder / "short.txt").write_text(TEXT[:300], encoding="utf-8")
    result = longhold("inspect", folder / "lstm.safetensors", folder / "short.txt")
    assert result.exit_code == 0, result.output
    assert "too short for lag 128; shown up to 32" in result.stderr


def test_bad_input_is_a_line(folder: Path) -> None:
    (folder / "tiny.txt").write_text(TEXT[:200], encoding="utf-8")
    refused(longhold("inspect", folder / "lstm.safetensors", folder / "tiny.txt"), "tiny.txt has 200 tokens", "256")
    refused(longhold("inspect", folder / "missing.safetensors"), "missing.safetensors")
    refused(longhold("inspect", folder / "cats.txt"), "cats.txt")
    refused(longhold("inspect", folder / "lstm.safetensors", folder / "nothing.txt"), "nothing.txt")
    assert longhold("inspect", folder / "lstm.safetensors", folder / "cats.txt", "--max-lag", "0").exit_code == 2
