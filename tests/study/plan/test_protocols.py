import pytest

from longhold.errors import InputError
from longhold.study.plan.protocols import Capacity, Extrapolated, OfText, Plain, Readable, Trained
from longhold.tasks import task_from_json
from longhold.tasks.blimp import PARADIGMS
from tests.study.tiny import RECALL


def test_trained_is_tested_at_the_lag_it_was_trained_at() -> None:
    test_specs = Trained(task=RECALL, lags=(2, 4)).test_specs()
    assert [test_spec.level for test_spec in test_specs] == [2, 4]
    for test_spec in test_specs:
        assert test_spec.task == task_from_json({**RECALL, "lag": test_spec.level})
        assert test_spec.tests == (test_spec.task,)


def test_extrapolated_is_trained_once_and_tested_at_every_lag() -> None:
    mixed = {"name": "mixed_recall", "longest": 8}
    (test_spec,) = Extrapolated(task=mixed, lags=(4, 8, 16)).test_specs()
    assert test_spec.task == task_from_json(mixed)
    assert [test.lag for test in test_spec.tests] == [4, 8, 16]
    assert test_spec.level is None


def test_capacity_grows_what_is_held() -> None:
    protocol = Capacity(task={"name": "span_recall", "lag": 4}, vary="items", values=(1, 3), stop_after=1)
    assert [(test_spec.task.items, test_spec.level) for test_spec in protocol.test_specs()] == [(1, 1), (3, 3)]
    assert protocol.varies == "items"
    assert protocol.failures_to_stop == 1


def test_plain_is_examined_as_its_task_says() -> None:
    (test_spec,) = Plain(task={"name": "parity"}).test_specs()
    assert test_spec.tests == (test_spec.task.examination,)
    assert test_spec.tests != (test_spec.task,)
    assert [
        test_spec.level for test_spec in Plain(task={"name": "adding"}, vary="steps", values=(6, 8)).test_specs()
    ] == [6, 8]
    assert Plain(task={"name": "parity"}).varies is None


def test_an_examination_may_be_at_several_values_of_a_field() -> None:
    protocol = Plain(task={"name": "agreement"}, examined={"modifiers": 4}, examine="attractors", examine_values=(0, 4))
    (test_spec,) = protocol.test_specs()
    assert test_spec.examine == "attractors"
    assert [(test.split, test.modifiers, test.attractors) for test in test_spec.tests] == [
        ("test", 4, 0),
        ("test", 4, 4),
    ]
    assert test_spec.task.modifiers is None


def test_readable_asks_the_state_at_lags_the_sequence_has() -> None:
    task = {"name": "stream_recall", "lag": 3, "asked": 5}
    (test_spec,) = Readable(task=task, lags=(1, 7)).test_specs()
    assert test_spec.probed == (1, 7)
    with pytest.raises(InputError, match="8 steps"):
        Readable(task=task, lags=(1, 8))
    with pytest.raises(InputError, match="'adding', whose inputs are not ids"):
        Readable(task={"name": "adding", "steps": 9}, lags=(1,))


def test_text_tells_what_is_read_and_written() -> None:
    task = {"name": "text", "corpus": "pydoc", "window": 9}
    (test_spec,) = OfText(task=task).test_specs()
    assert (test_spec.contexts, test_spec.written, test_spec.tests) == (True, 0, (test_spec.task.examination,))
    (test_spec,) = OfText(task=task, contexts=False, written=7).test_specs()
    assert (test_spec.contexts, test_spec.written) == (False, 7)
    with pytest.raises(InputError, match="contexts=false"):
        OfText(task=task, contexts=False, pairs=PARADIGMS[:1])


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Trained(task=RECALL, lags=()), "rising"),
        (lambda: Trained(task=RECALL, lags=(4, 2)), "rising"),
        (lambda: Trained(task=RECALL, lags=(-1, 2)), "lag=-1"),
        (lambda: Trained(task={**RECALL, "lag": 3}, lags=(2,)), "lag=3"),
        (lambda: Trained(task={"name": "parity"}, lags=(2,)), "lag"),
        (lambda: Trained(task={"name": "abacus"}, lags=(2,)), "abacus"),
        (lambda: Trained(task=RECALL, lags=(2,), stop_after=0), "stop_after"),
        (lambda: Extrapolated(task=RECALL, lags=(2,)), "lag"),
        (lambda: Extrapolated(task={"name": "mixed_recall"}, lags=()), "lags"),
        (lambda: Capacity(task=RECALL, vary="weight", values=(2,)), "weight"),
        (lambda: Plain(task={"name": "adding"}, vary="steps"), "rising"),
        (lambda: Plain(task={"name": "parity"}, values=(3,)), "without vary"),
        (lambda: Plain(task={"name": "agreement"}, examine="attractors"), "both or neither"),
        (lambda: Plain(task={"name": "parity"}, examined={"hue": 3}), "hue"),
    ],
)
def test_what_cannot_be_examined_is_refused_in_a_line(make, word: str) -> None:
    with pytest.raises(InputError, match=word) as refused:
        make()
    assert "\n" not in str(refused.value)
