"""Long-memory tasks, one file each, with the level that guessing reaches."""

from longhold.tasks.recall import Recall as Recall
from longhold.tasks.task import NOT_ASKED as NOT_ASKED
from longhold.tasks.task import Task as Task
from longhold.tasks.task import TaskBatch as TaskBatch
from longhold.tasks.task import TaskBatches as TaskBatches
