"""Every task by its name, and tasks from their JSON."""

from typing import Any

from longhold.errors import InputError
from longhold.tasks.adding import Adding
from longhold.tasks.agreement import Agreement
from longhold.tasks.anbn import AnBn, AnBnStrings
from longhold.tasks.copying import Copy
from longhold.tasks.dyck import Dyck
from longhold.tasks.mqar import MQAR
from longhold.tasks.multiplication import Multiplication
from longhold.tasks.parity import Parity
from longhold.tasks.reber import EmbeddedReber
from longhold.tasks.recall import MixedRecall, Recall
from longhold.tasks.span_recall import SpanRecall
from longhold.tasks.stream_recall import StreamRecall
from longhold.tasks.task import Task
from longhold.tasks.temporal_order import TemporalOrder
from longhold.tasks.word_problem import WordProblem

TASKS: dict[str, type[Task]] = {
    task.name: task
    for task in (
        *(Recall, MixedRecall, SpanRecall, StreamRecall, Adding, AnBn, AnBnStrings, Parity, Copy, MQAR, Agreement),
        *(TemporalOrder, Multiplication, EmbeddedReber, Dyck, WordProblem),
    )
}
"""The tasks by their names. A task from outside is added here under its `name`."""


def task_from_json(values: Any) -> Task:
    """The task that `Task.to_json` described.

    Raises:
        InputError: there is no task of that name, or a field is unknown, missing or not what it has to be.
    """
    if not isinstance(values, dict):
        raise InputError(f"task={values!r:.60}: expected an object with a name and fields")
    name = values.get("name")
    if not isinstance(name, str) or name not in TASKS:
        raise InputError(f"task name={name!r:.60}: expected one of {', '.join(TASKS)}")
    return TASKS[name].from_json(values)
