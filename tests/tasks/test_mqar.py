import pytest
import torch

from longhold.tasks import IGNORE_INDEX, MQAR
from tests.tasks.sampling import blind_outputs, margin

TASKS = [MQAR(vocabulary=64), MQAR(1, 4, 4), MQAR(3, 12, 9, 1.0), MQAR(5, 40, 13, 0.3)]


@pytest.mark.parametrize("task", TASKS)
def test_every_query_is_answered_by_the_value_of_its_key(task):
    batch = task.batches(seed=3, batch_size=33).at(1)
    n, half = task.pairs, task.vocabulary // 2
    for b in range(33):
        inputs, targets = batch.inputs[:, b].tolist(), batch.targets[:, b].tolist()
        memory = {inputs[2 * i]: inputs[2 * i + 1] for i in range(n)}
        assert len(memory) == len(set(memory.values())) == n
        assert all(1 <= key < half <= value < task.vocabulary for key, value in memory.items())
        asked = [t for t, target in enumerate(targets) if target != IGNORE_INDEX]
        assert len(asked) == n
        assert all(t >= 2 * n and t % 2 == 0 for t in asked)
        assert sorted(inputs[t] for t in asked) == sorted(memory)
        assert all(targets[t] == memory[inputs[t]] for t in asked)


@pytest.mark.parametrize("task", TASKS)
def test_guessing_gets_the_chance_level(task):
    n = 20_000
    batch = task.batches(seed=1, batch_size=n).at(0)
    outputs = torch.zeros(*batch.mask.shape, task.output_size)
    outputs[..., task.vocabulary - 1] = 1
    assert abs(task.scores(outputs, batch).mean().item() - task.chance) < margin(task.chance, n * task.pairs) * 2
    best = task.scores(blind_outputs(batch, task.output_size), batch).mean().item()
    assert best < task.chance + 0.02


def test_keys_and_values_are_drawn_evenly():
    task, n = MQAR(2, 8, 10), 20_000
    inputs = task.batches(seed=1, batch_size=n).at(0).inputs
    for row, ids in ((0, range(1, 5)), (2, range(1, 5)), (1, range(5, 10)), (3, range(5, 10))):
        for token in ids:
            share = (inputs[row] == token).double().mean().item()
            assert abs(share - 1 / len(ids)) < margin(1 / len(ids), n)


def test_the_filling_may_be_anything():
    task, n = MQAR(1, 8, 6), 30_000
    batch = task.batches(seed=1, batch_size=n).at(0)
    filling = batch.inputs[2:][~batch.mask[2:]]
    shares = torch.bincount(filling, minlength=6).double() / len(filling)
    assert (shares - 1 / 6).abs().max() < margin(1 / 6, len(filling))


@pytest.mark.parametrize("power", [0.01, 0.5, 1.0])
def test_the_gap_of_the_first_query_follows_the_power_law(power):
    task, n = MQAR(1, 14, 6, power), 30_000
    gaps = task.batches(seed=1, batch_size=n).at(0).mask.long().argmax(0).sub(2).div(2)
    weights = [g ** (power - 1) for g in range(1, 7)]
    for gap, weight in enumerate(weights):
        p = weight / sum(weights)
        assert abs((gaps == gap).double().mean().item() - p) < margin(p, n)


def test_places_are_drawn_one_after_the_other_without_replacement():
    """Two of three places: the chance of each ordered pair, by hand."""
    task, n = MQAR(2, 10, 6, 0.5), 40_000
    batch = task.batches(seed=1, batch_size=n).at(0)
    where = [[(batch.inputs[4::2] == batch.inputs[2 * i]) & batch.mask[4::2]][0].long().argmax(0) for i in range(2)]
    weights = [1.0, 2**-0.5, 3**-0.5]
    for first in range(3):
        for second in set(range(3)) - {first}:
            p = weights[first] / sum(weights) * weights[second] / (sum(weights) - weights[first])
            share = ((where[0] == first) & (where[1] == second)).double().mean().item()
            assert abs(share - p) < margin(p, n)
