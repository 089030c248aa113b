from dataclasses import dataclass
from typing import Annotated, ClassVar

import pytest
import torch
from pydantic import Field

from longhold.errors import InputError
from longhold.tasks import IGNORE_INDEX, Recall, Task, TaskBatch
from longhold.tasks.task import Regression


@dataclass(frozen=True)
class Echo(Task):
    """Say what was just said, from the second step on."""

    name: ClassVar[str] = "echo"
    length = 5
    input_size = 3
    output_size = 3
    chance = 1 / 3

    def sample_batch(self, generator, batch_size):
        inputs = torch.randint(3, (5, batch_size), generator=generator)
        mask = torch.ones(5, batch_size, dtype=torch.bool)
        mask[0] = False
        return TaskBatch(inputs, inputs.where(mask, torch.tensor(IGNORE_INDEX)), mask)


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


@dataclass(frozen=True)
class Level(Regression):
    """Say two numbers at the steps 1 and 3 of 4; the rest of the targets is nonsense that nobody may read."""

    name: ClassVar[str] = "level"
    continuous: ClassVar[bool] = True
    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    length, input_size, output_size, chance = 4, 1, 2, 2.0

    def sample_batch(self, generator, batch_size):
        targets = torch.rand(4, batch_size, 2, generator=generator)
        mask = torch.zeros(4, batch_size, dtype=torch.bool)
        mask[[1, 3]] = True
        return TaskBatch(torch.zeros(4, batch_size, 1), targets, mask)


def test_scores_are_the_shares_of_each_sequence():
    batch = Echo().batches(seed=0, batch_size=3).at(0)
    outputs = torch.nn.functional.one_hot(batch.inputs, 3).float()
    outputs[0] = outputs[0].roll(1, dims=-1)  # not asked
    outputs[2, 1] = outputs[2, 1].roll(1)
    outputs[3, 1] = outputs[3, 1].roll(1)
    scores = Echo().scores(outputs, batch)
    assert scores.dtype == torch.float64
    assert scores.tolist() == [1.0, 0.5, 1.0]
    assert Echo().accuracy(outputs, batch) == 10 / 12


def test_a_sequence_with_fewer_questions_weighs_as_much_in_the_scores():
    mask = torch.tensor([[True, True], [True, False], [True, False]])
    targets = torch.zeros(3, 2, dtype=torch.long).where(mask, torch.tensor(IGNORE_INDEX))
    outputs = torch.zeros(3, 2, 3)
    outputs[:, 0, 1] = 1  # every answer of the first row is wrong, the one of the second right
    batch = TaskBatch(targets, targets, mask)
    assert Echo().scores(outputs, batch).tolist() == [0.0, 1.0]
    assert Echo().accuracy(outputs, batch) == 0.25


def test_the_loss_is_the_mean_of_what_is_asked():
    batch = Echo().batches(seed=0, batch_size=4).at(0)
    outputs = torch.randn(5, 4, 3, dtype=torch.float64, requires_grad=True)
    expected = [
        -outputs[t, b].log_softmax(0)[batch.targets[t, b]].item()
        for t in range(5)
        for b in range(4)
        if batch.mask[t, b]
    ]
    loss = Echo().loss(outputs, batch)
    assert loss.item() == pytest.approx(sum(expected) / 16)
    loss.backward()
    assert (outputs.grad[0] == 0).all()
    assert (outputs.grad[1:] != 0).all()


def test_a_regression_is_measured_by_its_squared_error_at_asked_steps():
    task = Level()
    batch = task.batches(seed=0, batch_size=3).at(0)
    outputs = batch.targets.clone()
    outputs[[0, 2]] += 100
    assert task.loss(outputs, batch) == 0
    assert task.scores(outputs, batch).tolist() == [0, 0, 0]
    assert task.accuracy(outputs, batch) == 1
    outputs[1, 1, 0] += 2
    outputs[3, 2, 1] += 0.03
    assert task.loss(outputs, batch).item() == pytest.approx((4 + 0.0009) / 12, rel=1e-5)
    assert task.scores(outputs, batch).tolist() == pytest.approx([0, 1, 0.0009 / 4], rel=1e-4)
    assert task.accuracy(outputs, batch) == pytest.approx(5 / 6)


def test_recall_is_nought_for_guessing_and_one_for_perfect_in_any_unit():
    assert (Echo().recall(1 / 3), Echo().recall(1), Echo().recall(2 / 3)) == pytest.approx((0, 1, 0.5))
    assert (Level().recall(2), Level().recall(0), Level().recall(3)) == pytest.approx((0, 1, -0.5))
    assert Echo().solved(0.94)
    assert not Echo().solved(0.93)  # recall 0.895
    assert Level().solved(0.19)
    assert not Level().solved(0.21)


def test_a_task_has_a_lag_only_where_it_has_one():
    assert Echo().lag is None
    assert Recall(7).lag == 7
    assert Recall(7, symbols=3).at_lag(2) == Recall(2, symbols=3)
    with pytest.raises(TypeError, match="lag"):
        Recall()
    with pytest.raises(InputError, match="echo: lag=3: the task has no lag to set"):
        Echo().at_lag(3)
    with pytest.raises(InputError, match="recall: lag=-3: should be"):
        Recall(7).at_lag(-3)


@pytest.mark.parametrize("value", [0, 0.0, 1.5, float("nan"), float("inf"), "0.5", None, True, [0.5]])
def test_a_field_that_breaks_its_annotation_is_one_line(value):
    if value == 0:
        assert Level(share=1).share == 1  # a whole number will do for a number
    with pytest.raises(InputError) as caught:
        Level(share=value)
    assert str(caught.value).startswith(f"level: share={value!r}: ")
    assert "\n" not in str(caught.value)


def test_equal_numbers_are_the_same_task():
    assert Recall(3) == Recall(3, 8, 8)
    assert len({Recall(3), Recall(3), Recall(4)}) == 2
    assert Recall(3).examination == Recall(3)
    assert Recall(3).tested_sequences == 1000


def test_targets_of_a_loss_are_classes_or_numbers_as_the_task_has_them():
    generator = torch.Generator().manual_seed(0)
    batch = Recall(3).sample_batch(generator, 4)
    outputs = torch.randn(*batch.targets.shape, Recall(3).output_size)
    expected = Recall(3).loss(outputs, batch)
    assert torch.equal(Recall(3).loss(outputs, batch._replace(targets=batch.targets.to(torch.int16))), expected)
    with pytest.raises(InputError, match=r"^recall: targets of type torch\.float32: expected classes as integers"):
        Recall(3).loss(outputs, batch._replace(targets=batch.targets.float()))
