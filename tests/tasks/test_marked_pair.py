import math

import pytest
import torch

from longhold.tasks import Adding, AddingAnywhere, Multiplication


def slow_target(sequence, operation):
    """Read the pairs one by one and keep the marked values."""
    marked = [value for value, marker in sequence if marker]
    assert len(marked) == 2
    return operation(*marked)


TASKS = [(Adding, lambda a, b: a + b), (AddingAnywhere, lambda a, b: a + b), (Multiplication, lambda a, b: a * b)]


@pytest.mark.parametrize("steps", [2, 3, 10, 101])
@pytest.mark.parametrize(("kind", "operation"), TASKS)
def test_the_target_is_made_of_the_marked_values(kind, operation, steps):
    batch = kind(steps).batches(seed=2, batch_size=33).at(5)
    assert len(batch.inputs) == steps
    for b in range(33):
        expected = slow_target(batch.inputs[:, b].double().tolist(), operation)
        assert batch.targets[-1, b, 0].item() == pytest.approx(expected, rel=1e-6)
    assert batch.mask[-1].all()
    assert batch.mask.sum() == 33


@pytest.mark.parametrize("steps", [2, 5, 8])
def test_one_marker_stands_in_each_half_evenly(steps):
    n = 8_000
    markers = Adding(steps).batches(seed=1, batch_size=n).at(0).inputs[..., 1]
    half = steps // 2
    assert set(markers.unique().tolist()) <= {0.0, 1.0}
    assert (markers[:half].sum(0) == 1).all()
    assert (markers[half:].sum(0) == 1).all()
    for t in range(steps):
        share = 1 / half if t < half else 1 / (steps - half)
        assert abs(markers[t].mean().item() - share) <= 4 * math.sqrt(share * (1 - share) / n)


@pytest.mark.parametrize("steps", [2, 5, 8])
def test_two_markers_stand_anywhere_evenly(steps):
    n = 20_000
    markers = AddingAnywhere(steps).batches(seed=1, batch_size=n).at(0).inputs[..., 1]
    assert (markers.sum(0) == 2).all()
    share = 2 / (steps * (steps - 1))
    for first in range(steps):
        for second in range(first):
            both = (markers[first] * markers[second]).mean().item()
            assert abs(both - share) <= 4 * math.sqrt(share * (1 - share) / n)


def test_values_are_uniform_on_the_unit_interval_and_independent_of_the_markers():
    values, markers = Adding(20).batches(seed=1, batch_size=5_000).at(0).inputs.double().unbind(-1)
    assert values.min() >= 0
    assert values.max() < 1
    counts = torch.histc(values, 10, 0, 1) / values.numel()
    assert (counts - 0.1).abs().max() < 4 * math.sqrt(0.09 / values.numel())
    marked = values[markers == 1]
    assert abs(marked.mean() - 0.5) < 4 * math.sqrt(1 / 12 / len(marked))


@pytest.mark.parametrize(("task", "mean"), [(Adding(7), 1.0), (AddingAnywhere(7), 1.0), (Multiplication(7), 0.25)])
def test_the_best_blind_answer_gets_the_chance_level(task, mean):
    """The error of the sample's own mean, which no other constant beats on it; and of the mean that is known."""
    n = 200_000
    batch = task.batches(seed=3, batch_size=n).at(0)
    targets = batch.targets[-1, :, 0].double()
    errors = (targets - targets.mean()).square()
    assert abs(errors.mean() - task.chance) < 4 * errors.std() / math.sqrt(n)
    outputs = torch.full((7, n, 1), mean)
    scores = task.scores(outputs, batch)
    assert abs(scores.mean() - task.chance) < 4 * scores.std() / math.sqrt(n)
    assert task.loss(outputs, batch).item() == pytest.approx(scores.mean().item(), rel=1e-4)


def test_the_chance_levels_are_the_exact_ones():
    assert Adding(100).chance == AddingAnywhere(100).chance == 1 / 6
    assert Multiplication(100).chance == pytest.approx(1 / 9 - 1 / 16, rel=1e-15)


def test_adding_is_solved_below_a_hundredth():
    assert Adding(100).solved(0.0099)
    assert AddingAnywhere(100).solved(0.0099)
    assert not AddingAnywhere(100).solved(0.01)
    assert not Adding(100).solved(0.01)
    assert Adding(100).recall(1 / 6) == 0
    assert Adding(100).recall(0) == 1
    assert Adding(100).lag is None


def test_a_perfect_answer_has_no_error():
    batch = Adding(6).batches(0, 4).at(0)
    assert Adding(6).scores(batch.targets, batch).tolist() == [0] * 4
    assert Adding(6).accuracy(batch.targets + 0.03, batch) == 1
    assert Adding(6).accuracy(batch.targets + 0.05, batch) == 0
