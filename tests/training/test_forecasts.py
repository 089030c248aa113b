"""What a training would be and take, against the training itself."""

import time

import pytest
import torch

from longhold.data import Corpus
from longhold.errors import InputError
from longhold.models import LanguageModelConfig
from longhold.training import TrainConfig, forecast, text_batches, train
from longhold.training.budget import expected_seconds
from longhold.training.plan import TextOptions
from longhold.training.recipe import train_text

TEXT = "".join(f"{n} times {n} is {n * n}.\n" for n in range(300))


def corpus(text: str = TEXT) -> Corpus:
    return Corpus("squares", text, "utf-8", 1, ())


def test_it_is_what_the_training_then_does() -> None:
    options = TextOptions(cell="gru", hidden_size=5, training={"steps": 3})
    found = forecast(corpus(), options)
    trained = train_text(corpus(), options)
    assert found.model == trained.model.config
    assert found.training.steps == trained.result.steps == 3
    assert found.parameters == sum(parameter.numel() for parameter in trained.model.parameters())
    assert found.characters == trained.characters
    assert found.characters + found.held_out == len(TEXT)


def test_a_budget_decides_as_it_does_for_the_training() -> None:
    options = TextOptions(cell="rnn", budget_seconds=600)
    found = forecast(corpus(), options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("longhold.training.budget.steps_for_budget", lambda *arguments: 2)
        trained = train_text(corpus(), options)
    assert found.model == trained.model.config
    assert found.model.hidden_size != forecast(corpus(), TextOptions(cell="rnn")).model.hidden_size
    assert found.seconds == 600


def test_nothing_is_changed_by_it() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    forecast(corpus(), TextOptions(hidden_size=5))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_time_is_about_what_it_takes() -> None:
    model = LanguageModelConfig(cell="lstm", vocab_size=11, hidden_size=64).build()
    tokens = torch.randint(11, (6_000,)).numpy()
    config = TrainConfig(steps=60, batch_size=16, sequence_length=64, evaluate_every=20)
    batches = text_batches(tokens, config)
    expected = expected_seconds(config, model, batches, held_out=tokens[:600])
    began = time.perf_counter()
    train(model, batches, config, held_out=tokens[:600])
    taken = time.perf_counter() - began
    assert taken / 8 < expected < 8 * taken  # other work may begin or end between the two


def test_a_text_that_is_too_short_is_refused() -> None:
    with pytest.raises(InputError, match="at least 200 characters"):
        forecast(corpus("short"), TextOptions())
