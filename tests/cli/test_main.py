"""The command itself: help, version, exit codes, and that nothing heavy is loaded before a command runs."""

import subprocess
import sys
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


HEAVY = ("torch", "numpy", "scipy", "pydantic", "starlette", "uvicorn", "safetensors", "tokenizers")
"""What takes long to load, or is not needed to explain a command."""


@pytest.mark.parametrize("arguments", [[], *([command] for command in COMMANDS)], ids=lambda words: "".join(words))
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from longhold.cli.main import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        f"print('loaded:', *sorted(set({HEAVY}) & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", code, *arguments, "--help"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "loaded:"


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    command = f"{sys.executable} -m longhold --help | head -n 1"
    done = subprocess.run(["bash", "-c", command], check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr == ""
