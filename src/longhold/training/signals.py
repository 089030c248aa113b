"""Ctrl-C, SIGTERM and SIGHUP as a flag that the loop reads between two steps."""

import signal
import threading
from types import FrameType
from typing import Any, Self, final

from longhold.hangup import HANGUP, is_unwanted, leave_terminal

_CAUGHT = (signal.SIGINT, signal.SIGTERM)  # and that of a closed terminal


@final
class Interrupted(KeyboardInterrupt):
    """A run was stopped by a signal after its checkpoint was written; the text is one line on how to resume."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number
        """The signal that stopped it."""
        self.exit_code = 128 + signal_number
        """What a shell expects: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP."""


@final
class Interrupts:
    """While the block runs, the first SIGINT, SIGTERM or SIGHUP is remembered and the step under way is finished.

    After that one the handlers are as before, so a second Ctrl-C stops at once; but after a SIGHUP no other one counts.
    Where SIGHUP is ignored (`nohup`), it stays so. Outside the main thread, where Python delivers no signals, nothing
    is caught.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        """Number of the signal that came, or None."""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            caught = _CAUGHT if HANGUP is None or is_unwanted() else (*_CAUGHT, HANGUP)
            self._before = {number: signal.signal(number, self._remember) for number in caught}
        return self

    def __exit__(self, *exception: object) -> None:
        self._restore()

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self._restore()
        if number == HANGUP:
            leave_terminal()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._before = {}
