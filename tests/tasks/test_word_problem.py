import pytest
import torch

from longhold.tasks import IGNORE_INDEX, WordProblem
from longhold.tasks.word_problem import ELEMENTS, PRODUCT
from tests.tasks.sampling import blind_outputs, margin

TASKS = [WordProblem(), WordProblem().examination, WordProblem(1, 1, 1), WordProblem(3, 9, 9)]


def matrix(element):
    """The permutation that takes row `i` of what it is multiplied with to row `element[i]`."""
    found = torch.zeros(3, 3, dtype=torch.long)
    for i, j in enumerate(ELEMENTS[element]):
        found[j, i] = 1
    return found


@pytest.mark.parametrize("task", TASKS)
def test_the_answers_are_products_of_matrices(task):
    batch = task.batches(seed=3, batch_size=33).at(1)
    for b in range(33):
        length = int(batch.mask[:, b].sum())
        assert task.shortest <= length <= task.longest
        product = torch.eye(3, dtype=torch.long)
        for element, target in zip(batch.inputs[:length, b].tolist(), batch.targets[:length, b].tolist(), strict=True):
            product = matrix(element) @ product
            assert torch.equal(product, matrix(target))
        assert (batch.targets[length:, b] == IGNORE_INDEX).all()


def test_the_table_is_that_of_a_group_that_does_not_commute():
    assert PRODUCT[0] == tuple(range(6))
    assert all(sorted(row) == list(range(6)) for row in PRODUCT)
    assert all(sorted(column) == list(range(6)) for column in zip(*PRODUCT, strict=True))
    assert any(PRODUCT[p][q] != PRODUCT[q][p] for p in range(6) for q in range(6))


@pytest.mark.parametrize("task", TASKS)
def test_guessing_gets_the_chance_level(task):
    n = 30_000
    batch = task.batches(seed=1, batch_size=n).at(0)
    score = task.scores(blind_outputs(batch, 6), batch).mean().item()
    assert -margin(task.chance, n) < score - task.chance < margin(task.chance, n) + 0.02
    constant = torch.zeros(*batch.mask.shape, 6)
    constant[..., 4] = 1
    assert abs(task.scores(constant, batch).mean().item() - task.chance) < margin(task.chance, n)


def test_the_score_is_that_of_the_whole_word():
    task = WordProblem(3, 9, 9)
    batch = task.batches(seed=1, batch_size=20).at(0)
    outputs = torch.zeros(*batch.mask.shape, 6)
    last = batch.mask.sum(0) - 1
    rows = torch.arange(20)
    outputs[last, rows, batch.targets[last, rows]] = 1
    assert task.scores(outputs, batch).tolist() == [1] * 20


def test_the_examination_begins_where_training_ends():
    assert WordProblem().examination == WordProblem(21, 40, 40)
    assert WordProblem(2, 9, 9).examination == WordProblem(2, 9, 9)
