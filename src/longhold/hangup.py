"""A terminal that is closed: its signal, and what is still said after it."""

import contextlib
import errno
import os
import signal
from typing import Final

HANGUP: Final[int | None] = getattr(signal, "SIGHUP", None)
"""The signal; None on a system without it."""


def is_unwanted() -> bool:
    """Whether whoever began this process wants it to outlive its terminal, as `nohup` does."""
    return HANGUP is None or signal.getsignal(HANGUP) == signal.SIG_IGN


def leave_terminal() -> None:
    """Let what is still said go nowhere if the terminal is gone, where every word would be an error.

    From now on the signal is ignored: a closing terminal sends it twice, once by itself and once by the shell.
    """
    if HANGUP is not None:
        signal.signal(HANGUP, signal.SIG_IGN)
    for output in (1, 2):
        try:
            os.write(output, b"")
        except OSError as error:
            if error.errno == errno.EIO:
                _to_nowhere(output)


def _to_nowhere(output: int) -> None:
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, output)
        os.close(nowhere)
