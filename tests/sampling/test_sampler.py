"""Sampling against distributions worked out with numpy by their definitions, and against counts of many draws."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longhold.errors import InputError
from longhold.sampling import SamplingConfig, filter_logits, sample
from longhold.sampling.sampler import draw_uniforms


def by_definition(logits: list[float], config: SamplingConfig) -> np.ndarray:
    """The distribution, one token at a time in float64."""
    weights = np.exp((np.array(logits) - max(logits)) / config.temperature)
    probabilities = weights / weights.sum()
    if config.top_k is not None:
        floor = sorted(probabilities, reverse=True)[: config.top_k][-1]
        probabilities = np.array([p if p >= floor else 0.0 for p in probabilities])
        probabilities /= probabilities.sum()
    if config.top_p is not None:
        kept, total = set(), 0.0
        for token in sorted(range(len(logits)), key=lambda token: (-probabilities[token], token)):
            if total >= config.top_p:
                break
            kept.add(token)
            total += probabilities[token]
        probabilities = np.array([p if token in kept else 0.0 for token, p in enumerate(probabilities)])
        probabilities /= probabilities.sum()
    if config.min_p is not None:
        floor = config.min_p * probabilities.max()
        probabilities = np.array([p if p >= floor else 0.0 for p in probabilities])
        probabilities /= probabilities.sum()
    return probabilities


LOGITS = [2.0, -1.0, 0.5, 0.5, -3.0, 1.0, 2.0, -8.0]
CONFIGS = [
    SamplingConfig(),
    SamplingConfig(temperature=0.5),
    SamplingConfig(temperature=3.0),
    SamplingConfig(top_k=1),
    SamplingConfig(top_k=3),
    SamplingConfig(top_k=4),
    SamplingConfig(top_k=100),
    SamplingConfig(top_p=0.01),
    SamplingConfig(top_p=0.7),
    SamplingConfig(top_p=1.0),
    SamplingConfig(min_p=0.0),
    SamplingConfig(min_p=0.2),
    SamplingConfig(min_p=1.0),
    SamplingConfig(temperature=0.7, top_k=5, top_p=0.8, min_p=0.1),
    SamplingConfig(temperature=2.0, top_k=6, top_p=0.9, min_p=0.3),
]


@pytest.mark.parametrize("config", CONFIGS, ids=repr)
def test_the_filtered_distribution_is_the_defined_one(config: SamplingConfig) -> None:
    rows = torch.tensor([LOGITS, LOGITS[::-1]], dtype=torch.float64)
    filtered = filter_logits(rows, config)
    expected = np.stack([by_definition(LOGITS, config), by_definition(LOGITS[::-1], config)])
    np.testing.assert_allclose(filtered.softmax(-1).numpy(), expected, atol=1e-12)
    assert filtered.amax(-1).tolist() == [0.0, 0.0]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.floats(-30, 30), min_size=1, max_size=12),
    st.floats(0.05, 5),
    st.none() | st.integers(1, 15),
    st.none() | st.floats(0.01, 0.99),
    st.none() | st.floats(0, 1),
)
def test_any_filter_keeps_a_best_token_and_only_drops(
    logits: list[float], temperature: float, k: int | None, p: float | None, floor: float | None
) -> None:
    config = SamplingConfig(temperature=temperature, top_k=k, top_p=p, min_p=floor)
    row = torch.tensor(logits, dtype=torch.float64)
    filtered = filter_logits(row, config)
    kept = torch.isfinite(filtered)
    assert kept.any()
    assert row[kept].max() == row.max()
    assert torch.equal(filtered[kept], ((row - row.max()) / temperature)[kept])


@pytest.mark.parametrize("config", [CONFIGS[0], CONFIGS[4], CONFIGS[8], CONFIGS[11], CONFIGS[13]], ids=repr)
def test_many_draws_have_the_defined_frequencies(config: SamplingConfig) -> None:
    """Chi-square below its 99.9 % point, which a fixed seed passes for good."""
    draws = 40_000
    generator = torch.Generator().manual_seed(11)
    ids = sample(torch.tensor([LOGITS]).expand(draws, -1), config, generator)
    counts = np.bincount(ids.numpy(), minlength=len(LOGITS))
    expected = by_definition(LOGITS, config) * draws
    possible = expected > 0
    assert counts[~possible].sum() == 0
    chi_square = ((counts - expected)[possible] ** 2 / expected[possible]).sum()
    degrees = possible.sum() - 1
    assert chi_square < degrees + 3.1 * math.sqrt(2 * degrees) + 6


@pytest.mark.parametrize("config", [SamplingConfig(greedy=True), SamplingConfig(temperature=0.0)])
def test_greedy_takes_the_first_of_the_best_and_draws_nothing(config: SamplingConfig) -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert sample(torch.tensor([LOGITS, [0.0] * 7 + [1.0]]), config, generator).tolist() == [0, 7]
    assert torch.equal(generator.get_state(), before)
    assert filter_logits(torch.tensor(LOGITS), config).softmax(-1).tolist() == [1.0] + [0.0] * 7


def test_the_same_generator_state_gives_the_same_draws() -> None:
    rows = torch.zeros(100, 5)
    first = [sample(rows, SamplingConfig(), torch.Generator().manual_seed(seed)).tolist() for seed in (1, 1, 2)]
    assert first[0] == first[1] != first[2]


@pytest.mark.parametrize("config", [CONFIGS[0], CONFIGS[4], CONFIGS[8], CONFIGS[13]], ids=repr)
def test_a_token_is_the_first_above_its_uniform_number(config: SamplingConfig) -> None:
    draws = 300
    generator, same = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    ids = sample(torch.tensor([LOGITS], dtype=torch.float64).expand(draws, -1), config, generator)
    uniforms = torch.rand(draws, dtype=torch.float64, generator=same).numpy()
    cumulated = np.cumsum(by_definition(LOGITS, config))
    assert ids.tolist() == [int(np.argmax(cumulated > u)) for u in uniforms]


def test_numbers_in_blocks_are_those_drawn_one_by_one() -> None:
    one, other = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5)
    device, config = torch.device("cpu"), SamplingConfig()
    singly = torch.cat([draw_uniforms((1, 3), config, one, device) for _ in range(50)])
    assert torch.equal(draw_uniforms((50, 3), config, other, device), singly)
    before = one.get_state()
    assert not draw_uniforms((50, 3), SamplingConfig(greedy=True), one, device).any()
    assert torch.equal(one.get_state(), before)


def test_impossible_tokens_stay_impossible() -> None:
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0]]).expand(200, -1)
    for config in (SamplingConfig(), SamplingConfig(top_p=0.999), SamplingConfig(top_k=3), SamplingConfig(min_p=0.0)):
        assert set(sample(logits, config, torch.Generator().manual_seed(0)).tolist()) == {1, 3}


def test_a_tiny_temperature_is_nearly_greedy_and_overflows_nowhere() -> None:
    ids = sample(torch.tensor([LOGITS[:6]]), SamplingConfig(temperature=1e-30))
    assert ids.tolist() == [0]


def test_half_precision_is_worked_in_float32() -> None:
    filtered = filter_logits(torch.tensor([[0.0, 1.0]], dtype=torch.bfloat16), SamplingConfig(temperature=0.3))
    assert filtered.dtype == torch.float32
    assert filtered[0, 0].item() == pytest.approx(-1 / 0.3)


@pytest.mark.parametrize("bad", [[0.0, float("nan")], [float("inf"), 0.0], [-float("inf")] * 2])
@pytest.mark.parametrize("greedy", [False, True])
def test_an_output_that_is_not_finite_is_refused(bad: list[float], greedy: bool) -> None:
    with pytest.raises(InputError, match="not finite"):
        sample(torch.tensor([[0.0, 0.0], bad]), SamplingConfig(greedy=greedy))


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"temperature": -0.1}, "temperature=-0.1: should be greater than or equal to 0"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"top_k": 0}, "top_k=0: should be greater than or equal to 1"),
        ({"top_p": 0.0}, "top_p=0.0: should be greater than 0"),
        ({"top_p": 1.5}, "top_p=1.5"),
        ({"min_p": 2}, "min_p=2"),
        ({"repetition_penalty": 0.9}, "repetition_penalty=0.9: should be greater than or equal to 1"),
        ({"repetition_penalty": 101}, "repetition_penalty=101"),
        ({"repetition_window": 0}, "repetition_window=0"),
        ({"topp": 0.5}, "unknown option 'topp'"),
    ],
)
def test_values_that_cannot_be_are_refused(values: dict, line: str) -> None:
    with pytest.raises(InputError, match=line):
        SamplingConfig(**values)


def penalised_by_definition(logits: list[float], recent: list[int], penalty: float) -> list[float]:
    """CTRL's rule, one token at a time."""
    out = list(logits)
    for token in set(recent):
        out[token] = out[token] / penalty if out[token] > 0 else out[token] * penalty
    return out


@pytest.mark.parametrize("recent", [[], [0], [1, 1, 1], [0, 4, 6, 4], list(range(8))])
@pytest.mark.parametrize("penalty", [1.0, 1.3, 40.0])
def test_the_repetition_penalty_is_the_defined_one(recent: list[int], penalty: float) -> None:
    config = SamplingConfig(repetition_penalty=penalty, temperature=0.7, top_k=6, top_p=0.95, min_p=0.01)
    without = SamplingConfig(temperature=0.7, top_k=6, top_p=0.95, min_p=0.01)
    logits = torch.tensor([LOGITS, LOGITS[::-1]], dtype=torch.float64)
    filtered = filter_logits(logits, config, torch.tensor([recent, recent], dtype=torch.int64))
    rows = (penalised_by_definition(row, recent, penalty) for row in (LOGITS, LOGITS[::-1]))
    expected = np.stack([by_definition(row, without) for row in rows])
    np.testing.assert_allclose(filtered.softmax(-1).numpy(), expected, atol=1e-12)


def test_the_penalty_falls_on_each_row_s_own_tokens_and_on_greedy_too() -> None:
    config = SamplingConfig(greedy=True, repetition_penalty=5)
    logits = torch.tensor([[2.0, 1.0, -1.0], [2.0, 1.0, -1.0]])
    assert sample(logits, config, recent=torch.tensor([[0, 2], [1, 1]])).tolist() == [1, 0]
    assert sample(logits, config).tolist() == [0, 0]
    assert logits[0, 0] == 2.0


def test_an_impossible_token_stays_impossible_under_a_penalty() -> None:
    logits = torch.tensor([[-torch.inf, 1.0]])
    filtered = filter_logits(logits, SamplingConfig(repetition_penalty=2), torch.tensor([[0, 1]]))
    assert filtered.tolist() == [[-torch.inf, 0.0]]


ALLOWED = [False, True, True, False, True, True, False, True]


@pytest.mark.parametrize("config", CONFIGS, ids=repr)
def test_what_may_come_is_settled_first_and_renormalised(config: SamplingConfig) -> None:
    logits = torch.tensor([LOGITS, LOGITS[::-1]], dtype=torch.float64)
    allowed = torch.tensor([ALLOWED, [True] * 8])
    filtered = filter_logits(logits, config, allowed=allowed)
    there = [token for token in range(8) if ALLOWED[token]]
    expected = np.zeros((2, 8))
    expected[0, there] = by_definition([LOGITS[token] for token in there], config)
    expected[1] = by_definition(LOGITS[::-1], config)
    np.testing.assert_allclose(filtered.softmax(-1).numpy(), expected, atol=1e-12)


def test_the_best_is_the_best_of_what_may_come_penalty_included() -> None:
    logits, allowed = torch.tensor([LOGITS, LOGITS]), torch.tensor([ALLOWED, ALLOWED])
    assert sample(logits, SamplingConfig(greedy=True), allowed=allowed).tolist() == [5, 5]
    penalty, recent = SamplingConfig(greedy=True, repetition_penalty=9), torch.tensor([[5, 0], [1, 0]])
    assert sample(logits, penalty, recent=recent, allowed=allowed).tolist() == [2, 5]


@pytest.mark.parametrize("config", [SamplingConfig(), SamplingConfig(greedy=True), SamplingConfig(temperature=0.1)])
def test_where_all_that_may_come_is_impossible_it_is_equally_likely(config: SamplingConfig) -> None:
    logits = torch.tensor([[1.0, -torch.inf, -torch.inf, 5.0], [1.0, 2.0, -torch.inf, 5.0]])
    allowed = torch.tensor([[False, True, True, False]] * 2)
    found = filter_logits(logits, config, allowed=allowed).softmax(-1)
    even = [0.0, 1.0, 0.0, 0.0] if config.greedy else [0.0, 0.5, 0.5, 0.0]
    assert found.tolist() == [even, [0.0, 1.0, 0.0, 0.0]]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_an_output_that_is_not_finite_is_refused_wherever_it_is(bad: float) -> None:
    with pytest.raises(InputError, match="not finite"):
        sample(torch.tensor([[bad, 1.0]]), SamplingConfig(), allowed=torch.tensor([[False, True]]))
