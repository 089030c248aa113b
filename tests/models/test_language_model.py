"""The language model learns, and its widths follow one another."""

import torch

from longhold.models.language_model import LanguageModelConfig


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
