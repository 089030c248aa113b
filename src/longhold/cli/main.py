"""The command `longhold`."""

import errno
import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

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

app = typer.Typer(
    name="longhold",
    help="Train recurrent networks on text, write with them, and measure how far back they remember.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say(line: str) -> None:
    """One line on standard error; under `torchrun` the first worker speaks for all."""
    if os.environ.get("RANK", "0") == "0":
        print(line, file=sys.stderr)


def _drop_output() -> None:
    """Standard output cannot take what is left in it; Python would complain once more while it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _answered(command: Callable[..., None]) -> Callable[..., None]:
    """The command with its exit codes: 2 and one line for what cannot be used, 128 + signal when stopped."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        try:
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
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            _say(f"error: cannot write: {error.strerror}")
            _drop_output()
            raise typer.Exit(2) from None

    return run


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
