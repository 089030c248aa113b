import pytest
import torch

from longhold.tasks import IGNORE_INDEX, Recall, SpanRecall
from tests.tasks.sampling import blind_outputs, margin

TASKS = [SpanRecall(1, 0, 2, 1), SpanRecall(3, 5), SpanRecall(7, 0, 4, 2), SpanRecall(2, 30, 3, 5)]


def slow_answers(sequence, task):
    """A queue: symbols go in, each question takes one out."""
    queue, answers = [], []
    for token in sequence:
        if token < task.symbols:
            queue.append(token)
        answers.append(queue.pop(0) if token == task.symbols + task.distractors else IGNORE_INDEX)
    assert not queue
    return answers


@pytest.mark.parametrize("task", TASKS)
def test_questions_take_the_symbols_in_order(task):
    batch = task.batches(seed=3, batch_size=33).at(1)
    for b in range(33):
        assert batch.targets[:, b].tolist() == slow_answers(batch.inputs[:, b].tolist(), task)
    noise = batch.inputs[task.items : task.items + task.lag]
    assert len(noise) == task.lag
    assert ((noise >= task.symbols) & (noise < task.symbols + task.distractors)).all()


@pytest.mark.parametrize("task", TASKS)
def test_guessing_gets_the_chance_level(task):
    n = 20_000
    batch = task.batches(seed=1, batch_size=n).at(0)
    score = task.scores(blind_outputs(batch, task.output_size), batch).mean().item()
    assert abs(score - task.chance) < margin(task.chance, n)


def test_one_symbol_is_recall():
    span, recall = SpanRecall(1, 6, 3, 2), Recall(6, 3, 2)
    a, b = span.batches(0, 500).at(0), recall.batches(0, 500).at(0)
    assert torch.equal(a.inputs, b.inputs)
    assert torch.equal(a.targets, b.targets)


def test_what_has_to_be_held_is_counted_in_bits():
    assert SpanRecall(5, 2, symbols=8).bits == 15
    assert SpanRecall(5, 2).at_lag(9) == SpanRecall(5, 9)
