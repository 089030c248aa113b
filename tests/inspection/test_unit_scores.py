"""Unit scores: planted units are found, and scores are those of their definitions."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from longhold.data.tokenizers import CharTokenizer
from longhold.errors import InputError
from longhold.inspection import text_properties, unit_scores
from longhold.inspection.unit_scores import LEAST
from longhold.models.language_model import LanguageModelConfig
from longhold.text import TextModel


def slow_auc(values: torch.Tensor, labels: torch.Tensor) -> float:
    """The probability that a step with the property has the higher value, over all pairs."""
    pairs = values[labels][:, None] - values[~labels][None]
    return float((pairs > 0).double().mean() + (pairs == 0).double().mean() / 2)


def test_a_planted_unit_is_found_and_its_auc_is_that_of_all_pairs() -> None:
    labels = torch.rand(601) < 0.3
    states = torch.randn(2, 601, 5).round(decimals=1)
    states[1, :, 3] -= 1.5 * labels
    found = unit_scores(states, labels, best=3)
    assert found.measure == "AUC"
    assert found.steps == 301
    first = found.units[0]
    assert (first.layer, first.unit, first.rises) == (1, 3, False)
    assert first.found == pytest.approx(1 - slow_auc(states[1, :300, 3], labels[:300]))
    assert first.held_out == pytest.approx(1 - slow_auc(states[1, 300:, 3], labels[300:]))
    assert first.held_out > 0.8 > found.units[1].found >= found.units[2].found >= 0.5


def test_a_unit_that_counts_is_found_by_rank_correlation() -> None:
    labels = torch.arange(400) % 37 + 0.0
    states = torch.randn(1, 400, 6)
    states[0, :, 2] = torch.tanh(-labels / 10) + 0.05 * torch.randn(400)
    found = unit_scores(states, labels)
    assert found.measure == "rank correlation"
    assert [unit.unit for unit in found.units[:1]] == [2]
    assert len(found.units) == 6
    for unit in found.units:
        values = states[0, :, unit.unit].numpy()
        first, second = (spearmanr(values[part], labels[part].numpy())[0] for part in (slice(200), slice(200, None)))
        assert unit.found == pytest.approx(abs(first))
        assert unit.held_out == pytest.approx(second * np.sign(first))


def test_a_score_that_is_luck_does_not_hold_on_the_other_half() -> None:
    labels = torch.rand(2000) < 0.5
    states = torch.randn(1, 2000, 400)
    best = unit_scores(states, labels, best=10).units
    assert min(unit.found for unit in best) > 0.53
    assert np.mean([unit.held_out for unit in best]) == pytest.approx(0.5, abs=0.02)


def test_a_unit_that_stands_still_scores_nothing() -> None:
    found = unit_scores(torch.zeros(1, 200, 2), torch.arange(200.0))
    assert [(unit.found, unit.held_out) for unit in found.units] == [(0, 0), (0, 0)]


def test_too_few_of_either_side_in_either_half_is_said_by_none() -> None:
    states = torch.randn(1, 200, 2)
    labels = torch.zeros(200, dtype=torch.bool)
    labels[: LEAST + 50] = True
    assert unit_scores(states, labels) is None
    labels[150 : 150 + LEAST] = True
    assert unit_scores(states, labels) is not None
    labels[150] = False
    assert unit_scores(states, labels) is None
    assert unit_scores(states, torch.ones(200)) is None


def test_shapes_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(InputError, match=r"states \(1, 5, 2\) and labels \(4,\)"):
        unit_scores(torch.zeros(1, 5, 2), torch.zeros(4))


def bracket_model(tokenizer: CharTokenizer) -> TextModel:
    """An LSTM whose unit 2 is written by hand: "(" stores 1 in it and ")" stores -1, all others leave it."""
    model = LanguageModelConfig(cell="lstm", vocab_size=tokenizer.vocab_size, hidden_size=5).build()
    opening, closing = (int(tokenizer.encode(bracket)[0]) for bracket in "()")
    layer = model.layer
    with torch.no_grad():
        for index, (at_rest, at_bracket) in enumerate([(-9.0, 9.0), (9.0, -9.0)]):  # i, f
            row = 5 * index + 2
            layer.weight_ih_l0[row] = 0
            layer.weight_hh_l0[row] = 0
            layer.bias_ih_l0[row], layer.bias_hh_l0[row] = at_rest, 0.0
            layer.weight_ih_l0[row, [opening, closing]] = at_bracket - at_rest
        layer.weight_ih_l0[12] = 0
        layer.weight_hh_l0[12] = 0
        layer.weight_ih_l0[12, opening], layer.weight_ih_l0[12, closing] = 9.0, -9.0
        layer.bias_ih_l0[12], layer.bias_hh_l0[12] = 0.0, 0.0
    return TextModel(model, tokenizer)


def test_a_unit_written_to_follow_brackets_is_the_one_found_in_a_model() -> None:
    text = "a cat (which ate) was (very) full and (so they say) asleep in the sun (all of the day).\n" * 6
    trace = bracket_model(CharTokenizer.train(text)).trace(text)
    labels = torch.from_numpy(text_properties(text)["brackets"])
    best = unit_scores(trace.c, labels).units[0]
    assert (best.layer, best.unit, best.rises) == (0, 2, True)
    assert best.held_out > 0.99
