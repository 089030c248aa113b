"""The language model learns, and its widths follow one another."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.helpers import assert_all_close

from longhold.errors import InputError
from longhold.models.contract import SequenceModel
from longhold.models.language_model import LanguageModelConfig

ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.floats())
SIZES = st.integers(-1, 5)
RATES = st.floats(-0.1, 1.1)
VALUES = {
    "cell": st.sampled_from(["rnn", "gru", "lstm"]),
    "vocab_size": SIZES,
    "hidden_size": SIZES,
    "num_layers": SIZES,
    "embedding_size": st.none() | SIZES,
    "dropout": RATES,
    "init": st.sampled_from(["uniform", "tutorial", "forget:2", "chrono:9", "chrono:1", "orthogonal", "identity"]),
    "layer_norm": st.booleans(),
    "recurrent_dropout": RATES,
    "zoneout": RATES | st.tuples(RATES, RATES),
    "weight_dropout": RATES,
    "learn_initial_state": st.booleans(),
    "nonlinearity": st.sampled_from(["tanh", "relu", "sine"]),
    "reset_after": st.booleans(),
    "peephole": st.booleans(),
    "coupled_gates": st.booleans(),
    "proj_size": SIZES,
    "tie_weights": st.booleans(),
}
SOUND = {"cell": "lstm", "vocab_size": 3, "hidden_size": 4}


@st.composite
def some_values(draw: st.DrawFn) -> dict[str, Any]:
    """A sound configuration with a few fields drawn from what is nearly right, and now and then from anything."""
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), unique=True, max_size=4))
    return {**SOUND, **{name: draw(VALUES[name] if draw(st.integers(0, 9)) else ANYTHING) for name in names}}


@settings(max_examples=400)
@given(some_values())
def test_any_configuration_runs_and_survives_json_or_is_refused_in_one_line(values: dict[str, Any]) -> None:
    try:
        config = LanguageModelConfig(**values)
    except InputError as error:
        line = str(error)
    else:
        line = ""
        assert LanguageModelConfig.model_validate_json(config.model_dump_json()) == config
        if max(config.hidden_size, config.vocab_size, config.num_layers, config.embedding_size or 0) < 10:
            model = config.build()
            nats, _ = model.loss(torch.zeros(2, 2, dtype=torch.long), torch.zeros(2, 2, dtype=torch.long))
            assert nats.isfinite()
    assert "\n" not in line


def test_with_hidden_size_keeps_a_tied_model_tied() -> None:
    config = LanguageModelConfig(cell="lstm", vocab_size=9, hidden_size=4, embedding_size=4, tie_weights=True)
    wider = config.with_hidden_size(6)
    assert (wider.hidden_size, wider.embedding_size) == (6, 6)
    projected = LanguageModelConfig(
        cell="lstm", vocab_size=9, hidden_size=8, embedding_size=3, proj_size=3, tie_weights=True
    ).with_hidden_size(12)
    assert (projected.hidden_size, projected.embedding_size) == (12, 3)
    assert projected.build().output.weight.shape == (9, 3)


def test_a_free_embedding_keeps_its_width() -> None:
    config = LanguageModelConfig(cell="gru", vocab_size=9, hidden_size=4, embedding_size=5)
    assert config.with_hidden_size(6).embedding_size == 5


def test_a_configuration_survives_json() -> None:
    config = LanguageModelConfig(cell="lstm", vocab_size=9, hidden_size=4, zoneout=(0.1, 0.2), init="chrono:50")
    assert LanguageModelConfig.model_validate_json(config.model_dump_json()) == config


def test_it_learns_a_text_that_repeats() -> None:
    torch.manual_seed(0)
    model = LanguageModelConfig(cell="gru", vocab_size=4, hidden_size=16).build()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    text = torch.tensor([0, 1, 0, 2, 0, 3] * 5).unsqueeze(1)  # after 0 only the past tells what comes
    for _ in range(150):
        nats, _ = model.loss(text[:-1], text[1:])
        optimizer.zero_grad()
        nats.backward()
        optimizer.step()
    assert nats.item() < 0.1


CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "one-hot": {"vocab_size": 9, "hidden_size": 7},
    "embedded": {"vocab_size": 40, "hidden_size": 7, "embedding_size": 5, "num_layers": 2, "dropout": 0.3},
    "tied": {"vocab_size": 300, "hidden_size": 6, "embedding_size": 6, "tie_weights": True},
    "projected": {"cell": "lstm", "vocab_size": 9, "hidden_size": 7, "proj_size": 3, "learn_initial_state": True},
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("training", [False, True])
def test_its_loss_is_the_contracts_with_every_gradient(name: str, training: bool) -> None:
    config = LanguageModelConfig(**{"cell": "gru", **CONFIGURATIONS[name]})
    model = config.build(dtype=torch.float64).train(training)
    ids = torch.randint(0, config.vocab_size, (6, 5))
    targets = torch.randint(0, config.vocab_size, (6, 5))
    targets[3, 2:] = -100
    reset = torch.rand(6, 5) < 0.3
    found = []
    for loss in (model.loss, lambda *given: SequenceModel.loss(model, *given)):
        torch.manual_seed(2)
        nats, state = loss(ids, targets, model.initial_state(5), reset)
        gradients = torch.autograd.grad(nats, list(model.parameters()))
        fields = (state,) if isinstance(state, torch.Tensor) else state
        names = [f"d_{name}" for name, _ in model.named_parameters()]
        found.append(
            {"nats": nats.detach()}
            | {f"state {k}": field.detach() for k, field in enumerate(fields)}
            | dict(zip(names, gradients, strict=True))
        )
    assert_all_close(found[0], found[1], name)


def test_its_loss_makes_no_logits_of_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    model = LanguageModelConfig(cell="rnn", vocab_size=9, hidden_size=7).build()
    ids = torch.randint(0, 9, (6, 5))
    monkeypatch.setattr(type(model.output), "forward", lambda *_: pytest.fail("the output layer ran on its own"))
    nats, _ = model.loss(ids, ids)
    nats.backward()
    assert nats.isfinite()
