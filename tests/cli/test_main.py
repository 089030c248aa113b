"""The command itself: help, version, exit codes, and that nothing heavy is loaded before a command runs."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from longhold import __version__
from longhold.cli.main import _with_exit_codes, app
from longhold.errors import InputError

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


HEAVY = ("torch", "numpy", "scipy", "starlette", "uvicorn", "safetensors", "tokenizers")
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


def ended(command: Callable[[], object]) -> int:
    """The exit code of a command that does not end well."""
    with pytest.raises(typer.Exit) as caught:
        _with_exit_codes(lambda: command() and None)()
    return caught.value.exit_code


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_what_is_open(number: int, capfd: pytest.CaptureFixture[str]) -> None:
    default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    before, closed = signal.signal(number, default), []

    def command() -> None:
        try:
            os.kill(os.getpid(), number)
        finally:
            closed.append(number)

    try:
        assert ended(command) == 128 + number
        assert closed == [number]
        assert capfd.readouterr().err == "stopped\n"
    finally:
        signal.signal(number, before)


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        _with_exit_codes(lambda: os.kill(os.getpid(), signal.SIGHUP))()
    finally:
        signal.signal(signal.SIGHUP, before)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_what_the_system_refuses_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert ended(lambda: (tmp_path / ("n" * 300)).stat()) == 2
    assert ended(lambda: (tmp_path / "two\nlines\x1b[31m").read_bytes()) == 2
    assert ended(lambda: raised(InputError("first\nsecond\u2028third"))) == 2
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("error: ") and line.isprintable() for line in lines)
    assert "file name too long" in lines[0]
    assert lines[1].endswith("two\\nlines\\x1b[31m: no such file or directory")
    assert lines[2] == "error: first\\nsecond\\u2028third"


def raised(error: Exception) -> None:
    raise error


def test_memory_that_runs_out_is_one_line_and_a_bug_keeps_its_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    assert ended(lambda: torch.empty(2**60, dtype=torch.uint8)) == 2
    assert ended(lambda: bytearray(2**62)) == 2
    assert capfd.readouterr().err == "error: it takes more memory than there is\n" * 2
    for bug in (RuntimeError("shapes"), OSError("no file"), KeyError("x"), RecursionError("deep")):
        with pytest.raises(type(bug)):
            _with_exit_codes(lambda bug=bug: raised(bug))()
