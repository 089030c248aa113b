"""Settings that someone who chose nothing gets."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from longhold.errors import InputError
from longhold.models.language_model import LanguageModelConfig
from longhold.training import fitted_config, preset, text_batches, train
from longhold.training.presets import candidates
from tests.training.program import tokens


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("characters", [1, 100, 49_999, 50_000, 180_000, 2_000_000, 20_000_000, 10**10])
@pytest.mark.parametrize(("device", "cores"), [("cpu", 1), ("cpu", 2), ("cpu", 64), ("cuda", 1)])
def test_every_preset_is_a_model_and_a_sentence(cell: str, characters: int, device: str, cores: int) -> None:
    chosen = preset(characters, device, cores, cell)
    assert isinstance(chosen.model_config(28), LanguageModelConfig)
    assert chosen.model_config(28).embedding_size is None
    assert chosen.model_config(5000).embedding_size is not None
    assert chosen.config.steps >= 200
    assert chosen.sentence.count(".") == 1 + f"{chosen.config.lr:g}".count(".")
    for said in (f"{characters:,}", cell.upper(), str(chosen.hidden_size), f"{chosen.config.lr:g}"):
        assert said in chosen.sentence


def test_longer_texts_and_more_cores_get_larger_models() -> None:
    widths = [preset(n, "cuda", 8).hidden_size for n in (10_000, 10**6, 10**7, 10**9)]
    assert widths == sorted(set(widths))
    few = preset(10**9, "cpu", 7)
    assert (few.hidden_size, few.num_layers, few.config.batch_size, few.config.sequence_length) == (256, 2, 16, 64)
    assert preset(10**9, "cpu", 7, hidden_size=512).config.lr < few.config.lr
    assert preset(10**9, "cpu", 16).hidden_size == 1024
    assert preset(10**9, torch.device("cpu"), 16) == preset(10**9, "cpu", 16)


def test_the_smallest_preset_trains() -> None:
    ids = tokens(400)
    chosen = preset(len(ids), "cpu", 1)
    config = fitted_config(chosen.config, ids)
    assert (config.batch_size, config.sequence_length) == (8, 32)
    config = type(config)(**{**config.model_dump(), "steps": 20, "warmup_steps": 2})
    result = train(chosen.model_config(17).build(), text_batches(ids, config), config, held_out=tokens(500)[400:])
    assert result.steps == 20


def test_a_text_that_fits_keeps_its_batch() -> None:
    config = preset(3000, "cpu", 1).config
    assert fitted_config(config, tokens(3000)) == config


def test_too_short_for_anything() -> None:
    with pytest.raises(InputError, match="at least 50 tokens, got 10"):
        fitted_config(preset(10, "cpu", 1).config, tokens(10))


def test_nonsense_is_refused() -> None:
    with pytest.raises(InputError, match="characters=0"):
        preset(0, "cpu", 1)
    with pytest.raises(InputError, match="cores=0"):
        preset(10, "cpu", 0)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("characters", [1000, 180_000, 5_000_000, 10**9])
def test_awd_ties_locks_drops_and_averages(cell: str, characters: int) -> None:
    plain, chosen = preset(characters, "cpu", 16, cell), preset(characters, "cpu", 16, cell, "awd")
    config = chosen.model_config(80)
    assert config.tie_weights
    assert config.locked_dropout
    assert min(config.weight_dropout, config.input_dropout, config.output_dropout or 0) > 0
    assert config.build().embedding.weight.shape == (80, chosen.hidden_size)
    assert (chosen.config.average_from, chosen.config.average_decay) == (0.5, 0.998)
    assert (plain.config.average_from, plain.model_config(80).weight_dropout) == (None, 0.0)
    assert (chosen.hidden_size, chosen.config.steps) == (plain.hidden_size, plain.config.steps)
    assert "AWD-LSTM" in chosen.sentence
    assert "AWD-LSTM" not in plain.sentence
    assert chosen.model_config(80).with_hidden_size(24).build().output.in_features == 24


def shapes(characters: int, device: str = "cpu", cores: int = 2, **given: Any) -> list[tuple[int, int, bool]]:
    """Width, layers and whether it is regularised, of all that a budget may be spent on."""
    offered = [one.preset for one in candidates(characters, device, cores, **given)]
    return [(one.hidden_size, one.num_layers, bool(one.regularization)) for one in offered]


def test_a_short_text_is_offered_more_for_more_time() -> None:
    assert shapes(2_700) == [(256, 1, True), (128, 1, False)]
    assert shapes(160_000) == [(512, 1, True), (256, 1, True), (256, 1, False)]
    assert shapes(900_000) == [(512, 1, True), (256, 2, False), (256, 1, True), (256, 1, False)]
    rates = [one.preset.config.lr for one in candidates(160_000, "cpu", 2)]
    assert rates == sorted(rates)
    for characters in (2_700, 160_000, 900_000):
        offered = candidates(characters, "cpu", 2)
        assert offered[-1] == (preset(characters, "cpu", 2), 0)
        assert all(one.steps >= offered[-1].preset.config.steps for one in offered[:-1])
        assert all("pass" not in one.preset.sentence for one in offered)


def test_a_long_text_is_offered_smaller_batches_for_less_time() -> None:
    assert shapes(10**7, cores=2) == [(256, 2, False)]
    assert shapes(10**7, cores=16) == [(512, 2, False), (256, 2, False)]
    assert shapes(10**9, "cuda", 1) == [(1024, 2, False), (512, 2, False), (256, 2, False)]
    assert shapes(10**9, "cuda", 1, hidden_size=300) == [(300, 2, False)] * 3
    batches = [one.preset.config.batch_size for one in candidates(10**9, "cuda", 1)]
    assert batches == [128, 64, 16]
    assert [one.steps for one in candidates(10**9, "cuda", 1)] == [1000, 1000, 0]


def test_what_a_person_decided_stays() -> None:
    assert shapes(160_000, recipe="standard") == [(256, 1, False)]
    assert shapes(900_000, recipe="standard") == [(256, 2, False), (256, 1, False)]
    assert shapes(160_000, recipe="awd") == [(512, 1, True), (256, 1, True), (256, 1, True)]
    assert preset(160_000, "cpu", 2, recipe="awd").regularization
    assert shapes(160_000, hidden_size=300) == shapes(160_000, hidden_size=300, sized=True) == [(300, 1, False)]
    assert shapes(160_000, sized=True) == [(256, 1, False)]
    assert preset(160_000, "cpu", 2, hidden_size=600).config.lr < preset(160_000, "cpu", 2, hidden_size=300).config.lr
