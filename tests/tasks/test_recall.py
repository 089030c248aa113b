import math

import pytest
import torch

from longhold.errors import InputError
from longhold.tasks import IGNORE_INDEX, MixedRecall, Recall


def slow_answer(sequence, task):
    """Walk the sequence: keep the one id that is a symbol, give it up when the question first comes."""
    held, answers, question = None, [], task.symbols + task.distractors
    for step, token in enumerate(sequence):
        if token < task.symbols:
            assert held is None, "a second symbol"
            held = token
        answers.append(held if token == question and question not in sequence[:step] else IGNORE_INDEX)
    return answers


@pytest.mark.parametrize("task", [Recall(0), Recall(1, 2, 1), Recall(7, 3, 5), Recall(128)])
def test_the_answer_is_the_only_symbol_and_asked_last(task):
    batch = task.batches(seed=2, batch_size=33).at(5)
    assert batch.inputs.shape == batch.targets.shape == batch.mask.shape == (task.length, 33)
    for b in range(33):
        assert batch.targets[:, b].tolist() == slow_answer(batch.inputs[:, b].tolist(), task)
    assert torch.equal(batch.mask, batch.targets != IGNORE_INDEX)
    assert batch.mask.sum() == 33
    assert batch.mask[-1].all()


def test_alphabets_are_disjoint_and_used_in_full():
    task = Recall(lag=9, symbols=5, distractors=4)
    inputs = task.batches(seed=0, batch_size=300).at(0).inputs
    symbols, noise, question = set(inputs[0].tolist()), set(inputs[1:-1].flatten().tolist()), set(inputs[-1].tolist())
    assert (symbols, noise, question) == (set(range(5)), set(range(5, 9)), {9})
    assert inputs.max() < task.input_size


@pytest.mark.parametrize("symbols", [2, 8])
def test_guessing_is_right_at_the_chance_level(symbols):
    task, n = Recall(lag=3, symbols=symbols), 20_000
    batch = task.batches(seed=11, batch_size=n).at(0)
    margin = 4 * math.sqrt(task.chance * (1 - task.chance) / n)
    constant = torch.zeros(task.length, n, task.output_size)
    constant[..., symbols - 1] = 1
    random = torch.rand(task.length, n, task.output_size, generator=torch.Generator().manual_seed(0))
    for outputs in (constant, random):
        assert abs(task.accuracy(outputs, batch) - task.chance) < margin


def test_nothing_after_the_first_step_tells_the_answer():
    task, n = Recall(lag=2, symbols=4, distractors=3), 30_000
    batch = task.batches(seed=5, batch_size=n).at(0)
    for step in (1, 2):
        for token in range(4, 7):
            answers = batch.targets[-1][batch.inputs[step] == token]
            shares = torch.bincount(answers, minlength=4) / len(answers)
            assert (shares - 0.25).abs().max() < 4 * math.sqrt(0.25 * 0.75 / len(answers))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((-1,), "lag=-1"), ((8, 1), "symbols=1"), ((8, 8, 0), "distractors=0")],
)
def test_bad_sizes_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        Recall(*arguments)


MIXED = [MixedRecall(), MixedRecall(0, 0), MixedRecall(3, 9, 4, 1), MixedRecall(5, 5)]


@pytest.mark.parametrize("task", MIXED)
def test_every_sequence_of_a_mixture_has_a_lag_of_its_own(task):
    batch = task.batches(seed=2, batch_size=65).at(3)
    for b in range(65):
        assert batch.targets[:, b].tolist() == slow_answer(batch.inputs[:, b].tolist(), task)
    asked = batch.mask.long().argmax(0)
    assert (batch.mask.sum(0) == 1).all()
    assert asked.min() - 1 >= task.shortest
    assert asked.max() - 1 <= task.longest
    assert len(batch.inputs) == asked.max() + 1 <= task.length


def test_the_lags_of_a_mixture_are_uniform_and_independent_of_the_symbol():
    task, n = MixedRecall(2, 5, symbols=3), 12_000
    batch = task.batches(seed=1, batch_size=n).at(0)
    lags, symbols = batch.mask.long().argmax(0) - 1, batch.inputs[0]
    for lag in range(2, 6):
        for symbol in range(3):
            share = ((lags == lag) & (symbols == symbol)).double().mean().item()
            assert abs(share - 1 / 12) < 4 * math.sqrt(1 / 12 * 11 / 12 / n)


def test_a_mixture_is_tested_at_one_lag_with_the_same_sizes():
    task = MixedRecall(1, 8, 5, 3)
    alone = task.at_lag(20)
    assert alone == Recall(20, 5, 3)
    assert (alone.input_size, alone.output_size, alone.chance) == (task.input_size, task.output_size, task.chance)


def test_a_mixture_of_one_lag_is_recall():
    mixed, plain = MixedRecall(4, 4, 3, 2), Recall(4, 3, 2)
    a, b = mixed.batches(0, 999).at(0), plain.batches(0, 999).at(0)
    assert torch.equal(a.mask, b.mask)
    assert [set(row.tolist()) for row in a.inputs] == [set(row.tolist()) for row in b.inputs]
