import math

import pytest
import torch

from longhold.errors import InputError
from longhold.tasks import IGNORE_INDEX, Copy, CopyMarkers, CopyTail, SelectiveCopy
from tests.tasks.sampling import margin

TASKS = [CopyMarkers(1), CopyMarkers(7, 3, 2), CopyTail(0, 1, 2), CopyTail(20), CopyTail(3, 4, 5),
         SelectiveCopy(0, 3, 2), SelectiveCopy(30), SelectiveCopy(5, 4, 3)]  # fmt: skip


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_answers_are_those_of_a_reader_who_goes_through_the_sequence(task) -> None:
    batch = task.batches(seed=3, batch_size=19).at(1)
    blank, marker = 0, task.symbols + 1
    for b in range(19):
        kept, answers, asked = [], [], False
        given = batch.inputs[:, b].tolist()
        for step, token in enumerate(given):
            if token not in (blank, marker):
                kept.append(token)
            asked = asked or (token == marker and given[step - 1 : step] == [marker]) or task.name != "copy_markers"
            answering = token == marker and asked
            answers.append(kept.pop(0) if answering else (blank if task.name == "copy_markers" else IGNORE_INDEX))
        assert not kept
        assert batch.targets[:, b].tolist() == answers
    assert len(batch.inputs) == task.length


@pytest.mark.parametrize("task", TASKS[:5], ids=str)
def test_the_lag_is_the_way_from_symbol_to_answer(task) -> None:
    batch = task.batches(seed=0, batch_size=5).at(0)
    assert torch.equal(batch.targets[task.lag :][: task.items], batch.inputs[: task.items])
    assert task.lag + task.items == task.length


def test_the_first_form_is_that_of_the_uRNN_paper_with_more_markers() -> None:
    mine, theirs = (task(7, 3, 2).batches(5, 11).at(2) for task in (CopyMarkers, Copy))
    assert torch.equal(mine.targets, theirs.targets)
    assert torch.equal(mine.inputs[:-3], theirs.inputs[:-3])
    assert CopyMarkers(1000).baseline == Copy(1000).baseline == pytest.approx(10 * math.log(8) / 1020)


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_guessing_gets_chance(task) -> None:
    n = 6_000
    batch = task.batches(seed=1, batch_size=n).at(0)
    outputs = torch.full((task.length, n, task.output_size), -60.0)
    outputs[: -task.items, :, 0] = 0
    outputs[-task.items :, :, 1 : task.symbols + 1] = torch.rand(task.items, n, task.symbols) * 1e-6
    assert abs(task.scores(outputs, batch).mean().item() - task.chance) < margin(task.chance, n * task.items)
    blind = task.baseline if isinstance(task, CopyMarkers) else math.log(task.symbols)
    assert task.loss(outputs.double(), batch).item() == pytest.approx(blind, rel=1e-5)


def test_symbols_stand_anywhere() -> None:
    task = SelectiveCopy(4, 2, 3)
    inputs = task.batches(0, 30_000).at(0).inputs[:6]
    shares = (inputs != 0).double().mean(1)
    assert (shares - 2 / 6).abs().max() < margin(2 / 6, 30_000)
    assert ((inputs != 0).sum(0) == 2).all()
    symbols = torch.bincount(inputs.flatten(), minlength=4)[1:].double() / 60_000
    assert (symbols - 1 / 3).abs().max() < margin(1 / 3, 60_000)


def test_a_lag_sets_the_blanks() -> None:
    assert CopyMarkers(5, 3).at_lag(20) == CopyMarkers(17, 3)
    assert CopyTail(5, 3).at_lag(3) == CopyTail(0, 3)
    with pytest.raises(InputError, match="copy_tail: lag=2: expected no less than the 3 symbols"):
        CopyTail(5, 3).at_lag(2)
    with pytest.raises(InputError, match="copy_markers: lag=3: expected more than the 3 symbols"):
        CopyMarkers(5, 3).at_lag(3)
    with pytest.raises(InputError, match="no lag to set"):
        SelectiveCopy(5).at_lag(3)
