"""The recipe that longhold's text quality is compared with, against torch.nn written out."""

import itertools
import math
import time
from dataclasses import replace

import pytest
import torch
from benchmarks.word_language_model import RECIPES, CharacterModel, Course, columns_of, evaluate, fit
from torch.nn import functional as F

SMALL = replace(RECIPES["nn-tuned"], units=7, steps=5, batch=2, columns=3)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock is a second."""
    ticks = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))


def test_the_recipe_is_the_examples() -> None:
    recipe = RECIPES["nn"]
    assert (recipe.units, recipe.layers, recipe.dropout) == (200, 2, 0.2)
    assert (recipe.lr, recipe.annealing, recipe.clip) == (20, 4, 0.25)
    assert (recipe.steps, recipe.batch, recipe.columns) == (35, 20, 10)
    assert isinstance(recipe.optimizer([torch.nn.Parameter(torch.zeros(1))], 1.0), torch.optim.SGD)
    # 27 characters: embedding and decoder, and two layers of four gates with two biases each.
    model = CharacterModel(27, recipe)
    assert sum(p.numel() for p in model.parameters()) == 27 * 200 * 2 + 27 + 2 * 4 * (2 * 200 * 200 + 2 * 200)
    assert model.encoder.weight.abs().max() <= 0.1
    assert model.decoder.weight.abs().max() <= 0.1


def test_columns_follow_each_other() -> None:
    assert columns_of(torch.arange(11), 3).tolist() == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]


def test_the_loss_is_that_of_each_column_read_in_one_go() -> None:
    model = CharacterModel(11, SMALL)
    ids = torch.randint(11, (1301,))
    for columns in (1, 3):
        total = count = 0
        model.eval()
        for column in columns_of(ids, columns).T:
            outputs, _ = model.lstm(model.encoder(column[:-1, None]))
            total += F.cross_entropy(model.decoder(outputs)[:, 0].double(), column[1:], reduction="sum").item()
            count += len(column) - 1
        assert evaluate(model, ids, columns) == pytest.approx(total / count, rel=1e-5)


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("seconds", [1, 3, 10])
def test_the_time_ends_it_and_what_was_begun_is_judged(seconds: int) -> None:
    model = CharacterModel(4, SMALL)
    course = fit(model, torch.arange(22) % 4, torch.arange(12) % 4, SMALL, until=float(seconds))
    # A look before each step; an epoch is two of them: columns of 11 are read in 5 and 5 steps.
    assert course.steps == seconds
    assert len(course.validations) == seconds // 2 + 1


@pytest.mark.usefixtures("clock")
def test_it_learns_and_the_loss_is_of_the_weights_kept() -> None:
    model, ids = CharacterModel(4, SMALL), torch.arange(400) % 4
    course = fit(model, ids, ids, SMALL, until=240.0)
    assert min(course.validations) < course.validations[0] / 2
    assert evaluate(model, ids, SMALL.columns) == pytest.approx(min(course.validations))


@pytest.mark.usefixtures("clock")
def test_the_rate_is_divided_after_an_epoch_that_did_not_help_and_the_best_is_kept() -> None:
    recipe = replace(SMALL, lr=50.0)  # far too much for Adam: soon worse
    model, train, held = CharacterModel(4, recipe), torch.arange(101) % 4, torch.randint(4, (90,))
    course = fit(model, train, held, recipe, until=90.0)
    best, expected = math.inf, recipe.lr
    for nats, rate in zip(course.validations, course.rates, strict=True):
        assert rate == pytest.approx(expected)
        expected = expected if nats < best else expected / 4
        best = min(best, nats)
    assert course.rates[-1] < recipe.lr
    assert evaluate(model, held, recipe.columns) == pytest.approx(best)


def test_what_diverged_is_never_the_best() -> None:
    model, course = CharacterModel(4, SMALL), Course()
    with torch.no_grad():
        model.decoder.bias.fill_(math.nan)
    assert not course.evaluate(model, torch.arange(12) % 4, 1.0, columns=2)
    assert course.best == {}
