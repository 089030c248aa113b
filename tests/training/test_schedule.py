"""Learning rates worked by hand, and torch's own schedulers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from longhold.training import TrainConfig
from longhold.training.schedule import learning_rate


def course(**values: object) -> list[float]:
    config = TrainConfig(**values)
    return [learning_rate(config, step) for step in range(config.steps)]


def test_by_hand() -> None:
    assert course(steps=3, lr=0.5) == [0.5, 0.5, 0.5]
    assert course(steps=4, lr=0.5, warmup_steps=2) == [0.25, 0.5, 0.5, 0.5]
    linear = course(steps=7, lr=1.0, schedule="linear", warmup_steps=2, final_fraction=0.2)
    assert linear == pytest.approx([0.5, 1.0, 1.0, 0.8, 0.6, 0.4, 0.2])
    cosine = course(steps=5, lr=2.0, schedule="cosine", final_fraction=0.1)
    assert cosine == pytest.approx([2.0, 1.1 + 0.9 * 0.5**0.5, 1.1, 1.1 - 0.9 * 0.5**0.5, 0.2])


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_runs_too_short_for_a_course(schedule: str) -> None:
    assert course(steps=1, lr=0.3, schedule=schedule) == [0.3]
    assert course(steps=2, lr=0.3, schedule=schedule, warmup_steps=2) == [0.15, 0.3]


def test_cosine_is_torchs() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.7)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=40, eta_min=0.07)
    expected = []
    for _ in range(41):
        expected.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    assert course(steps=41, lr=0.7, schedule="cosine", final_fraction=0.1) == pytest.approx(expected)


@pytest.mark.parametrize(("warmup", "rise"), [(0, 0.3), (10, 0.25)])
def test_one_cycle_is_torchs(warmup: int, rise: float) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.7)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.7, total_steps=40, pct_start=rise, final_div_factor=1 / (25 * 0.01), cycle_momentum=False
    )
    expected = []
    for step in range(40):
        expected.append(scheduler.get_last_lr()[0])
        optimizer.step()
        if step < 39:
            scheduler.step()
    rates = course(steps=40, lr=0.7, schedule="one_cycle", warmup_steps=warmup, final_fraction=0.01)
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("warmup", [0, 1])
def test_one_cycle_of_a_few_steps_stays_within_bounds(steps: int, warmup: int) -> None:
    rates = course(steps=steps, lr=0.7, schedule="one_cycle", warmup_steps=warmup, final_fraction=0.1)
    assert all(0.7 / 25 - 1e-9 <= rate <= 0.7 + 1e-9 for rate in rates)


@given(
    st.integers(1, 300).flatmap(lambda steps: st.tuples(st.just(steps), st.integers(0, steps))),
    st.sampled_from(["linear", "cosine"]),
    st.floats(0, 1),
)
def test_rises_then_falls_and_stays_within_bounds(lengths: tuple[int, int], schedule: str, final: float) -> None:
    steps, warmup = lengths
    rates = course(steps=steps, warmup_steps=warmup, schedule=schedule, final_fraction=final, lr=1.0)
    assert all(0 <= rate <= 1 + 1e-12 for rate in rates)
    assert rates[:warmup] == sorted(rates[:warmup])
    assert all(after <= before + 1e-12 for before, after in zip(rates[warmup:], rates[warmup + 1 :], strict=False))
    if steps - warmup > 1:
        assert rates[-1] == pytest.approx(final, abs=1e-12)
