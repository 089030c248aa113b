"""The command itself: help, version, exit codes, and that nothing heavy is loaded before a command runs."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from longhold import __version__
from longhold.cli.main import app

COMMANDS = ("demo", "tutorial", "train", "write", "compare", "inspect", "compress", "decompress", "study")


def test_help_names_every_command() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    for command in COMMANDS:
        assert f"\n  {command} " in result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_its_options(command: str) -> None:
    result = CliRunner().invoke(app, [command, "-h"])
    assert result.exit_code == 0
    described = [line for line in result.output.splitlines() if line.strip().startswith("--")]
    assert all(len(line.split()) > 2 for line in described)


def test_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"longhold {__version__}\n"


def test_help_takes_less_than_three_tenths_of_a_second() -> None:
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "longhold", "--help"], check=True, capture_output=True)
        taken.append(time.perf_counter() - began)
    assert min(taken) < 0.3


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    command = f"{sys.executable} -m longhold --help | head -n 1"
    done = subprocess.run(["bash", "-c", command], check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr == ""
