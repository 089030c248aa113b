import pytest

from longhold.tasks import IGNORE_INDEX, StreamRecall
from tests.tasks.sampling import blind_outputs, margin

TASKS = [StreamRecall(1), StreamRecall(5, 3, 2), StreamRecall(40, 8, 7), StreamRecall(3, 2, 50)]


@pytest.mark.parametrize("task", TASKS)
def test_the_answer_is_what_came_the_lag_before(task):
    batch = task.batches(seed=3, batch_size=21).at(1)
    for b in range(21):
        symbols = batch.inputs[:, b].tolist()
        expected = [IGNORE_INDEX if t < task.lag else symbols[t - task.lag] for t in range(len(symbols))]
        assert batch.targets[:, b].tolist() == expected


@pytest.mark.parametrize("task", TASKS)
def test_a_whole_lag_of_symbols_is_waiting_when_the_first_is_asked(task):
    answers = task.batches(seed=0, batch_size=1).at(0).mask.sum()
    assert answers == max(task.asked, task.lag)
    assert task.length - task.lag >= task.lag


@pytest.mark.parametrize("task", TASKS)
def test_guessing_gets_the_chance_level(task):
    n = 10_000
    batch = task.batches(seed=1, batch_size=n).at(0)
    score = task.scores(blind_outputs(batch, task.output_size), batch).mean().item()
    assert abs(score - task.chance) < margin(task.chance, n)


def test_what_has_to_be_held_is_counted_in_bits():
    assert StreamRecall(10, symbols=4).bits == 20
    assert StreamRecall(10).at_lag(3) == StreamRecall(3)
