"""Sentences about runs whose course is made up."""

import math

import pytest

from longhold.training.diagnosis import Diagnosis, Reading, Scale, Watch, diagnose
from longhold.training.report import Progress

BIT = math.log(2)
SCALE = Scale(characters_per_token=1.0, bytes_per_token=1.0, steps_per_epoch=10, guess=4.5 * BIT)


def run(*held_out: float, loss: float = 3.0, fall: float = 0.1) -> list[Reading]:
    """An evaluation every 10 steps, in bits; the training loss falls steadily."""
    return [Reading(10 * n, (loss - fall * n) * BIT, bits * BIT) for n, bits in enumerate(held_out, start=1)]


def test_memorising_is_told_with_the_epoch_and_the_figures() -> None:
    readings = run(4.0, 3.0, 2.5, 2.6, 2.7)
    for over, kept in ((False, "is kept"), (True, "was kept")):
        found = diagnose(readings, SCALE, over=over)
        assert found is not None
        assert found.kind == "memorising"
        assert "held-out has risen since epoch 3 (2.50 to 2.70 bits per character)" in found.sentence
        assert "training text (2.50)" in found.sentence
        assert found.sentence.endswith(kept)


@pytest.mark.parametrize(
    "readings",
    [
        run(4.0, 3.0, 2.5, 2.6),  # one evaluation is chance
        run(4.0, 3.0, 2.5, 2.505, 2.505),  # less than half a percent
        run(4.0, 3.0, 2.5, 2.6, 2.7, fall=-0.1),  # the training loss rises too: that is no memory
        run(4.0, 3.0, 2.5),
        run(4.0),
        [],
    ],
    ids=range(6),
)
def test_while_it_runs_nothing_else_is_said(readings: list[Reading]) -> None:
    assert diagnose(readings, SCALE, over=False) is None


def test_what_is_said_at_the_end() -> None:
    assert diagnose(run(4.0), SCALE, over=True) is None
    assert diagnose(run(4.0, 3.5, 3.0), SCALE, over=True) is None
    improving = diagnose(run(4.0, 3.5, 3.0, 2.7), SCALE, over=True)
    assert improving == Diagnosis(
        "improving", "still improving: held-out 2.70 bits per character, 10.0% less than a quarter of the run ago"
    )
    level = diagnose(run(4.0, 2.71, 2.705, 2.70), SCALE, over=True)
    assert level is not None
    assert level.kind == "level"
    assert "0.2% less" in level.sentence
    rising = diagnose(run(4.0, 2.5, 2.4, 2.45), SCALE, over=True)
    assert rising is not None
    assert rising.kind == "level"
    assert "0.0% less" in rising.sentence
    little = diagnose(run(6.0, 4.6, 4.55), SCALE, over=True)
    assert little is not None
    assert little.kind == "learnt little"
    assert "4.55 bits per character" in little.sentence
    assert "gives 4.50" in little.sentence


def test_the_scale_is_that_of_people() -> None:
    scale = Scale(characters_per_token=0.5, bytes_per_token=1.5, steps_per_epoch=10, guess=9.0)
    assert scale.bits(BIT) == pytest.approx(2)
    assert scale.bits_per_byte(BIT) == pytest.approx(2 / 3)
    assert [scale.when(step) for step in (1, 10, 11, 20, 21)] == ["step 1", "step 10", "epoch 2", "epoch 2", "epoch 3"]
    assert "5.00 to 5.40 bits" in str(diagnose(run(4.0, 3.0, 2.5, 2.6, 2.7), scale, over=False))


def report(step: int, held_out: float | None, loss: float) -> Progress:
    return Progress(
        step=step,
        steps=60,
        loss=loss * BIT,
        smoothed=loss * BIT,
        tokens_per_second=1.0,
        seconds=1.0,
        eta_seconds=1.0,
        held_out=None if held_out is None else held_out * BIT,
        lr=0.1,
        grad_norm=1.0,
    )


def watched(reports: list[Progress], earlier: list[Reading] | None = None) -> tuple[Watch, list[str], list[Progress]]:
    said: list[str] = []
    seen: list[Progress] = []
    scale = Scale(0.5, 1.5, 10, 9.0)
    watch = Watch(scale, 10, on_progress=seen.append, on_note=said.append, earlier=earlier or [])
    for one in reports:
        watch(one)
    return watch, said, seen


COURSE = [(5, None), (10, 4.0), (15, 4.0), (20, 3.0), (30, 3.1), (34, 3.1), (40, 3.2), (50, 3.3), (60, 3.4)]


def test_evaluations_are_taken_once_and_memorising_is_said_once() -> None:
    reports = [report(step, held_out, 4.0 - step / 20) for step, held_out in COURSE]
    watch, said, seen = watched(reports)
    assert [reading.step for reading in watch.readings] == [10, 20, 30, 40, 50, 60]
    assert len(said) == 1
    assert "since epoch 2 (6.00 to 6.40" in said[0]  # at step 40, when two evaluations had no new best
    assert {(one.characters_per_token, one.bytes_per_token) for one in seen} == {(0.5, 1.5)}
    assert [one.step for one in seen] == [step for step, _ in COURSE]
    assert [one.diagnosis for one in seen] == [None] * 6 + ["memorising"] * 3
    found = watch.end()
    assert found is not None
    assert found.sentence == said[1]
    assert "to 6.80" in said[1]


def test_what_the_last_evaluation_said_is_not_said_again() -> None:
    late = [(10, 4.0), (20, 3.5), (30, 3.2), (40, 3.0), (50, 3.1), (60, 3.3)]
    watch, said, _ = watched([report(step, held_out, 4.0 - step / 20) for step, held_out in late])
    found = watch.end()
    assert found is not None
    assert found.kind == "memorising"
    assert len(said) == 1


def test_a_run_that_goes_on_remembers_its_evaluations() -> None:
    earlier = run(4.0, 3.0, 3.05, 3.3)
    watch, said, _ = watched([report(31, None, 2.0), report(40, 3.2, 1.9)], earlier)
    assert [reading.step for reading in watch.readings] == [10, 20, 30, 40]
    assert "memorising" in said[0]
    over, said, _ = watched([], earlier)  # nothing was left to do
    assert over.end() is not None
    assert over.readings == earlier
