import pytest

from longhold.tasks import IGNORE_INDEX, TemporalOrder
from tests.tasks.sampling import blind_outputs, margin

TASKS = [TemporalOrder(), TemporalOrder(3), TemporalOrder(2, 10), TemporalOrder(3, 57)]
ORDERS = {"XX": 0, "XY": 1, "YX": 2, "YY": 3}
ORDERS |= {mark + order: 4 * (mark == "Y") + place for mark in "XY" for order, place in ORDERS.items()}


@pytest.mark.parametrize("task", TASKS)
def test_the_answer_is_the_order_of_the_marks(task):
    batch = task.batches(seed=3, batch_size=65).at(1)
    for b in range(65):
        text = "".join("EBabcdXY"[token] for token in batch.inputs[:, b])
        targets = batch.targets[:, b].tolist()
        (end,) = [t for t, target in enumerate(targets) if target != IGNORE_INDEX]
        assert task.steps <= end + 1 <= task.length
        assert text[0] == "E"
        assert text[end] == "B"
        assert set(text[end:]) == {"B"}
        assert not set(text[1:end]) - set("abcdXY")
        marks = "".join(letter for letter in text if letter in "XY")
        assert len(marks) == task.marks
        assert targets[end] == ORDERS[marks]


@pytest.mark.parametrize(
    ("task", "windows"),
    [(TemporalOrder(2), [(10, 20), (50, 60)]), (TemporalOrder(3), [(10, 20), (33, 43), (66, 76)])],
)
def test_the_marks_stand_in_their_windows(task, windows):
    inputs = task.batches(seed=1, batch_size=3_000).at(0).inputs
    places = (inputs >= 6).T.nonzero()[:, 1].view(-1, len(windows))
    for column, (first, last) in zip(places.T, windows, strict=True):
        assert (column.min(), column.max()) == (first, last)
        shares = column.sub(first).bincount().double() / 3_000
        assert (shares - 1 / 11).abs().max() < margin(1 / 11, 3_000)


@pytest.mark.parametrize("task", TASKS)
def test_guessing_gets_the_chance_level(task):
    n = 20_000
    batch = task.batches(seed=1, batch_size=n).at(0)
    score = task.scores(blind_outputs(batch, task.output_size), batch).mean().item()
    assert -margin(task.chance, n) < score - task.chance < margin(task.chance, n) + 0.02
