"""Sentences about runs whose course is made up."""

import math

import pytest

from longhold.training.diagnosis import Diagnosis, Reading, Scale, Watch, diagnose, passes
from longhold.training.report import Progress

BIT = math.log(2)
SCALE = Scale(characters_per_token=1.0, bytes_per_token=1.0, steps_per_epoch=10, guess=4.5 * BIT)


def run(
    *held_out: float, loss: float = 3.0, fall: float = 0.1, every: int = 10, rates: list[float] | None = None
) -> list[Reading]:
    """An evaluation every so many steps, in bits; the training loss falls steadily, the learning rate stays."""
    rates = rates or [0.01] * len(held_out)
    return [
        Reading(every * n, (loss - fall * n) * BIT, bits * BIT, rate)
        for n, (bits, rate) in enumerate(zip(held_out, rates, strict=True), start=1)
    ]


def cosine(count: int) -> list[float]:
    """Learning rates at so many evaluations of a run that ends at a twentieth of 0.01."""
    return [0.01 * (0.05 + 0.95 * (1 + math.cos(math.pi * n / count)) / 2) for n in range(1, count + 1)]


def kind(readings: list[Reading], scale: Scale = SCALE, **how: bool) -> str | None:
    found = diagnose(readings, scale, over=True, **how)
    return None if found is None else found.kind


def test_overfitting_is_told_with_the_epoch_and_the_figures() -> None:
    readings = run(4.0, 3.0, 2.5, 2.6, 2.7)
    for over, kept in ((False, "is kept"), (True, "was kept")):
        found = diagnose(readings, SCALE, over=over)
        assert found is not None
        assert found.kind == "overfitting"
        assert "held-out loss has risen since epoch 3 (2.50 to 2.70 bits per character)" in found.sentence
        assert "training loss falls (2.50)" in found.sentence
        assert found.sentence.endswith(kept)


@pytest.mark.parametrize(
    "readings",
    [
        run(4.0, 3.0, 2.5, 2.6),  # one evaluation is chance
        run(4.0, 3.0, 2.5, 2.505, 2.505),  # less than half a percent
        run(4.0, 3.0, 2.5, 2.6, 2.7, fall=-0.1),  # the training loss rises too: that is no memory
        run(0.1, 1e-4, 2e-4, 3e-4),  # nothing in bits that are shown
        run(4.0, 3.0, 2.5),
        run(4.0),
        [],
    ],
    ids=range(7),
)
def test_while_it_runs_nothing_else_is_said(readings: list[Reading]) -> None:
    assert diagnose(readings, SCALE, over=False) is None


def test_what_is_said_at_the_end() -> None:
    assert kind(run(4.0, every=100)) is None
    assert kind(run(4.0, 3.5, 3.0, every=100)) is None
    improving = diagnose(run(4.0, 3.5, 3.0, 2.7, every=50), SCALE, over=True)
    assert improving == Diagnosis(
        "improving", "still improving: held-out 2.70 bits per character, 10.0% less than a quarter of the run ago"
    )
    level = diagnose(run(4.0, 2.71, 2.705, 2.70, every=50), SCALE, over=True)
    assert level is not None
    assert level.kind == "level"
    assert level.sentence.startswith("leveled off: held-out 2.70")
    assert "0.2% less" in level.sentence
    rising = diagnose(run(4.0, 2.5, 2.4, 2.45, every=50), SCALE, over=True)
    assert rising is not None
    assert (rising.kind, "0.0% less" in rising.sentence) == ("level", True)
    little = diagnose(run(6.0, 4.6, 4.55, every=50), SCALE, over=True)
    assert little is not None
    assert little.kind == "learned little"
    assert "4.55 bits per character" in little.sentence
    assert "(4.50)" in little.sentence
    assert "learning rate 0.01" in little.sentence


@pytest.mark.parametrize(("every", "said"), [(6, "24 steps, 2.4 passes"), (1, "4 steps, 0.4 passes")])
def test_a_few_steps_are_judged_by_nobody(every: int, said: str) -> None:
    """24 steps of a short text, flat at their end since the learning rate was, once counted as leveled off."""
    found = diagnose(run(4.4, 4.33, 4.32, 4.32, every=every, rates=cosine(4)), SCALE, over=True)
    assert found is not None
    assert found.kind == "short"
    assert said in found.sentence
    assert "leveled" not in found.sentence
    stopped = kind(run(4.4, 4.33, 4.32, 4.32, every=every), stopped_early=True)
    assert stopped == ("level" if every == 6 else "short")


def test_a_flat_end_at_a_low_learning_rate_is_explained_by_it() -> None:
    course = [4.0, 3.8, 3.6, 3.4, 3.3, 3.25, 3.24, 3.23]
    annealed = diagnose(run(*course, every=50, rates=cosine(8)), SCALE, over=True)
    assert annealed is not None
    assert annealed.kind == "annealed"
    assert "the learning rate schedule had ended (0.0005 of 0.0096) after 400 steps, 40 passes" in annealed.sentence
    assert kind(run(*course, every=50)) == "level"  # the learning rate was what it was all along
    flat = [4.0, 3.5, 3.3, 3.21, 3.21, 3.21, 3.205, 3.2]
    assert kind(run(*flat, every=50, rates=cosine(8))) == "level"  # and it was flat while it was high


def test_a_text_that_was_not_read_once_has_not_leveled_off() -> None:
    long = Scale(1.0, 1.0, steps_per_epoch=1000, guess=4.5 * BIT)
    assert kind(run(4.0, 3.5, 3.49, 3.48, every=150), long) == "short"
    assert kind(run(4.0, 3.5, 3.4, 3.1, every=150), long) == "improving"
    assert kind(run(4.0, 3.5, 3.49, 3.48, every=300), long) == "level"


def test_both_losses_rising_is_no_overfitting() -> None:
    found = diagnose(run(3.0, 2.5, 3.5, 4.0, every=50, fall=-0.3, rates=[0.5] * 4), SCALE, over=True)
    assert found is not None
    assert found.kind == "diverged"
    assert "2.50 to 4.00 bits" in found.sentence
    assert "a lower learning rate than 0.5" in found.sentence


def test_a_text_that_is_learned_to_the_end() -> None:
    """One character again and again has 0 bits, however little a guess by frequency has left."""
    one = Scale(1.0, 1.0, steps_per_epoch=10, guess=0.13 * BIT)
    found = diagnose(run(0.05, 0.01, 0.0004, 0.0001, every=50), one, over=True)
    assert found is not None
    assert found.kind == "level"
    assert "0.00 bits per character, nothing is left to learn" in found.sentence


def test_a_text_without_pattern_levels_off_at_its_frequencies() -> None:
    noise = Scale(1.0, 1.0, steps_per_epoch=10, guess=8 * BIT)
    found = diagnose(run(8.01, 8.0, 8.0, 8.0, every=50), noise, over=True)
    assert found is not None
    assert "leveled off at held-out 8.00 bits" in found.sentence
    assert "the text may have no other pattern" in found.sentence


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (10, "1 pass"),
        (24, "2.4 passes"),
        (3, "0.3 passes"),
        (0.04, "0.004 passes"),
        (247, "25 passes"),
        (10**5, "10,000 passes"),
    ],
)
def test_passes(steps: int, said: str) -> None:
    assert passes(steps, 10) == said


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


def test_evaluations_are_taken_once_and_overfitting_is_said_once() -> None:
    reports = [report(step, held_out, 4.0 - step / 20) for step, held_out in COURSE]
    watch, said, seen = watched(reports)
    assert [reading.step for reading in watch.readings] == [10, 20, 30, 40, 50, 60]
    assert len(said) == 1
    assert "since epoch 2 (6.00 to 6.40" in said[0]  # at step 40, when two evaluations had no new best
    assert {(one.characters_per_token, one.bytes_per_token) for one in seen} == {(0.5, 1.5)}
    assert [one.step for one in seen] == [step for step, _ in COURSE]
    assert [one.diagnosis for one in seen] == [None] * 6 + ["overfitting"] * 3
    found = watch.end()
    assert found is not None
    assert found.sentence == said[1]
    assert "to 6.80" in said[1]


def test_what_the_last_evaluation_said_is_not_said_again() -> None:
    late = [(10, 4.0), (20, 3.5), (30, 3.2), (40, 3.0), (50, 3.1), (60, 3.3)]
    watch, said, _ = watched([report(step, held_out, 4.0 - step / 20) for step, held_out in late])
    found = watch.end()
    assert found is not None
    assert found.kind == "overfitting"
    assert len(said) == 1


def test_a_run_that_goes_on_remembers_its_evaluations() -> None:
    earlier = run(4.0, 3.0, 3.05, 3.3)
    watch, said, _ = watched([report(31, None, 2.0), report(40, 3.2, 1.9)], earlier)
    assert [reading.step for reading in watch.readings] == [10, 20, 30, 40]
    assert "overfitting" in said[0]
    over, said, _ = watched([], earlier)  # nothing was left to do
    assert over.end() is not None
    assert over.readings == earlier
