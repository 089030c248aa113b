"""Long-memory tasks, one file each, with the level that guessing reaches."""

from longhold.tasks.adding import Adding as Adding
from longhold.tasks.agreement import Agreement as Agreement
from longhold.tasks.anbn import AnBn as AnBn
from longhold.tasks.anbn import AnBnStrings as AnBnStrings
from longhold.tasks.blimp import MinimalPair as MinimalPair
from longhold.tasks.blimp import paradigm_path as paradigm_path
from longhold.tasks.blimp import read_pairs as read_pairs
from longhold.tasks.copying import Copy as Copy
from longhold.tasks.dyck import Dyck as Dyck
from longhold.tasks.mqar import MQAR as MQAR
from longhold.tasks.multiplication import Multiplication as Multiplication
from longhold.tasks.parity import Parity as Parity
from longhold.tasks.reber import EmbeddedReber as EmbeddedReber
from longhold.tasks.recall import MixedRecall as MixedRecall
from longhold.tasks.recall import Recall as Recall
from longhold.tasks.registry import TASKS as TASKS
from longhold.tasks.registry import task_from_json as task_from_json
from longhold.tasks.span_recall import SpanRecall as SpanRecall
from longhold.tasks.stream_recall import StreamRecall as StreamRecall
from longhold.tasks.task import NOT_ASKED as NOT_ASKED
from longhold.tasks.task import Regression as Regression
from longhold.tasks.task import Task as Task
from longhold.tasks.task import TaskBatch as TaskBatch
from longhold.tasks.task import TaskBatches as TaskBatches
from longhold.tasks.temporal_order import TemporalOrder as TemporalOrder
from longhold.tasks.word_problem import WordProblem as WordProblem
