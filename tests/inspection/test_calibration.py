"""The calibration models do what they say, keep the state contract, and the instruments find what they are."""

import math
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor

from longhold.errors import InputError
from longhold.inspection import context_use, gradient_by_lag, lyapunov_spectrum, readable_horizon, recall_by_lag
from longhold.models import KneserNey, SequenceModel
from longhold.models.contract import state_leaves
from tests.inspection.calibration import (
    DelayLine,
    LinearRecurrence,
    MarkovSource,
    UnreliableLatch,
    chance_model,
    leaky_integrator,
)
from tests.inspection.questions import one_symbol

IDS = torch.tensor([[0, 4], [5, 1], [2, 4], [4, 4], [1, 0], [4, 3], [3, 3]])
MODELS = {
    "delay line": (DelayLine(3, 4), IDS),
    "delay line of features": (DelayLine(2, 3), torch.randn(7, 2, 3)),
    "linear": (LinearRecurrence(torch.randn(3, 3)), torch.randn(7, 2, 3)),
    "latch": (UnreliableLatch(4, 0.6, seed=3), IDS),
}


def same(first: Tensor, second: Tensor) -> None:
    torch.testing.assert_close(first, second, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_chunks_are_the_whole_and_resets_hide_the_past(name: str) -> None:
    model, inputs = MODELS[name]
    reset = torch.zeros(7, 2, dtype=torch.bool)
    reset[3, 0] = reset[5, 1] = reset[6, 1] = True
    whole, last = model(inputs, None, reset)
    for cut in range(1, 7):
        first, state = model(inputs[:cut], None, reset[:cut])
        second, state = model(inputs[cut:], state, reset[cut:])
        same(torch.cat([first, second]), whole)
        for left, right in zip(state_leaves(state), state_leaves(last), strict=True):
            same(left, right)
    same(whole[3:, 0], model(inputs[3:, :1])[0][:, 0])
    same(whole[6:, 1], model(inputs[6:, 1:])[0][:, 0])
    same(whole[:3], model(inputs[:3])[0])
    picked = model.select(model(inputs[:3])[1], torch.tensor([1, 1, 0]))
    same(model(inputs[3:][:, [1, 1, 0]], picked)[0], model(inputs)[0][3:][:, [1, 1, 0]])


def test_a_delay_line_counts_what_a_loop_over_its_window_counts() -> None:
    outputs, _ = DelayLine(2, 4)(IDS)
    for step in range(7):
        for row in range(2):
            window = IDS[max(0, step - 2) : step + 1, row].tolist()
            assert outputs[step, row].tolist() == [window.count(symbol) for symbol in range(4)]


@pytest.mark.parametrize("length", [1, 2, 3, 7, 31, 128])
def test_the_horizon_of_a_delay_line_is_its_length(length: int) -> None:
    lags = sorted({1, length // 2 or 1, length, length + 1, length + 5})
    found = recall_by_lag(DelayLine(length, 4), one_symbol(4, 100), lags, chance=0.25)
    assert (found.horizon.value, found.horizon.censored) == (length, False)
    assert (found.horizon.low, found.horizon.high, found.horizon.below) == (length, length, length + 1)
    beyond = recall_by_lag(DelayLine(length, 4), one_symbol(4, 100), [length], chance=0.25)
    assert str(beyond.horizon).startswith(f">= {length} steps")


@pytest.mark.slow
def test_delay_lines_from_1_to_512_are_exact_at_every_lag() -> None:
    ask = one_symbol(4, 60)
    batches = {lag: ask(lag) for lag in range(1, 514)}
    for length in range(1, 513):
        lags = [lag for lag in batches if abs(lag - length) < 3 or lag % 256 == 1]
        found = recall_by_lag(DelayLine(length, 4), batches.__getitem__, lags, chance=0.25)
        assert found.horizon.value == length


@pytest.mark.parametrize("length", [1, 5, 12])
def test_a_probe_reads_a_delay_line_as_far_as_it_goes_and_no_farther(length: int) -> None:
    symbols = torch.randint(3, (20, 600))
    found = readable_horizon(DelayLine(length, 3), symbols, list(range(1, 20)))
    assert found.read.horizon.value == length - 1  # the line that is handed on holds steps T - length ... T - 1
    assert found.read.recall[: length - 1] == (1.0,) * (length - 1)
    assert found.control.horizon.high == 0


def test_the_gradient_through_a_delay_line_ends_at_its_length() -> None:
    inputs = torch.randn(30, 2, 3)
    targets = torch.randint(3, (30, 2))
    found = gradient_by_lag(DelayLine(6, 3), inputs, targets, max_lag=10, positions=3)
    assert all(value > 0 for value in found.by_input.mean[:7])
    assert found.by_input.mean[7:] == (0.0,) * 4


@pytest.mark.parametrize("tau", [1.0, 5.0, 40.0, 400.0])
def test_the_time_constant_of_a_leaky_integrator_is_measured(tau: float) -> None:
    model = leaky_integrator([tau] * 3)
    inputs, targets = torch.randn(400, 2, 3), torch.randint(3, (400, 2))
    gradient = gradient_by_lag(model, inputs, targets, max_lag=60, positions=3, dtype=torch.float64)
    for decay in (gradient.by_input.decay, gradient.by_state.decay):
        assert decay is not None
        assert decay.tau == pytest.approx(tau, rel=0.05)
        assert decay.exponential
    spectrum = lyapunov_spectrum(model, inputs[:60], burn_in=5, warm_up=5)
    assert [-1 / rate for rate in spectrum.exponents] == pytest.approx([tau] * 3, rel=0.05)


def test_a_guessing_model_is_never_credited_with_a_lag() -> None:
    highs = [
        recall_by_lag(chance_model(4, seed), one_symbol(4, 100, seed), [1, 2, 4, 8], chance=0.25).horizon.high
        for seed in range(200)
    ]
    assert sum(high == 0 for high in highs) >= 190


def test_a_guessing_model_is_right_once_in_k() -> None:
    found = recall_by_lag(chance_model(5), one_symbol(5, 20_000), [1, 3, 9], chance=0.2)
    assert found.accuracy == pytest.approx([0.2] * 3, abs=4 * math.sqrt(0.16 / 20_000))


def test_a_model_that_lapses_is_not_reported_as_remembering_nothing() -> None:
    found = recall_by_lag(UnreliableLatch(8, 0.8), one_symbol(8, 1000), [1, 4, 16, 64], chance=1 / 8)
    assert found.accuracy == pytest.approx([0.8] * 4, abs=0.05)
    assert (found.horizon.value, found.horizon.censored, found.horizon.low) == (64, True, 64)
    assert found.horizon.nonmonotone is False


@pytest.mark.parametrize("order", [1, 2, 5])
def test_a_markov_source_has_the_memory_it_says(order: int) -> None:
    source = MarkovSource(order, symbols=3, fidelity=0.8)
    tokens = source.tokens(60_000, seed=1)
    assert (tokens == source.tokens(60_000, seed=1)).all()
    for lag in range(1, 8):
        joint = torch.zeros(3, 3, dtype=torch.float64)
        joint.index_put_((tokens[:-lag], tokens[lag:]), torch.ones(1, dtype=torch.float64), accumulate=True)
        joint /= joint.sum()
        worth = float((joint * (joint / (joint.sum(1, keepdim=True) * joint.sum(0))).log2()).sum())
        repeats = 0.8 if lag == order else None
        if repeats is not None:
            assert worth == pytest.approx(source.worth, abs=0.02)
            assert float(joint.trace()) == pytest.approx(0.8, abs=0.01)
        elif lag % order:
            assert worth < 0.001


@pytest.mark.parametrize("k", [2, 3, 5])
def test_an_n_gram_of_order_k_uses_k_minus_1_tokens_of_a_markov_source(k: int) -> None:
    source = MarkovSource(k - 1)
    assert source.worth >= 0.1
    model = KneserNey(k, 2).fit(source.tokens(20_000, seed=1).tolist())
    text = source.tokens(6000, seed=2)
    for before in (None, source.tokens(50, seed=3)):
        found = context_use(model, text, lengths=range(1, 8), targets=4096, before=before)
        assert (found.horizon, found.low, found.high, found.censored) == (k - 1, k - 1, k - 1, False)
        assert found.excess[k - 2 :] == (0.0,) * (9 - k)
        assert all(excess > 0.1 for excess in found.excess[: k - 2])
        assert found.full_bits == pytest.approx(1 - source.worth, abs=0.06)  # four standard errors


def test_an_n_gram_gains_exactly_nothing_beyond_its_order_on_real_text() -> None:
    folder = os.environ.get("LONGHOLD_DATA")
    path = Path(folder or "nowhere") / "timemachine.txt"
    if not path.is_file():
        pytest.skip("timemachine.txt is not in the folder that LONGHOLD_DATA names")
    text = path.read_text(encoding="utf-8").lower()
    alphabet = sorted(set(text))
    ids = torch.tensor([alphabet.index(letter) for letter in text])
    fitted, held_out = ids[:-6000], ids[-6000:]
    for k in (3, 5):
        model = KneserNey(k, len(alphabet)).fit(fitted.tolist())
        found = context_use(model, held_out, lengths=sorted({1, k - 2, k - 1, k, 9}))
        assert found.excess[-3:] == (0.0, 0.0, 0.0)
        assert found.horizon == k - 1
        assert found.excess[0] > 0.1


@pytest.mark.parametrize(
    "make",
    [
        lambda: DelayLine(0, 2),
        lambda: LinearRecurrence(torch.zeros(2, 3)),
        lambda: leaky_integrator([1.0, 0.0]),
        lambda: leaky_integrator([]),
        lambda: UnreliableLatch(1, 0.5),
        lambda: UnreliableLatch(3, 1.5),
        lambda: UnreliableLatch(3, 0.5, seed=-1),
        lambda: MarkovSource(0),
        lambda: MarkovSource(2, fidelity=1.0),
    ],
)
def test_models_that_cannot_be_are_refused_in_one_line(make: object) -> None:
    with pytest.raises(InputError) as caught:
        make()  # type: ignore[operator]
    assert "\n" not in str(caught.value)


def test_they_are_sequence_models() -> None:
    assert all(isinstance(model, SequenceModel) for model, _ in MODELS.values())
