"""`longhold ui` before it serves: what it takes, and what it answers to bad input."""

import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from tests.web.small import text_model
from typer.testing import CliRunner

from longhold.cli.main import app


def ui(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["ui", *map(str, arguments)], env={"COLUMNS": "120"})


def refused(result: Result, *words: str) -> None:
    """One line on standard error, exit code 2, no traceback."""
    assert result.exit_code == 2, result.output
    complaint = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(complaint) == 1, result.stderr
    for word in words:
        assert word in complaint[0]


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    text_model().save(tmp_path / "small.safetensors")
    return tmp_path / "small.safetensors"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    refused(ui(tmp_path / "none.safetensors", "--no-browser"), "none.safetensors")


def test_an_address_beyond_this_machine(model_file: Path) -> None:
    refused(ui(model_file, "--host", "192.0.2.7", "--no-browser"), "192.0.2.7", "--expose")


def test_without_the_extra_one_line_says_how_to_get_it(model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("longhold.web.serve")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    refused(ui(model_file), 'the page needs uvicorn: pip install "longhold[web]"')


def test_without_a_model_it_opens_to_train_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    served: list[Any] = []
    monkeypatch.setattr("longhold.web.serve.serve", lambda *arguments: served.append(arguments))
    assert ui("--folder", tmp_path).exit_code == 0
    ((models, config, _),) = served
    assert models == []
    assert (config.folder, config.device) == (tmp_path, "cpu")


def test_a_folder_that_cannot_be_used(tmp_path: Path, model_file: Path) -> None:
    refused(ui(model_file, "--folder", model_file, "--no-browser"), f"cannot keep models in {model_file}")
    refused(ui(model_file, "--folder", model_file / "x", "--no-browser"), "cannot keep models in")
