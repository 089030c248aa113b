"""The command `longhold`."""

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import FrameType
from typing import Annotated, Any, final

import typer

from longhold._version import __version__
from longhold.cli import (
    compare,
    compress,
    decompress,
    demo,
    export,
    info,
    inspect,
    study,
    train,
    tutorial,
    ui,
    write,
)
from longhold.errors import InputError
from longhold.hangup import HANGUP, leave_terminal

app = typer.Typer(
    name="longhold",
    help="Train recurrent networks on text, write with them, and measure how far back they remember.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@final
class _Stopped(KeyboardInterrupt):
    """The process was asked to end, or its terminal was closed."""

    def __init__(self, number: int) -> None:
        super().__init__("stopped")
        self.exit_code = 128 + number


def _say(line: str) -> None:
    """One line on standard error, whatever names stand in it; under `torchrun` the first worker speaks for all."""
    if os.environ.get("RANK", "0") == "0":
        print("".join(map(_shown, line)), file=sys.stderr)


def _shown(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def _stop(number: int, frame: FrameType | None) -> None:
    if number == HANGUP:
        leave_terminal()
    raise _Stopped(number)


@contextmanager
def _stopped_in_order() -> Iterator[None]:
    """SIGTERM and SIGHUP end what is open, as Ctrl-C does, where nobody has decided otherwise."""
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
    """Standard output cannot take what is left in it; Python would complain once more while it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _answered(command: Callable[..., None]) -> Callable[..., None]:
    """The command with its exit codes: 2 and one line for what cannot be used, 128 + signal when stopped."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        try:
            with _stopped_in_order():
                command(*arguments, **options)
        except InputError as error:
            _say(f"error: {error}")
            raise typer.Exit(2) from None
        except KeyboardInterrupt as stop:
            _say(str(stop) or "stopped")
            raise typer.Exit(getattr(stop, "exit_code", 130)) from None
        except BrokenPipeError:
            _drop_output()
            raise typer.Exit(141) from None
        except OSError as error:
            _say(f"error: {_of_the_system(error)}")
            if error.filename is None:
                _drop_output()
            raise typer.Exit(2) from None
        except (MemoryError, RuntimeError) as error:
            if not _is_of_memory(error):
                raise
            _say("error: it takes more memory than there is")
            raise typer.Exit(2) from None

    return run


def _of_the_system(error: OSError) -> str:
    """What the system refuses, in a line; an OSError that is neither of a file nor of a full disk is a bug."""
    if error.filename is not None:
        name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(error.filename)
        return f"cannot use {name[:200]}: {(error.strerror or str(error)).lower()}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"cannot write: {error.strerror}"
    raise error


def _is_of_memory(error: MemoryError | RuntimeError) -> bool:
    """Whether memory ran out; torch says so in a RuntimeError, of each device in other words."""
    reason = str(error)
    return isinstance(error, MemoryError) or "can't allocate memory" in reason or "out of memory" in reason


for _command in (
    demo.demo,
    tutorial.tutorial,
    train.train,
    write.write,
    compare.compare,
    inspect.inspect,
    compress.compress,
    decompress.decompress,
    export.export,
    info.info,
    ui.ui,
):
    app.command(_command.__name__)(_answered(_command))

_study = typer.Typer(name="study", help="The memory study: plans, their cost, their runs, their rows.")
for _name, _part in study.COMMANDS.items():
    _study.command(_name)(_answered(_part))
app.add_typer(_study, no_args_is_help=True)


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"longhold {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Train recurrent networks on text, write with them, and measure how far back they remember."""


def main() -> None:
    """Run the command that the arguments name."""
    app()
