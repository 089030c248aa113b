"""The command `longhold`."""

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from types import FrameType
from typing import Annotated, Any, final

import typer
from typer.core import TyperGroup

from longhold._version import __version__
from longhold.errors import InputError
from longhold.hangup import HANGUP, leave_terminal

COMMANDS = (
    "demo",
    "tutorial",
    "train",
    "write",
    "compare",
    "inspect",
    "compress",
    "decompress",
    "export",
    "info",
    "ui",
    "study",
)
"""Each is the function of its name in the module of its name; a group has `COMMANDS` instead."""


@final
class _Commands(Mapping[str, Any]):
    """The commands by name; the module of each is imported when the command is looked up."""

    def __getitem__(self, name: str) -> Any:
        if name not in COMMANDS:
            raise KeyError(name)
        module = import_module(f"longhold.cli.{name}")
        parts = getattr(module, "COMMANDS", {name: getattr(module, name, None)})
        command = typer.Typer(name=name, help=module.__doc__, rich_markup_mode=None, add_completion=False)
        for part, function in parts.items():
            command.command(part)(_with_exit_codes(function))
        made = typer.main.get_command(command)
        if isinstance(made, TyperGroup):
            made.no_args_is_help = True
        return made

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


@final
class _Group(TyperGroup):
    """`longhold`, which imports the module of a command only for that command and for the list of all."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands()  # type: ignore[assignment]  # nothing is ever added to it

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)


app = typer.Typer(
    name="longhold",
    cls=_Group,
    help="Train recurrent networks on text, write with them, and measure how far back they remember.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@final
class _Stopped(KeyboardInterrupt):
    """The process received SIGTERM, or its terminal was closed."""

    def __init__(self, number: int) -> None:
        super().__init__("stopped")
        self.exit_code = 128 + number


def _print_error(line: str) -> None:
    """Print one line on standard error, whatever names are in it; under `torchrun` only the first worker does."""
    if os.environ.get("RANK", "0") == "0":
        print("".join(map(_escaped, line)), file=sys.stderr)


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def _stop(number: int, frame: FrameType | None) -> None:
    if number == HANGUP:
        leave_terminal()
    raise _Stopped(number)


@contextmanager
def _signals_as_interrupts() -> Iterator[None]:
    """Within the block SIGTERM and SIGHUP raise as Ctrl-C does, unless a handler was set before."""
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, *([] if HANGUP is None else [HANGUP])):
            if signal.getsignal(number) == signal.SIG_DFL:
                before[number] = signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) == _stop:
                signal.signal(number, handler)


def _drop_output() -> None:
    """Discard what standard output could not take; Python would report it once more when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _with_exit_codes(command: Callable[..., None]) -> Callable[..., None]:
    """Returns the command with its exit codes: 2 and one line for an error of input, 128 + signal when stopped."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        try:
            with _signals_as_interrupts():
                command(*arguments, **options)
        except InputError as error:
            _print_error(f"error: {error}")
            raise typer.Exit(2) from None
        except KeyboardInterrupt as stop:
            _print_error(str(stop) or "stopped")
            raise typer.Exit(getattr(stop, "exit_code", 130)) from None
        except BrokenPipeError:
            _drop_output()
            raise typer.Exit(141) from None
        except OSError as error:
            _print_error(f"error: {_system_error(error)}")
            if error.filename is None:
                _drop_output()
            raise typer.Exit(2) from None
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            _print_error("error: it takes more memory than there is")
            raise typer.Exit(2) from None

    return run


def _system_error(error: OSError) -> str:
    """Returns the line for what the system refused; an OSError of neither a file nor a full disk is a bug."""
    if error.filename is not None:
        name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(error.filename)
        return f"cannot use {name[:200]}: {(error.strerror or str(error)).lower()}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"cannot write: {error.strerror}"
    raise error


def _is_out_of_memory(error: MemoryError | RuntimeError) -> bool:
    """Returns whether memory ran out, which torch reports as a RuntimeError with a text of its own for each device."""
    reason = str(error)
    return isinstance(error, MemoryError) or "can't allocate memory" in reason or "out of memory" in reason


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"longhold {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Train recurrent networks on text, write with them, and measure how far back they remember."""


def main() -> None:
    """Run the command that the arguments name."""
    app()
