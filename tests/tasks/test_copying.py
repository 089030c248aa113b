import math

import pytest
import torch

from longhold.tasks import Copy
from tests.tasks.sampling import margin

TASKS = [Copy(1), Copy(20), Copy(7, 3, 2), Copy(4, 1, 5)]


@pytest.mark.parametrize("task", TASKS)
def test_a_sequence_is_laid_out_as_the_paper_has_it(task):
    batch = task.batches(seed=3, batch_size=17).at(1)
    T, K, S = task.blanks, task.items, task.symbols
    for b in range(17):
        inputs, targets = batch.inputs[:, b].tolist(), batch.targets[:, b].tolist()
        shown = inputs[:K]
        assert all(1 <= symbol <= S for symbol in shown)
        assert inputs == [*shown, *[0] * (T - 1), S + 1, *[0] * K]
        assert targets == [*[0] * (T + K), *shown]
    assert batch.mask.all()
    assert task.lag == T + K
    assert torch.equal(batch.targets[task.lag :], batch.inputs[: task.items])


def test_the_symbols_are_uniform():
    shown = Copy(5).batches(seed=1, batch_size=4_000).at(0).inputs[:10]
    shares = torch.bincount(shown.flatten(), minlength=9)[1:].double() / shown.numel()
    assert (shares - 1 / 8).abs().max() < margin(1 / 8, shown.numel())


@pytest.mark.parametrize("task", TASKS)
def test_the_best_answer_without_memory_gets_chance_and_the_baseline(task):
    n = 5_000
    batch = task.batches(seed=1, batch_size=n).at(0)
    outputs = torch.full((task.length, n, task.output_size), -60.0)
    outputs[: -task.items, :, 0] = 0
    outputs[-task.items :, :, 1:] = torch.rand(task.items, n, task.symbols) * 1e-6  # even, ties broken by chance
    assert task.loss(outputs.double(), batch).item() == pytest.approx(task.baseline, rel=1e-5)
    score = task.scores(outputs, batch).mean().item()
    assert abs(score - task.chance) < margin(task.chance, n * task.items)


def test_no_answer_without_memory_has_a_smaller_loss():
    """The entropy of the targets given the step, measured."""
    task, n = Copy(3, 2, 4), 40_000
    batch = task.batches(seed=1, batch_size=n).at(0)
    entropy = 0.0
    for row in batch.targets:
        shares = torch.bincount(row).double() / n
        entropy -= sum(p * math.log(p) for p in shares.tolist() if p)
    assert entropy / task.length == pytest.approx(task.baseline, rel=1e-3)


@pytest.mark.parametrize(("blanks", "nats"), [(200, 0.0945), (500, 0.0400), (1000, 0.0204), (2000, 0.0103)])
def test_the_baseline_is_the_published_one(blanks, nats):
    assert Copy(blanks).baseline == pytest.approx(10 * math.log(8) / (blanks + 20))
    assert round(Copy(blanks).baseline, 4) == nats


def test_the_blanks_do_not_count_as_recall():
    task = Copy(30)
    batch = task.batches(0, 50).at(0)
    outputs = torch.zeros(task.length, 50, 9)
    outputs[..., 0] = 1
    assert task.accuracy(outputs, batch) == 40 / 50
    assert task.scores(outputs, batch).tolist() == [0] * 50


def test_a_lag_sets_the_blanks():
    assert Copy(5, 3).at_lag(20) == Copy(17, 3)
    assert Copy(5, 3).at_lag(20).lag == 20
