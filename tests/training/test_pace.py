"""A run under a time budget ends in time, whatever pace it was planned for, and goes on as it was going."""

import signal
from pathlib import Path

import pytest
import torch

from longhold.errors import InputError
from longhold.training import Interrupted, Run, TrainConfig, text_batches, train
from longhold.training.checkpoint import Counters, counters_of
from longhold.training.pace import fitted_steps
from tests.training.program import config, model, tokens

HELD_OUT = tokens(500)[400:]


class Clock:
    """Stands for the module `time`: every step takes `pace` seconds, and nothing else any."""

    def __init__(self, pace: float) -> None:
        self.pace, self.now = pace, 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(1.0)
    monkeypatch.setattr("longhold.training.session.time", clock)

    def learning_rate(config: TrainConfig, step: int) -> float:
        clock.now += clock.pace
        return config.lr

    monkeypatch.setattr("longhold.training.session.learning_rate", learning_rate)
    return clock


def planned(**values: object) -> TrainConfig:
    given = {"steps": 100, "evaluate_every": 10, "budget_seconds": 110.0, "run_seconds": 100.0}
    return config(**{**given, **values})


def steps(given: TrainConfig, run: Run | None = None) -> int:
    return train(model(), text_batches(tokens(), given), given, held_out=HELD_OUT, run=run).steps


@pytest.mark.parametrize(("pace", "expected"), [(1.0, 100), (1.25, 80), (0.8, 125), (2.0, 50)])
def test_steps_follow_the_pace(clock: Clock, pace: float, expected: int) -> None:
    clock.pace = pace
    assert steps(planned()) == expected


def test_a_machine_that_becomes_slower_is_followed_up_to_the_last_quarter(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.pace, seen = 0.5, []

    def watched(given: TrainConfig, step: int, seconds: float) -> int:
        clock.pace = 0.5 if step < 50 else 1.0
        seen.append(fitted_steps(given, step, seconds))
        return seen[-1]

    monkeypatch.setattr("longhold.training.session.fitted_steps", watched)
    assert steps(planned()) == 133
    assert seen[:10] == [200] * 5 + [171, 155, 145, 138, 133]
    assert set(seen[10:]) == {133}
    assert clock.now == 50 * 0.5 + 83  # seconds, in place of 175


def test_a_run_without_a_budget_has_the_steps_that_it_was_given(clock: Clock) -> None:
    clock.pace = 7.0
    assert steps(planned(run_seconds=None)) == 100


def test_an_average_that_has_begun_is_left_alone() -> None:
    assert fitted_steps(planned(average_from=0.5), 50, 40.0) == 125
    assert fitted_steps(planned(average_from=0.5), 60, 40.0) == 100
    assert fitted_steps(planned(average_from=0.9), 80, 40.0) == 100


def test_there_is_always_a_step_more(clock: Clock) -> None:
    clock.pace = 1000.0
    assert steps(planned()) == 11
    assert fitted_steps(planned(), 10, 0.0) == 100


def test_the_learning_rate_goes_to_its_end() -> None:
    given = planned(steps=40, schedule="cosine", run_seconds=1e-3)
    rates = []
    train(
        model(),
        text_batches(tokens(), given),
        given,
        held_out=HELD_OUT,
        on_progress=lambda progress: rates.append((progress.step, progress.steps, progress.lr)),
    )
    assert rates[-1][:2] == (11, 11)
    assert rates[-1][2] == pytest.approx(0, abs=1e-9)


def test_what_was_stopped_goes_on_with_the_steps_it_had_come_to(clock: Clock, tmp_path: Path) -> None:
    clock.pace = 1.25
    whole = model()
    given = planned()
    train(whole, text_batches(tokens(), given), given, held_out=HELD_OUT)

    def stop(progress: object) -> None:
        if progress.step == 65:  # type: ignore[attr-defined]
            signal.raise_signal(signal.SIGINT)

    clock.now = 0.0
    with pytest.raises(Interrupted, match="stopped at step 66 of 80"):
        train(
            model(), text_batches(tokens(), given), given, held_out=HELD_OUT, run=Run(tmp_path),
            on_progress=stop,
        )  # fmt: skip
    clock.pace = 0.01  # another machine; in the last quarter it changes nothing
    again = model()
    assert train(again, text_batches(tokens(), given), given, held_out=HELD_OUT, run=Run(tmp_path)).steps == 80
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])


@pytest.mark.parametrize(("step", "total"), [(5, 4), (0, 0)])
def test_an_edited_number_of_steps_is_refused(step: int, total: int) -> None:
    counters = vars(Counters(step=step, steps=total))
    with pytest.raises(InputError, match=f"counter steps is {total}"):
        counters_of({"counters": counters})
