"""Attention against sums written out with complex rotations, the cache, the window."""

import cmath
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from longhold.models.transformer import Attention, TransformerConfig, positions


def attention(**values: Any) -> Attention:
    torch.manual_seed(0)
    config = TransformerConfig(**{"input_size": 3, "output_size": 3, "hidden_size": 6, **values})
    return config.make_mixer(None, torch.float64)


def written_out(mixer: Attention, x: Tensor, reset: Tensor | None) -> Tensor:
    """Each query, key and step by itself in Python numbers; a head's pairs are complex numbers that turn."""
    size, half = mixer.head_size, mixer.head_size // 2
    mapped = (x @ mixer.queries_keys_values.weight.T + mixer.queries_keys_values.bias).tolist()
    inner = mixer.heads * size
    outputs = torch.zeros(x.shape[0], x.shape[1], inner, dtype=torch.float64)
    for b in range(x.shape[1]):
        begun = 0
        for t in range(x.shape[0]):
            begun = t if reset is not None and bool(reset[t, b]) else begun
            first = begun if mixer.window is None else max(begun, t - mixer.window + 1)
            for n in range(mixer.heads):
                at = n * size

                def turned(step: int, start: int, origin: int = begun, row: int = b) -> list[complex]:
                    vector = mapped[step][row][start : start + size]
                    rates = [10_000 ** (-i / half) for i in range(half)]
                    return [
                        complex(vector[i], vector[i + half]) * cmath.exp(1j * (step - origin) * rates[i])
                        for i in range(half)
                    ]

                query = turned(t, at)
                scores = []
                for s in range(first, t + 1):
                    key = turned(s, inner + at)
                    scores.append(sum((q * k.conjugate()).real for q, k in zip(query, key, strict=True)))
                weights = [math.exp(score / math.sqrt(size)) for score in scores]
                for s, weight in zip(range(first, t + 1), weights, strict=True):
                    value = torch.tensor(mapped[s][b][2 * inner + at : 2 * inner + at + size], dtype=torch.float64)
                    outputs[t, b, at : at + size] += weight / sum(weights) * value
    return outputs @ mixer.output.weight.T + mixer.output.bias


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("window", [None, 1, 3])
@pytest.mark.parametrize(("width", "heads"), [(6, 1), (6, 2), (5, 2), (1, 3)])
def test_attention_is_what_is_written_out(width: int, heads: int, window: int | None, resets: bool) -> None:
    mixer = attention(hidden_size=width, num_heads=heads, window=window)
    assert mixer.head_size % 2 == 0
    assert mixer.head_size * heads - width in range(2 * heads)
    x = torch.randn(8, 2, width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    reset = torch.zeros(8, 2, dtype=torch.bool)
    reset[[0, 3, 4], 0] = True
    reset = reset if resets else None
    outputs, _ = mixer(x, mixer.initial_state(2), reset)
    torch.testing.assert_close(outputs, written_out(mixer, x, reset), rtol=0, atol=1e-12)


def test_positions_count_from_the_beginning_the_state_or_the_last_reset() -> None:
    seen, reset = torch.tensor([[0, 5, 5]]), torch.zeros(4, 3, dtype=torch.bool)
    reset[2, 2] = True
    assert positions(seen, 4, None).T.tolist() == [[0, 1, 2, 3], [5, 6, 7, 8], [5, 6, 7, 8]]
    assert positions(seen, 4, reset).T.tolist() == [[0, 1, 2, 3], [5, 6, 7, 8], [5, 6, 0, 1]]


def test_a_window_bounds_the_cache_and_so_does_a_reset_of_all_rows() -> None:
    x = torch.randn(9, 2, 6, dtype=torch.float64)
    windowed = attention(window=4)
    _, cache = windowed(x, windowed.initial_state(2), None)
    assert cache.keys.shape == (3, 2, 8)
    assert cache.keys.untyped_storage().nbytes() == cache.keys.numel() * 8
    mixer = attention()
    reset = torch.zeros(9, 2, dtype=torch.bool)
    reset[3, 0] = reset[6, 1] = True
    _, cache = mixer(x, mixer.initial_state(2), reset)
    assert cache.keys.shape == (6, 2, 8)
    assert cache.seen.tolist() == [[6, 3]]


def test_state_bytes_grow_with_the_tokens_up_to_the_window() -> None:
    config = TransformerConfig(input_size=3, output_size=3, hidden_size=6, num_layers=3)
    per_token = 3 * 2 * 8 * 4  # layers, keys and values, two heads of 4, float32; 6/2 = 3 rounds up to 4
    for tokens in (0, 1, 100):
        assert config.build().state_bytes(2, tokens) == 2 * (tokens * per_token + 3 * 8)
    bounded = config.model_copy(update={"window": 10}).build()
    assert bounded.state_bytes(1, 100) == bounded.state_bytes(1, 9) == 9 * per_token + 24


def test_a_step_sees_exactly_its_window() -> None:
    mixer = attention(window=3)
    x = torch.randn(7, 1, 6, dtype=torch.float64).requires_grad_()
    outputs, _ = mixer(x, mixer.initial_state(1), None)
    (gradient,) = torch.autograd.grad(outputs[5].sum(), x)
    assert gradient.abs().sum((1, 2)).gt(0).tolist() == [False, False, False, True, True, True, False]
