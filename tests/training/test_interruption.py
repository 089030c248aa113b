"""Processes that are killed, stopped and started again."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.training.kill_and_resume import compare, finish, saved_step, start, wait_until_training
from tests.training.program import assert_same_run

KILLS = int(os.environ.get("LONGHOLD_KILLS", "3"))


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX")
def test_kills_at_random_moments_change_nothing(tmp_path: Path) -> None:
    left = compare(tmp_path, KILLS, seed=int(os.environ.get("LONGHOLD_KILL_SEED", "0")))
    assert len(left) == KILLS
    assert max(left) > 0  # at least one process had something to go on from


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_signals_save_the_step_under_way_and_say_how_to_go_on(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    untouched = start(whole, "--checkpoint-seconds", "1000")
    steps = [0]
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        process = start(parts, "--checkpoint-seconds", "1000")
        wait_until_training(process, parts)
        time.sleep(0.3)
        process.send_signal(number)
        said = finish(process, code)
        steps.append(saved_step(parts))
        assert said == (f"stopped at step {steps[-1]} of 400, saved in {parts}: give the same command again to go on\n")
    assert steps[0] < steps[1] < steps[2] < 400
    finish(untouched)
    finish(start(parts, "--checkpoint-seconds", "1000"))
    assert_same_run(whole, parts)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_a_second_process_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    first = start(tmp_path, "--checkpoint-seconds", "1000")
    wait_until_training(first, tmp_path)
    first.send_signal(signal.SIGSTOP)
    try:
        second = start(tmp_path)
        _, errors = second.communicate(timeout=60)
    finally:
        first.kill()
        first.communicate()
    assert second.returncode == 1
    assert f"InputError: {tmp_path} is in use by another process (process {first.pid})" in errors
