import pytest

from longhold.tasks import IGNORE_INDEX, Parity
from tests.tasks.sampling import blind_outputs, margin

TASKS = [Parity(), Parity().examination, Parity(1, 1, 1), Parity(4, 7, 9)]


@pytest.mark.parametrize("task", TASKS)
def test_the_answer_is_the_running_product_of_signs(task):
    batch = task.batches(seed=3, batch_size=65).at(1)
    for b in range(65):
        bits, targets = batch.inputs[:, b].tolist(), batch.targets[:, b].tolist()
        (end,) = [t for t, target in enumerate(targets) if target != IGNORE_INDEX]
        assert task.shortest <= end + 1 <= task.longest
        sign = 1
        for bit in bits[: end + 1]:
            sign *= -1 if bit else 1
        assert targets[end] == (sign == -1)
        assert not any(bits[end + 1 :])


def test_lengths_are_uniform():
    task, n = Parity(4, 7, 9), 8_000
    lengths = task.batches(seed=3, batch_size=n).at(0).mask.long().argmax(0) + 1
    for length in range(4, 8):
        assert abs((lengths == length).double().mean() - 0.25) < margin(0.25, n)


@pytest.mark.parametrize("task", TASKS)
def test_guessing_gets_the_chance_level(task):
    """An answer by the step alone. It is fitted on its sample, and so gains up to half a standard error a length."""
    n = 40_000
    batch = task.batches(seed=1, batch_size=n).at(0)
    score = task.scores(blind_outputs(batch, 2), batch).mean().item()
    lengths = task.longest - task.shortest + 1
    assert -margin(0.5, n) < score - task.chance < margin(0.5, n) + 0.5 * (lengths / n) ** 0.5


def test_the_examination_begins_where_training_ends():
    assert Parity().examination == Parity(41, 256, 256)
    assert Parity().examination.examination == Parity(41, 256, 256)
    assert Parity(2, 9, 9).examination == Parity(2, 9, 9)
