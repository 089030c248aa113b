"""Durations, and time budgets that become steps."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from longhold.errors import InputError
from longhold.training import Run, parse_duration, step_probe, steps_for_budget, text_batches, train, with_budget
from longhold.training.budget import _evaluation_seconds, glanced_step_seconds, rough_duration
from tests.training.program import HELD_OUT, config, model, tokens


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10m", 600),
        ("90s", 90),
        ("1h30m", 5400),
        ("45", 45),
        (" 2H ", 7200),
        ("1.5h", 5400),
        ("1h1s", 3601),
        ("0.5", 0.5),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "m",
        "10 minutes",
        "-5",
        "0",
        "0s",
        "1h30",
        "30m1h",
        "1m1m",
        "nan",
        "inf",
        "1e3",
        "9" * 400,
        "1d",
        "٣m",
        "1,5h",
    ],
)
def test_what_is_no_duration_is_named(text: str) -> None:
    with pytest.raises(InputError, match="expected a time such as 90s, 10m or 1h30m") as caught:
        parse_duration(text)
    assert "\n" not in str(caught.value)
    assert repr(text)[:40] in str(caught.value)


@given(st.integers(0, 99), st.integers(0, 99), st.integers(1, 99))
def test_parts_add_up(hours: int, minutes: int, seconds: int) -> None:
    total = 3600 * hours + 60 * minutes + seconds
    assert parse_duration(f"{hours}h{minutes}m{seconds}s") == total
    assert parse_duration(str(total)) == parse_duration(total) == parse_duration(f"{total}s") == total


@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except InputError:
        return
    assert 0 < seconds <= 366 * 86400


class Clock:
    """Stands for the module `time`; what is measured with it takes the time it says, whatever the machine does."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("longhold.training.budget.time", clock)
    return clock


class Probe:
    """A probe whose calls take the times given; the last one for ever."""

    def __init__(self, clock: Clock, *times: float) -> None:
        self.clock, self.times, self.calls = clock, times, 0

    def __call__(self) -> float:
        self.calls += 1
        taken = self.times[min(self.calls, len(self.times)) - 1]
        self.clock.now += taken
        return taken


def test_warm_up_and_what_took_longest_are_discarded(clock: Clock) -> None:
    probe = Probe(clock, 1 / 8, 1 / 8, 1 / 8, 1 / 64, 1 / 4, 1 / 64)
    assert steps_for_budget(100, probe) == 6346  # probing took 27/32
    assert probe.calls == 18


def test_steps_that_are_slow_at_times_count_by_their_mean(clock: Clock) -> None:
    probe = Probe(clock, *[1 / 16] * 3, *[1 / 16, 1 / 8, 1 / 8] * 5, 1 / 8)
    assert steps_for_budget(100, probe) == 973  # 98.25 s at 21 / 16 / 13, of 15 steps less two
    assert probe.calls == 18


def test_much_time_is_not_watched_for_long(clock: Clock) -> None:
    probe = Probe(clock, 0.5)
    assert steps_for_budget(10_000, probe) == (10_000 - 3.5) / 0.5
    assert probe.calls == 7  # three seconds and a step


def test_there_is_always_a_step(clock: Clock) -> None:
    assert steps_for_budget(1, Probe(clock, 100.0)) == 1


def test_slow_steps_end_the_probing(clock: Clock) -> None:
    probe = Probe(clock, 0.25, 0.25, 0.125)
    assert steps_for_budget(10, probe) == 38  # 0.5 used: more than three hundredths, so what was seen has to do
    assert probe.calls == 2
    probe = Probe(clock, 0.75, 0.25)
    assert steps_for_budget(10, probe) == 36  # the first is slower than others, so that there is a second
    assert probe.calls == 2
    probe = Probe(clock, 8.0)
    assert steps_for_budget(30, probe) == 2
    assert probe.calls == 1


def test_a_glance_takes_a_hundredth_and_leaves_the_first_step_out(clock: Clock) -> None:
    quick = Probe(clock, 0.5, 0.1, 0.3, 0.2)
    assert glanced_step_seconds(1000, quick) == 0.2
    assert quick.calls == 3  # a second holds no more
    assert glanced_step_seconds(1000, Probe(clock, 0.01)) == 0.01
    cold = Probe(clock, 0.4, 0.1)
    assert glanced_step_seconds(30, cold) == 0.1
    assert cold.calls == 2
    slow = Probe(clock, 1.4, 0.1)
    assert glanced_step_seconds(30, slow) == 1.4
    assert slow.calls == 1


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "1 s"), (85.1, "86 s"), (100, "2 minutes"), (1e6, "16,667 minutes")]
)
def test_durations_for_people(seconds: float, said: str) -> None:
    assert rough_duration(seconds) == said


def test_probing_leaves_model_and_generators_untouched() -> None:
    trained = model().eval()
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    generator = torch.get_rng_state()
    probe = step_probe(trained, text_batches(tokens(), config()), config())
    assert all(probe() > 0 for _ in range(3))
    assert torch.equal(torch.get_rng_state(), generator)
    assert not trained.training
    for name, tensor in trained.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert all(parameter.grad is None for parameter in trained.parameters())


def test_a_budget_is_measured_once_and_then_read_from_the_plan(tmp_path: Path) -> None:
    batches, run = text_batches(tokens(), config()), Run(tmp_path)
    planned = with_budget(config(evaluate_every=None), 1.0, model(), batches, held_out=HELD_OUT, run=run)
    assert planned.budget_seconds == 1.0
    assert planned.steps > 5
    assert planned.evaluate_every is not None
    assert 1 <= planned.steps / planned.evaluate_every <= 21
    assert planned.warmup_steps <= planned.steps / 10
    assert planned.lr == config().lr
    train(model(), batches, planned, held_out=HELD_OUT, run=run)

    again = with_budget(config(evaluate_every=None), 1.0, model(), batches, held_out=HELD_OUT, run=run)
    assert again == planned
    told = with_budget(config(evaluate_every=3, warmup_steps=0), 1.0, model(), batches, held_out=HELD_OUT, run=run)
    assert (told.steps, told.evaluate_every, told.warmup_steps) == (planned.steps, 3, 0)
    assert planned.run_seconds is not None
    assert 0.25 <= planned.run_seconds <= 0.95
    other = with_budget(config(evaluate_every=None), 0.3, model(), batches, held_out=HELD_OUT, run=run)
    assert other.budget_seconds == 0.3


def test_what_is_gone_and_a_part_kept_back_come_off_the_budget(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    for spent, left in ((0, 95), (20, 75), (80, 50)):  # half of it in any case
        probe = Probe(clock, 0.25)
        monkeypatch.setattr("longhold.training.budget.step_probe", lambda *_, probe=probe: probe)
        planned = with_budget(config(), 100, model(), text_batches(tokens(), config()), elapsed=spent)
        assert (planned.steps + probe.calls) * 0.25 == pytest.approx(left, abs=0.25)


def test_evaluations_are_paid_from_the_budget(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longhold.training.budget.step_probe", lambda *_: lambda: 0.1)
    for seconds, every, steps, expected in (
        (1.0, 5, 300, 5),  # (0.1 + 1 / 5) s a step
        (0.5, None, 800, 40),  # 20 evaluations take 10 s of the 90
        (30.0, None, 600, 600),  # one evaluation takes more than a fifth: one at the end
        (9.0, None, 720, 360),  # two fit a fifth
    ):
        monkeypatch.setattr("longhold.training.budget._evaluation_seconds", lambda *_, value=seconds: value)
        batches = text_batches(tokens(), config())
        planned = with_budget(config(evaluate_every=every), 90 / 0.95, model(), batches, held_out=HELD_OUT)
        assert planned.steps == pytest.approx(steps, abs=1)
        assert planned.evaluate_every == pytest.approx(expected, abs=1)


def test_a_long_held_out_text_is_measured_on_its_beginning(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def evaluate(trained: object, data: object, columns: int) -> float:
        seen.append(len(data))  # type: ignore[arg-type]
        clock.now += 0.25
        return 1.0

    monkeypatch.setattr("longhold.training.budget.evaluate", evaluate)
    assert _evaluation_seconds(model(), tokens(16 * 8192), 2) == 4.0
    assert seen == [64, 8192]
