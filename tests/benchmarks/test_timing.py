"""Timing of calls in turn."""

import gc
from collections.abc import Callable

import pytest
from benchmarks.timing import QUICK, Budget, interleaved, medians, ratio_interval


class Clock:
    """Time that passes only where a call says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.order: list[str] = []

    def __call__(self) -> float:
        return self.now

    def call(self, name: str, seconds: float) -> Callable[[], None]:
        def run() -> None:
            self.now += seconds
            self.order.append(name)

        return run


def test_every_round_visits_every_call_and_odd_ones_go_backwards() -> None:
    clock = Clock()
    calls = {"a": clock.call("a", 1.0), "b": clock.call("b", 2.0)}
    samples = interleaved(calls, Budget(rounds=3, seconds=0.0, sample_seconds=0.0), clock=clock)
    assert samples == {"a": [1.0, 1.0, 1.0], "b": [2.0, 2.0, 2.0]}
    assert clock.order == ["a", "b", *"ab", *"ba", *"ab"]  # once beforehand each


def test_rounds_go_on_until_the_time_is_spent() -> None:
    clock = Clock()
    samples = interleaved({"a": clock.call("a", 0.25)}, Budget(rounds=2, seconds=2.0, sample_seconds=0.0), clock=clock)
    assert len(samples["a"]) == 8


def test_a_short_call_is_repeated_within_a_sample() -> None:
    clock = Clock()
    calls = {"short": clock.call("short", 0.25), "long": clock.call("long", 4.0)}
    samples = interleaved(calls, Budget(rounds=1, seconds=0.0, sample_seconds=1.0), clock=clock)
    assert samples == {"short": [0.25], "long": [4.0]}
    assert clock.order.count("short") == 1 + 1 + 4  # beforehand, to see how long it takes, and the sample
    assert clock.order.count("long") == 1 + 1 + 1


def test_garbage_is_collected_again_afterwards_even_if_a_call_fails() -> None:
    calls = iter([None, None])

    def fails() -> None:
        next(calls)

    with pytest.raises(StopIteration):
        interleaved({"a": fails}, Budget(rounds=5, seconds=0.0, sample_seconds=0.0))
    assert gc.isenabled()
    interleaved({"a": lambda: None}, QUICK)
    assert gc.isenabled()


def test_medians() -> None:
    assert medians({"a": [3.0, 1.0, 2.0], "b": [1.0, 2.0]}) == {"a": 2.0, "b": 1.5}


def test_the_interval_of_equal_ratios_is_a_point() -> None:
    assert ratio_interval([2.0, 4.0, 6.0], [1.0, 2.0, 3.0], resamples=200) == pytest.approx((2.0, 2.0))


def test_the_interval_holds_the_ratio_and_narrows_with_rounds() -> None:
    slower, faster = [2.0, 2.2, 1.8, 2.1, 1.9] * 2, [1.0, 0.9, 1.1, 1.0, 1.0] * 2
    low, high = ratio_interval(slower, faster)
    assert 1.5 < low < 2.0 < high < 2.5
    narrow_low, narrow_high = ratio_interval(slower * 20, faster * 20)
    assert narrow_high - narrow_low < high - low
    assert ratio_interval(slower, faster) == (low, high)  # seeded


def test_the_interval_pairs_rounds() -> None:
    drifting = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]  # the machine slows down, and the ratio stays
    assert ratio_interval([3 * s for s in drifting], drifting) == pytest.approx((3.0, 3.0))


@pytest.mark.parametrize(("slower", "faster"), [([], []), ([1.0], [1.0, 2.0])])
def test_the_interval_needs_rounds_of_both(slower: list[float], faster: list[float]) -> None:
    with pytest.raises(ValueError, match="as many rounds"):
        ratio_interval(slower, faster)
