import pytest
import torch

from longhold.tasks import IGNORE_INDEX, Dyck
from tests.tasks.sampling import blind_outputs

TASKS = [Dyck(), Dyck(2), Dyck(2).examination, Dyck(3, 2, 8, 8), Dyck(1, 6, 6, 6)]


def slow_answers(symbols, kinds):
    """A stack, and what lies on top of it."""
    stack, answers = [], []
    for symbol in symbols:
        if symbol < kinds:
            stack.append(symbol)
        else:
            assert stack.pop() == symbol - kinds
        answers.append(1 + stack[-1] if stack else 0)
    assert not stack
    return answers


@pytest.mark.parametrize("task", TASKS)
def test_every_string_is_balanced_and_answered_by_a_stack(task):
    batch = task.batches(seed=3, batch_size=65).at(1)
    for b in range(65):
        length = int(batch.mask[:, b].sum())
        assert task.shortest <= length <= task.longest
        assert length % 2 == 0
        symbols, targets = batch.inputs[:, b].tolist(), batch.targets[:, b].tolist()
        assert targets[:length] == slow_answers(symbols[:length], task.kinds)
        assert targets[length:] == [IGNORE_INDEX] * (len(targets) - length)
        assert not any(symbols[length:])


@pytest.mark.parametrize("task", TASKS)
def test_chance_is_what_the_best_answer_by_step_number_gets(task):
    """The score per sequence weighs a step by one over its length; so does the vote for the best answer here."""
    n = 20_000
    batch = task.batches(seed=1, batch_size=n).at(0)
    weights = (1 / batch.mask.sum(0).double()).expand(batch.mask.shape)
    best = 0.0
    for targets, mask, weight in zip(batch.targets, batch.mask, weights, strict=True):
        votes = torch.zeros(task.output_size, dtype=torch.double).index_add_(0, targets[mask], weight[mask])
        best += votes.max().item() / n
    assert best == pytest.approx(task.chance, abs=0.01)
    by_count = task.scores(blind_outputs(batch, task.output_size), batch).mean().item()
    assert by_count <= best + 1e-9


@pytest.mark.parametrize(("task", "chance"), [(Dyck(2, 2, 2, 2), 0.75), (Dyck(1, 4, 4, 4), 0.875)])
def test_chance_by_hand(task, chance):
    """Of `[]` and `()` the first answer is a coin; `()()` and `(())` differ at one step of four."""
    assert task.chance == pytest.approx(chance)


def test_kinds_are_uniform():
    batch = Dyck(3, 8, 8, 8).batches(seed=1, batch_size=9_000).at(0)
    first = torch.bincount(batch.inputs[0], minlength=3).double() / 9_000
    assert (first - 1 / 3).abs().max() < 0.02


def test_the_examination_begins_where_training_ends():
    assert Dyck(2).examination == Dyck(2, 52, 100, 100)
    assert Dyck(2, 2, 8, 8).examination == Dyck(2, 2, 8, 8)
