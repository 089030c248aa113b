"""Processes that are killed or stopped, and started again."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.training.kill_and_resume import compare, finish, saved_step, start, wait_for_step
from tests.training.program import assert_same_run

KILLS = int(os.environ.get("LONGHOLD_KILLS", "3"))

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="SIGKILL and its like are POSIX")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupts."""
    folder = tmp_path_factory.mktemp("whole")
    finish(start(folder))
    return folder


@pytest.mark.timeout(120 + 60 * KILLS)
def test_kills_at_random_moments_change_nothing(whole: Path, tmp_path: Path) -> None:
    left = compare(tmp_path, whole, KILLS, seed=int(os.environ.get("LONGHOLD_KILL_SEED", "0")))
    assert len(left) == KILLS
    assert max(left) > 0  # at least one process had something to resume


def test_signals_save_the_step_under_way_and_say_how_to_go_on(whole: Path, tmp_path: Path) -> None:
    steps = [0]
    for number, code, after in ((signal.SIGINT, 130, 60), (signal.SIGTERM, 143, 150), (signal.SIGHUP, 129, 250)):
        process = start(tmp_path, "--checkpoint-seconds", "1000")
        wait_for_step(process, tmp_path, after)
        process.send_signal(number)
        said = finish(process, code)
        steps.append(saved_step(tmp_path))
        assert said == (
            f"stopped at step {steps[-1]} of 400, saved in {tmp_path}: give the same command again to resume\n"
        )
    assert steps == sorted(set(steps))
    assert steps[-1] < 400
    finish(start(tmp_path, "--checkpoint-seconds", "1000"))
    assert_same_run(whole, tmp_path)
