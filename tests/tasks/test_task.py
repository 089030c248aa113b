from dataclasses import dataclass

import pytest
import torch

from longhold.errors import InputError
from longhold.tasks import NOT_ASKED, Task, TaskBatch


@dataclass(frozen=True)
class Echo(Task):
    """Say what was just said, from the second step on."""

    length = 5
    input_size = 3
    output_size = 3
    chance = 1 / 3

    def sample_batch(self, generator, batch_size):
        inputs = torch.randint(3, (5, batch_size), generator=generator)
        mask = torch.ones(5, batch_size, dtype=torch.bool)
        mask[0] = False
        return TaskBatch(inputs, inputs.where(mask, torch.tensor(NOT_ASKED)), mask)


def test_accuracy_counts_asked_steps_only():
    batch = Echo().batches(seed=0, batch_size=4).at(0)
    outputs = torch.nn.functional.one_hot(batch.inputs, 3).float()
    assert Echo().accuracy(outputs, batch) == 1
    outputs[1, 0] = outputs[1, 0].roll(1)
    assert Echo().accuracy(outputs, batch) == 15 / 16


def test_a_batch_is_a_function_of_seed_and_step_alone():
    batches = Echo().batches(seed=3, batch_size=16)
    forwards = [batches.at(step).inputs for step in range(6)]
    torch.manual_seed(1)
    backwards = [Echo().batches(seed=3, batch_size=16).at(step).inputs for step in reversed(range(6))][::-1]
    assert all(torch.equal(a, b) for a, b in zip(forwards, backwards, strict=True))


def test_seeds_and_steps_share_nothing():
    streams = [Echo().batches(seed, 32).at(step).inputs for seed, step in [(0, 0), (0, 1), (1, 0), (1, 1)]]
    assert not any(torch.equal(a, b) for i, a in enumerate(streams) for b in streams[:i])


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: Echo().batches(-1, 4), "seed=-1"),
        (lambda: Echo().batches(0, 0), "batch_size=0"),
        (lambda: Echo().batches(0, 4).at(-2), "step=-2"),
    ],
)
def test_bad_numbers_are_named(attempt, message):
    with pytest.raises(InputError, match=message):
        attempt()
