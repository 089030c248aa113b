"""What holds for every task, whatever it asks."""

import json
from dataclasses import FrozenInstanceError, fields
from typing import get_args

import pytest
import torch

from longhold.errors import InputError
from longhold.tasks import (
    IGNORE_INDEX,
    MQAR,
    TASKS,
    Adding,
    AddingAnywhere,
    Agreement,
    AnBn,
    AnBnStrings,
    Copy,
    CopyMarkers,
    CopyTail,
    Digits,
    Dyck,
    EmbeddedReber,
    MixedRecall,
    Multiplication,
    Parity,
    Recall,
    SelectiveCopy,
    SpanRecall,
    StreamRecall,
    TemporalOrder,
    WordProblem,
    task_from_json,
)
from tests.tasks.small_digits import write

EXAMPLES = [
    Recall(5),
    MixedRecall(2, 7, 3, 4),
    SpanRecall(3, 4, 5, 6),
    StreamRecall(6, 3, 4),
    Adding(11),
    AddingAnywhere(7),
    Multiplication(2),
    AnBn(9, 13),
    AnBnStrings(7),
    Parity(3, 9, 17),
    Copy(5, 3, 4),
    CopyMarkers(5, 3, 4),
    CopyTail(5, 3, 4),
    SelectiveCopy(5, 3, 4),
    MQAR(3, 18, 20, 0.5),
    Agreement(),
    Agreement("test", "which", 2, 3, 5, True),
    TemporalOrder(3, 23),
    EmbeddedReber(9),
    Dyck(2, 4, 10, 14),
    WordProblem(2, 6, 9),
    Digits("permuted", 56),
]
TESTED = [*EXAMPLES, *(task.examination for task in EXAMPLES if task.examination != task)]


@pytest.fixture(autouse=True, scope="module")
def images(tmp_path_factory):
    """Files for the one task that reads any."""
    folder = tmp_path_factory.mktemp("data")
    write(folder / "mnist", 43)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LONGHOLD_DATA", str(folder))
        yield


def label(task):
    return f"{task.name}-{EXAMPLES.index(task) if task in EXAMPLES else 'examination'}"


def test_every_task_is_here_under_its_name():
    assert {type(task) for task in EXAMPLES} == set(TASKS.values())
    assert all(name == task.name and name == name.lower() for name, task in TASKS.items())
    expected = {"recall", "stream_recall", "adding", "anbn", "parity", "copy", "mqar", "agreement"}
    assert expected <= set(TASKS)


@pytest.mark.parametrize("task", TESTED, ids=label)
def test_batches_keep_their_contract(task):
    batch = task.batches(seed=1, batch_size=33).at(2)
    steps = len(batch.inputs)
    assert 1 <= steps <= task.length
    assert batch.mask.shape == (steps, 33)
    assert batch.mask.dtype == torch.bool
    assert batch.mask.any(0).all()
    assert batch.mask[-1].any() or task.name == "mqar"  # whose last step is filling
    if task.continuous:
        assert batch.inputs.shape == (steps, 33, task.input_size)
        assert batch.inputs.dtype == torch.float32
    else:
        assert batch.inputs.shape == (steps, 33)
        assert batch.inputs.dtype == torch.long
        assert batch.inputs.min() >= 0
        assert batch.inputs.max() < task.input_size
    if task.unit == "squared error":
        assert batch.targets.shape == (steps, 33, task.output_size)
        assert (batch.targets[~batch.mask] == 0).all()
    else:
        assert task.unit == "accuracy"
        assert batch.targets.shape == (steps, 33)
        assert torch.equal(batch.mask, batch.targets != IGNORE_INDEX)
        assert batch.targets[batch.mask].min() >= 0
        assert batch.targets[batch.mask].max() < task.output_size


@pytest.mark.parametrize("task", TESTED, ids=label)
def test_the_longest_sequence_is_as_long_as_promised(task):
    batches = task.batches(seed=0, batch_size=2000)
    assert max(len(batches.at(step).inputs) for step in range(3)) == task.length


@pytest.mark.parametrize("task", TESTED, ids=label)
def test_a_batch_is_addressed(task):
    def at(seed, step):
        return task.batches(seed, 9).at(step)

    first, other = at(4, 3), at(4, 2)
    torch.manual_seed(5)
    assert all(torch.equal(a, b) for a, b in zip(first, at(4, 3), strict=True))
    assert not torch.equal(first.inputs, other.inputs)
    if task.name != "anbn_strings" and getattr(task, "part", "") != "tested":  # which have a list to go through
        assert not torch.equal(first.inputs, at(5, 3).inputs)


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("task", TESTED, ids=label)
def test_odd_and_single_batches_can_be_had(task, size):
    batch = task.batches(seed=0, batch_size=size).at(0)
    outputs = torch.randn(*batch.mask.shape, task.output_size)
    assert batch.mask.shape[1] == size
    scores = task.scores(outputs, batch)
    assert scores.shape == (size,)
    assert scores.dtype == torch.float64
    assert scores.isfinite().all()
    assert task.loss(outputs, batch).shape == ()
    assert task.loss(outputs, batch).isfinite()
    assert isinstance(task.accuracy(outputs, batch), float)


@pytest.mark.parametrize("task", TESTED, ids=label)
def test_padding_changes_no_figure(task):
    batch = task.batches(seed=3, batch_size=17).at(1)
    outputs = torch.randn(*batch.mask.shape, task.output_size)
    last = batch.mask.shape[0] - 1 - batch.mask.flip(0).long().argmax(0)
    beyond = torch.arange(len(outputs))[:, None] > last
    other = outputs.where(~beyond[..., None], torch.tensor(1e3))
    assert torch.equal(task.scores(outputs, batch), task.scores(other, batch))
    assert torch.equal(task.loss(outputs, batch), task.loss(other, batch))
    for b in range(17):
        alone = type(batch)(*(part[: last[b] + 1, b : b + 1] for part in batch))
        assert task.scores(outputs[: last[b] + 1, b : b + 1], alone) == task.scores(outputs, batch)[b]


@pytest.mark.parametrize("task", TESTED, ids=label)
def test_chance_lies_between_the_worst_and_perfect(task):
    assert task.recall(task.chance) == 0
    assert task.recall(task.perfect) == 1
    assert task.solved(task.perfect)
    assert not task.solved(task.chance)
    assert task.tested_sequences >= 1000


@pytest.mark.parametrize("task", TESTED, ids=label)
def test_a_task_survives_json(task):
    text = json.dumps(task.to_json())
    assert task_from_json(json.loads(text)) == task
    assert json.loads(text)["name"] == task.name
    assert set(json.loads(text)) == {"name", *(field.name for field in fields(task))}


@pytest.mark.parametrize("task", EXAMPLES, ids=label)
def test_every_field_can_be_wrong_in_one_line(task):
    for field in fields(task):
        for wrong in (-1, 3j, "8 8\n8", 2.5, {"a": 1}, None):
            if type(wrong) in get_args(field.type):  # where None means drawn
                continue
            with pytest.raises(InputError) as caught:
                task_from_json({**task.to_json(), field.name: wrong})
            message = str(caught.value)
            assert "\n" not in message
            assert message.startswith(f"{task.name}: {field.name}={wrong!r:.60}: ")
            assert len(message) < 250


@pytest.mark.parametrize("task", EXAMPLES, ids=label)
def test_tasks_are_frozen(task):
    for field in fields(task):
        with pytest.raises(FrozenInstanceError):
            setattr(task, field.name, 1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "recal", "lag": 3}, "task name='recal': expected one of recall, mixed_recall"),
        ({"lag": 3}, "task name=None: expected one of recall"),
        ({"name": ["recall"]}, r"task name=\['recall'\]: expected one of recall"),
        ({"name": "recall", "lag": 3, "lags": 4}, "recall: unknown field 'lags': expected lag, symbols, distractors"),
        ({"name": "recall"}, "recall: 'lag'"),
        ({"name": "span_recall"}, "span_recall: 'items' and 'lag'"),
        ({"name": "recall", "lag": "3"}, "recall: lag='3': should be a valid integer"),
        ({"name": "recall", "lag": True}, "recall: lag=True: should be a valid integer"),
        ({"name": "recall", "lag": 3.0}, "recall: lag=3.0: should be a valid integer"),
        (["recall"], r"task=\['recall'\]: expected an object"),
        (None, "task=None: expected an object"),
    ],
)
def test_json_that_is_no_task_is_one_line(values, message):
    with pytest.raises(InputError, match=f"^{message}") as caught:
        task_from_json(values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MixedRecall(5, 4), "mixed_recall: longest=4: expected at least shortest=5"),
        (lambda: Parity(5, 4), "parity: longest=4: expected at least shortest=5"),
        (lambda: Parity(1, 40, 39), "parity: tested=39: expected at least longest=40"),
        (lambda: AnBn(50, 49), "anbn: tested=49: expected at least longest=50"),
        (lambda: MQAR(4, 65), "mqar: steps=65: expected an even number of at least 16"),
        (lambda: MQAR(5, 18), "mqar: steps=18: expected an even number of at least 20"),
        (lambda: MQAR(5, 20, 11), "mqar: vocabulary=11: expected 12 for 5 pairs"),
        (lambda: Copy(5).at_lag(10), "copy: lag=10: expected more than the 10 symbols"),
        (lambda: Dyck(1, 6, 4), "dyck: longest=4: expected at least shortest=6"),
        (lambda: Dyck(1, 2, 4, 2), "dyck: tested=2: expected at least longest=4"),
        (lambda: Dyck(1, 2, 2), "dyck: longest=2: expected at least 4 with one kind"),
        (lambda: AnBn(2), "anbn: longest=2: should be greater than or equal to 3"),
        (lambda: Dyck(1, 3), "dyck: shortest=3: should be a multiple of 2"),
        (lambda: WordProblem(3, 2), "word_problem: longest=2: expected at least shortest=3"),
        (lambda: WordProblem(1, 3, 2), "word_problem: tested=2: expected at least longest=3"),
        (lambda: TemporalOrder(4), "temporal_order: marks=4: should be 2 or 3"),
        (lambda: Agreement(split="dev"), "agreement: split='dev': should be 'train' or 'test'"),
        (lambda: Agreement(attractors=3, modifiers=2), "agreement: modifiers=2: expected at least attractors=3"),
        (lambda: Agreement(nonce=True), "agreement: nonce=True: expected split='test'"),
        (lambda: Agreement.from_json({"name": "recall"}), "name='recall': expected 'agreement'"),
    ],
)
def test_fields_that_do_not_fit_each_other_are_one_line(make, message):
    with pytest.raises(InputError, match=f"^{message}"):
        make()
