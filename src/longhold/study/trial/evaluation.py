"""How a model is examined on a task: by fresh sequences, and by nothing but the answers that it gives to them."""

import math

import torch

from longhold.models.contract import SequenceModel
from longhold.tasks import Task

TEST_STREAM = 2**32
"""`seed + TEST_STREAM (i + 1)` names the sequences of a run's test `i`; no training seed is as large."""

_BATCH = 256


@torch.no_grad()
def mean_score(model: SequenceModel, task: Task, stream: int, sequences: int) -> float:
    """The mean score of a model in the task's unit over the first `sequences` sequences of a stream."""
    batches = task.batches(stream, min(_BATCH, sequences))
    parts = (batches.at(i) for i in range(math.ceil(sequences / batches.batch_size)))
    return float(torch.cat([task.scores(model(part.inputs)[0], part) for part in parts])[:sequences].mean())
