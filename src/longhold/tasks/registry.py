"""Every task by its name, and tasks from their JSON."""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from longhold.errors import InputError
from longhold.tasks.adding import Adding, AddingAnywhere
from longhold.tasks.agreement import Agreement
from longhold.tasks.anbn import AnBn, AnBnStrings
from longhold.tasks.copying import Copy, CopyMarkers, CopyTail, SelectiveCopy
from longhold.tasks.digits import Digits
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
        *(TemporalOrder, Multiplication, EmbeddedReber, Dyck, WordProblem, CopyMarkers, CopyTail, SelectiveCopy),
        *(AddingAnywhere, Digits),
    )
}
"""The tasks of this package by their names."""

GROUP = "longhold.tasks"
"""The entry points by which other packages add tasks: the name of each is its task's `name`, its object the class."""

ELSEWHERE = {"text": EntryPoint("text", "longhold.study.text.task:TextTask", GROUP)}
"""Tasks of other packages, which need what this one may not import; each is imported when it is first looked up."""


def task_class(name: str) -> type[Task]:
    """The task of this name, this package's or another's.

    Raises:
        InputError: there is none, or what another package offers under this name is no such task.
    """
    if name in TASKS:
        return TASKS[name]
    outside = entry_points(group=GROUP)
    if name not in ELSEWHERE and name not in outside.names:
        names = [*TASKS, *ELSEWHERE, *sorted(outside.names)]
        raise InputError(f"task name={name!r:.60}: expected one of {', '.join(names)}")
    found = (ELSEWHERE[name] if name in ELSEWHERE else outside[name]).load()
    if not (isinstance(found, type) and issubclass(found, Task) and found.name == name):
        raise InputError(f"entry point {name} of {GROUP} is {found!r:.60}: expected a Task whose name is {name!r}")
    return found


def task_from_json(values: Any) -> Task:
    """The task that `Task.to_json` described.

    Raises:
        InputError: there is no task of that name, or a field is unknown, missing or not what it has to be.
    """
    if not isinstance(values, dict):
        raise InputError(f"task={values!r:.60}: expected an object with a name and fields")
    name = values.get("name")
    if not isinstance(name, str):
        raise InputError(f"task name={name!r:.60}: expected one of {', '.join(TASKS)}")
    return task_class(name).from_json(values)
