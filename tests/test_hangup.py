"""A terminal that is closed while something is said to it."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="terminals are POSIX")

PROGRAM = """
    import os, signal, sys, time
    from longhold.hangup import HANGUP, is_unwanted, leave_terminal

    def gone(number, frame):
        leave_terminal()
        print("a word for nobody", flush=True)
        print("another", file=sys.stderr, flush=True)
        os.kill(os.getpid(), HANGUP)
        open(sys.argv[1], "w").write("it went on")
        os._exit(0)

    assert not is_unwanted()
    signal.signal(HANGUP, gone)
    print("ready", flush=True)
    while True:
        time.sleep(0.01)
"""


def test_what_is_said_after_it_goes_nowhere(tmp_path: Path) -> None:
    import pty

    done = tmp_path / "done"
    process, terminal = pty.fork()
    if process == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        os.execv(sys.executable, [sys.executable, "-c", textwrap.dedent(PROGRAM), str(done)])
    assert b"ready" in os.read(terminal, 100)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    assert done.read_text() == "it went on"
