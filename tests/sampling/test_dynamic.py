"""Dynamic evaluation against its equations written out, and on a text whose style shifts."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from longhold.errors import InputError
from longhold.models.language_model import LanguageModel, LanguageModelConfig
from longhold.sampling import DynamicConfig, dynamic_surprise, surprise


def language_model(cell: str = "lstm") -> LanguageModel:
    torch.manual_seed(1)
    config = LanguageModelConfig(cell=cell, vocab_size=6, hidden_size=8, dropout=0.5)  # type: ignore[arg-type]
    return config.build(dtype=torch.float64)


def slowly(model: LanguageModel, ids: torch.Tensor, config: DynamicConfig) -> list[float]:
    """The same by nn.LSTM and SGD of torch, weight by weight."""
    lstm, output = nn.LSTM(6, 8).double(), nn.Linear(8, 6).double()
    lstm.load_state_dict(model.layer.state_dict())
    output.load_state_dict(model.output.state_dict())
    weights = [*lstm.parameters(), *output.parameters()]
    trained = [weight.detach().clone() for weight in weights]
    state, found = None, []
    for start in range(0, len(ids) - 1, config.segment):
        stop = min(start + config.segment, len(ids) - 1)
        outputs, state = lstm(F.one_hot(ids[start:stop], 6).double()[:, None], state)
        losses = F.cross_entropy(output(outputs)[:, 0], ids[start + 1 : stop + 1], reduction="none")
        found += losses.tolist()
        for weight in weights:
            weight.grad = None
        losses.mean().backward()
        state = tuple(part.detach() for part in state)
        for weight, before in zip(weights, trained, strict=True):
            weight.data = weight.data - config.rate * weight.grad + config.decay * (before - weight.data)
    return found


@pytest.mark.parametrize("length", [2, 6, 43])
def test_it_is_what_the_equations_say(length: int) -> None:
    model, ids = language_model(), torch.randint(6, (length,))
    config = DynamicConfig(rate=0.7, decay=0.05, segment=5)
    np.testing.assert_allclose(dynamic_surprise(model, ids.numpy(), config), slowly(model, ids, config), rtol=1e-9)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("segment", [1, 7, 1000])
def test_at_rate_0_it_is_the_model_as_it_is(cell: str, segment: int) -> None:
    model, ids = language_model(cell), torch.randint(6, (300,)).numpy()
    found = dynamic_surprise(model, ids, DynamicConfig(rate=0, decay=0.5, segment=segment))
    np.testing.assert_allclose(found, surprise(model, ids), rtol=1e-12)


def test_the_model_stays_as_it_was() -> None:
    model = language_model().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.output.bias.requires_grad_(False)
    dynamic_surprise(model, np.arange(60) % 6, DynamicConfig(rate=1))
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert model.training
    assert not model.output.bias.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())


def test_no_token_is_scored_by_weights_that_have_seen_it() -> None:
    model, ids = language_model(), np.arange(40) % 6
    other = np.concatenate([ids[:31], [5, 5, 5, 5, 5, 5, 5, 5, 5]])
    config = DynamicConfig(rate=1, segment=10)
    there, here = dynamic_surprise(model, ids, config), dynamic_surprise(model, other, config)
    np.testing.assert_array_equal(there[:30], here[:30])


def test_it_helps_where_the_style_shifts_and_the_more_the_longer() -> None:
    """Trained on a b a b ..., read on c d e c d e ...: the static model stays wrong, the dynamic one learns."""
    model = language_model()
    optimizer = torch.optim.Adam(model.parameters(), 0.03)
    known = torch.arange(41)[:, None] % 2
    for _ in range(60):
        optimizer.zero_grad()
        model.loss(known[:-1], known[1:])[0].backward()
        optimizer.step()
    shifted = np.concatenate([np.arange(100) % 2, 2 + np.arange(600) % 3])
    fixed, dynamic = surprise(model, shifted), dynamic_surprise(model, shifted, DynamicConfig(rate=0.3))
    assert dynamic[:100].mean() < fixed[:100].mean() + 0.01  # costs nothing before
    assert dynamic.mean() < 0.5 * fixed.mean()
    assert dynamic[600:].mean() < dynamic[120:220].mean()


def test_a_rate_that_is_too_large_is_one_line() -> None:
    with pytest.raises(InputError, match="try a rate below 1e\\+39") as caught:
        dynamic_surprise(language_model().float(), np.arange(300) % 6, DynamicConfig(rate=1e39))
    assert "\n" not in str(caught.value)
    for values in ({"rate": -1}, {"rate": float("inf")}, {"decay": 2}, {"segment": 0}):
        with pytest.raises(InputError, match=next(iter(values))):
            DynamicConfig(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_learns_whatever_the_caller_has_turned_off(mode: type) -> None:
    model, ids = language_model(), np.arange(40) % 6
    expected = dynamic_surprise(model, ids, DynamicConfig())
    with mode():
        assert np.array_equal(dynamic_surprise(model, ids, DynamicConfig()), expected)
