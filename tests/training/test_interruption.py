"""Processes that are killed or stopped, and started again."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.training.kill_and_resume import baseline, compare, finish, saved_step, start, wait_until_training
from tests.training.program import assert_same_run

KILLS = int(os.environ.get("LONGHOLD_KILLS", "3"))

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="SIGKILL and its like are POSIX")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A run that nothing interrupts, and the seconds that it took."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, baseline(folder)


@pytest.mark.timeout(60 + 60 * KILLS)
def test_kills_at_random_moments_change_nothing(whole: tuple[Path, float], tmp_path: Path) -> None:
    seed = int(os.environ.get("LONGHOLD_KILL_SEED", "0"))
    left = compare(tmp_path, whole[0], KILLS, seed, whole[1])
    assert len(left) == KILLS
    assert max(left) > 0  # at least one process had something to go on from


def test_signals_save_the_step_under_way_and_say_how_to_go_on(whole: tuple[Path, float], tmp_path: Path) -> None:
    steps = [0]
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        process = start(tmp_path, "--checkpoint-seconds", "1000")
        wait_until_training(process, tmp_path)
        time.sleep(0.25 * whole[1])
        process.send_signal(number)
        said = finish(process, code)
        steps.append(saved_step(tmp_path))
        assert said == (
            f"stopped at step {steps[-1]} of 400, saved in {tmp_path}: give the same command again to go on\n"
        )
    assert steps[0] < steps[1] < steps[2] < 400
    finish(start(tmp_path, "--checkpoint-seconds", "1000"))
    assert_same_run(whole[0], tmp_path)
