"""The first signal is remembered, the next one is not."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from longhold.training.signals import Interrupted, Interrupts

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_remembered(number: int) -> None:
    before = signal.getsignal(number)
    with Interrupts() as interrupts:
        assert interrupts.received is None
        os.kill(os.getpid(), number)
        assert interrupts.received == number
        assert signal.getsignal(number) == before
    assert signal.getsignal(number) == before


def test_of_a_closed_terminal_the_first_signal_is_remembered_and_the_others_are_nothing() -> None:
    before = signal.getsignal(signal.SIGHUP)
    try:
        with Interrupts() as interrupts:
            for _ in range(3):
                os.kill(os.getpid(), signal.SIGHUP)
            assert interrupts.received == signal.SIGHUP
        os.kill(os.getpid(), signal.SIGHUP)
        assert Interrupted("", signal.SIGHUP).exit_code == 129
    finally:
        signal.signal(signal.SIGHUP, before)


def test_whoever_asked_for_it_outlives_the_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as `nohup` does
    try:
        with Interrupts() as interrupts:
            os.kill(os.getpid(), signal.SIGHUP)
            assert interrupts.received is None
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_ctrl_c_stops_at_once() -> None:
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert interrupts.received == signal.SIGINT


def test_handlers_come_back_after_an_error() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(ZeroDivisionError), Interrupts():
        raise ZeroDivisionError
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_another_thread_catches_nothing() -> None:
    handlers = []

    def work() -> None:
        with Interrupts():
            handlers.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGTERM)]


def test_interrupted_is_a_keyboard_interrupt_with_an_exit_code() -> None:
    stopped = Interrupted("stopped at step 3", signal.SIGTERM)
    assert isinstance(stopped, KeyboardInterrupt)
    assert (str(stopped), stopped.exit_code, Interrupted("", signal.SIGINT).exit_code) == (
        "stopped at step 3",
        143,
        130,
    )
