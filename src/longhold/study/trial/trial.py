"""One run of the study: a specification in, a row out."""

import functools
import math
import operator
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from longhold.errors import InputError
from longhold.models.budget import parameter_count, solve_hidden_size
from longhold.models.contract import SequenceModel, able_to_learn, evaluation_mode
from longhold.models.cost import flops_per_token, solve_hidden_size_for_flops, state_bytes
from longhold.models.memory import require_memory_to_train
from longhold.models.network import Architecture, NetworkConfig, Sizes, network_for
from longhold.study.rows.machine import Machine
from longhold.study.rows.results import GradientAt, LagScore, TextReading, TimeQuantiles, Writing
from longhold.study.rows.row import Row
from longhold.study.rows.spec import TrialSpec
from longhold.study.text.reading import read_model_of_text
from longhold.study.text.task import TextTask
from longhold.study.text.writing import write_by_model
from longhold.study.trial.evaluation import TEST_STREAM, mean_score
from longhold.study.trial.inside import Inside
from longhold.tasks import Task, TaskBatch, task_from_json
from longhold.tasks.task import SOLVED
from longhold.training.best import Best, copy_of
from longhold.training.config import OptimizerName
from longhold.training.optim import optimizer_of
from longhold.training.schedule import along_cosine
from longhold.training.step import take_step
from longhold.training.stopping import Solved

if TYPE_CHECKING:
    from longhold.inspection.memory_horizon import ReadableHorizon, RecallByLag

_POINTS = 50
"""Points of a learning curve that runs to the end of its steps."""

_VALIDATION_WINDOWS = 64
_PROBE_PARTS = 3  # one to test a probe, the others to fit it
_SOME_WIDTH = 64  # of the configuration that a solver then gives another
_SHUFFLE = 1  # besides seed and step: what a random number is for

_Seen = tuple[tuple[GradientAt, ...], TimeQuantiles | None]
_NOTHING_SEEN: _Seen = ((), None)

_RULES: dict[str, OptimizerName] = {"adam": "adamw", "sgd": "sgd"}


def run_trial(spec: TrialSpec) -> Row:
    """Train one model from scratch and test it on sequences it has never seen.

    The row depends on the specification alone, not on what ran before in this process nor on its number of threads: a
    run takes one. A loss that becomes non-finite ends the run as a row that failed.

    Raises:
        InputError: the specification names no task or model that there is, or its parts do not fit.
    """
    with _alone(spec.seed):
        began = time.perf_counter(), time.thread_time()
        learner = _Learner(spec)
        inside = learner.inside()
        error = learner.train()
        trained = time.thread_time() - began[1]
        tests = () if error or spec.stage == "timing" else learner.test()
        if not all(math.isfinite(test.score) for test in tests):
            tests, error = (), "the score became non-finite"
        read = learner.read() if tests and spec.probed else None
        text, writing = learner.read_text() if tests and spec.stage == "result" else (None, None)
        seen = inside.look(learner.model) if inside is not None and tests else _NOTHING_SEEN
        taken = _Taken(time.perf_counter() - began[0], time.thread_time() - began[1], trained)
        row = _row(learner, tests, read, error, taken)
        return row.model_copy(
            update={"gradient_by_lag": seen[0], "time_constants": seen[1], "text": text, "writing": writing}
        )


_FLOAT32 = 4  # bytes
_COPIES = {"adam": 4, "sgd": 2}  # of each weight: itself, its gradient, what the optimizer remembers


@final
class StepTime(NamedTuple):
    """What an optimizer step takes."""

    wall: float
    """Seconds on the clock, other work on the machine included."""
    core: float
    """Seconds of processor time."""


def step_time(spec: TrialSpec, steps: int = 5) -> StepTime:
    """The mean time of a few steps of a run after two that are not counted."""
    with _alone(spec.seed):
        learner = _Learner(spec)
        for step in range(2):
            learner.step(step)
        wall, core = time.perf_counter(), time.thread_time()
        for step in range(2, 2 + steps):
            learner.step(step)
        return StepTime((time.perf_counter() - wall) / steps, (time.thread_time() - core) / steps)


def training_bytes(spec: TrialSpec) -> int:
    """Returns the memory that a run's training takes at least: its weights, as often as they are kept."""
    return _FLOAT32 * _COPIES[spec.optimizer] * parameter_count(network(spec))


def network(spec: TrialSpec) -> NetworkConfig:
    """The configuration of a run's model; for a budget of parameters or operations the hidden size is solved.

    Raises:
        InputError: there is no such task or cell, its initialization does not go with it, the budget is too small, or
            the run's tasks differ in their inputs or outputs.
    """
    tasks = [task_from_json(values) for values in (spec.task, *spec.tests)]
    kinds = {(task.input_size, task.output_size, task.continuous, task.unit) for task in tasks}
    if len(kinds) > 1:
        raise InputError(
            f"{spec.experiment}: the tasks of a run need the same inputs and outputs, found {sorted(kinds)}"
        )
    task = tasks[0]
    sizes = Sizes(input_size=task.input_size, output_size=task.output_size, continuous=task.continuous)
    architecture = Architecture(
        cell=spec.cell,
        init=spec.initialization,
        num_layers=spec.num_layers,
        embedding_size=spec.embedding_size,
    )
    config = network_for(architecture, sizes, spec.hidden_size or _SOME_WIDTH)
    if spec.parameters is not None:
        return config.with_hidden_size(solve_hidden_size(config, spec.parameters))
    if spec.flops is not None:
        return config.with_hidden_size(solve_hidden_size_for_flops(config, spec.flops, task.length))
    return config


@contextmanager
def _alone(seed: int) -> Iterator[None]:
    """One thread and a generator of its own inside the block; the caller's afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with able_to_learn(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


class _Learner:
    """A model in training on its tasks."""

    def __init__(self, spec: TrialSpec) -> None:
        self.spec = spec
        self.config = network(spec)
        self.task = task_from_json(spec.task)
        self.tests = [task_from_json(values) for values in spec.tests]
        require_memory_to_train(self.config, f"{spec.experiment}: a {spec.cell}", _COPIES[spec.optimizer])
        self.model = self.config.build()
        self.curve = _Curve(max(1, spec.steps // _POINTS))
        self.steps_used, self.tokens = 0, 0
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        groups = [{"params": trained, "weight_decay": 0.0}]
        self._optimizer = optimizer_of(groups, _RULES[spec.optimizer], spec.lr)
        self._batches = self.task.batches(spec.seed, spec.batch_size)
        self.solved = Solved(spec.stop_at, lambda recall: self.task.solved(_score(self.task, recall)))
        self._validation = _validation_of(self.model, self.task, spec)
        self.best = Best() if self._validation is None else Best(math.inf, 0, copy_of(self.model))

    def train(self) -> str | None:
        """Take steps until the last one or until the task is solved; returns a line on what went wrong, if it did."""
        self.model.train()
        for step in range(self.spec.steps):
            loss, recall = self.step(step)
            self.steps_used = step + 1
            if not (math.isfinite(loss) and math.isfinite(recall)):
                return f"the loss became non-finite in step {self.steps_used}"
            self.curve.add(loss, recall)
            if self.steps_used % self.curve.every == 0 or self.steps_used == self.spec.steps:
                self._validate()
            if self.solved.observe(recall):
                break
        self.curve.close()
        self.best.restore(self.model)
        return None

    def step(self, step: int) -> tuple[float, float]:
        """Take one step; returns loss and recall before it, which are honest, since the batch is new to the model."""
        spec, batch, outputs = self.spec, self._batch(step), list[Tensor]()
        angle = math.pi * step / max(1, spec.steps - 1)
        lr = spec.lr * along_cosine(1.0, spec.final_fraction, angle)
        taken = take_step(self._optimizer, self._losses(batch, outputs), lr=lr, clip_norm=spec.clip_norm)
        self.tokens += batch.mask.numel()
        loss = functools.reduce(operator.add, map(float, taken.losses), 0.0)  # plainly, where sum() compensates
        return loss, self.task.recall(self.task.score(torch.cat(outputs), batch, loss))

    def _losses(self, batch: TaskBatch, outputs: list[Tensor]) -> Iterator[Tensor]:
        """Yields the loss of each window with targets, weighted by its part of them; adds each window's outputs."""
        state, targets = None, batch.mask.sum()
        for window in windows(batch, self.spec.truncation):
            here = window.mask.sum()
            with torch.set_grad_enabled(bool(here)):  # without targets there is no gradient either
                out, state = self.model(window.inputs, state)
                loss = self.task.loss(out, window) if here else None
            if loss is not None:
                yield loss if here == targets else loss * (here / targets)
            outputs.append(out.detach())
            state = self.model.detach(state)

    def _validate(self) -> None:
        """Keep the weights of this step if they are the best so far, where the task has data to tell."""
        if self._validation is not None:
            self.best.offer(self._validation.bits(), self.steps_used, self.model)

    def _batch(self, step: int) -> TaskBatch:
        batch = self._batches.at(step)
        if not self.spec.shuffled_labels:
            return batch
        generator = np.random.default_rng(np.random.SeedSequence((self.spec.seed, step, _SHUFFLE)))
        order = torch.from_numpy(generator.permutation(self.spec.batch_size))
        return batch._replace(targets=batch.targets[:, order], mask=batch.mask[:, order])

    def test(self) -> tuple[LagScore, ...]:
        """The score of each test."""
        self.model.eval()
        return tuple(self._test(task, self.spec.seed + TEST_STREAM * (i + 1)) for i, task in enumerate(self.tests))

    def _test(self, task: Task, stream: int) -> LagScore:
        score = mean_score(self.model, task, stream, sequences(self.spec, task))
        level = None if self.spec.examine is None else task.to_json()[self.spec.examine]
        # not checked: a score may be non-finite, and then the row has none
        return LagScore.model_construct(
            lag=task.lag, level=level, score=score, recall=task.recall(score), solved=task.solved(score)
        )

    def read_text(self) -> tuple[TextReading | None, Writing | None]:
        """How much context a model of text uses and how its verbs agree; what it writes. None where not asked for."""
        if self.spec.protocol != "text":
            return None, None
        if not isinstance(self.task, TextTask):
            raise InputError(f"protocol text has task {self.task.name!r}: expected 'text'")
        reading = read_model_of_text(self.model, self.task, self.spec.pairs) if self.spec.contexts else None
        if not self.spec.written:
            return reading, None
        best = self.steps_used if self.best.step is None else self.best.step
        return reading, write_by_model(self.model, self.task, self.spec.written, self.spec.seed, best)

    def inside(self) -> Inside | None:
        """The instruments that look into the model, of a run that is reported and whose task has a lag."""
        if self.spec.stage != "result" or self.task.lag is None:
            return None
        return Inside(self.model, self.task, self.spec.seed + TEST_STREAM * (len(self.tests) + 2))

    def read(self) -> "ReadableHorizon":
        """What linear probes read of the state, with as many test sequences as the other tests have at least."""
        from longhold.inspection.memory_horizon import readable_horizon  # which imports scipy, for a second

        batches = self.task.batches(self.spec.seed + TEST_STREAM * (len(self.tests) + 1), self.spec.test_sequences)
        inputs = torch.cat([batches.at(i).inputs for i in range(_PROBE_PARTS)], dim=1)
        return readable_horizon(self.model, inputs, self.spec.probed, test_share=1 / _PROBE_PARTS, seed=self.spec.seed)


def windows(batch: TaskBatch, steps: int | None) -> Iterator[TaskBatch]:
    """A batch cut along time into windows of so many steps, counted from its end; None: the batch as it is."""
    length = len(batch.inputs)
    if steps is None or steps >= length:
        yield batch
        return
    first = length % steps or steps
    for begin, end in pairwise([0, *range(first, length + 1, steps)]):
        yield TaskBatch(*(part[begin:end] for part in batch))


def _lag_scores(read: "RecallByLag") -> tuple[LagScore, ...]:
    scores = zip(read.lags, read.accuracy, read.recall, strict=True)
    return tuple(LagScore(lag=lag, score=a, recall=r, solved=r >= SOLVED) for lag, a, r in scores)


def sequences(spec: TrialSpec, test: Task) -> int:
    """How many sequences a run is tested on in one of its tests."""
    return max(spec.test_sequences, test.tested_sequences)


def _score(task: Task, recall: float) -> float:
    """Returns the score that a recall stands for."""
    return task.chance + recall * (task.perfect - task.chance)


@final
class _Validation:
    """Windows of a text that no weight is fitted to, always the same ones, by which the best weights are chosen."""

    def __init__(self, model: SequenceModel, task: TextTask, stream: int) -> None:
        self._model, self._task = model, task
        self._batch = task.batch_at(stream, 0, _VALIDATION_WINDOWS)

    @torch.no_grad()
    def bits(self) -> float:
        """Returns the bits per token of the model as it is."""
        with evaluation_mode(self._model):
            return float(self._task.scores(self._model(self._batch.inputs)[0], self._batch).mean())


def _validation_of(model: SequenceModel, task: Task, spec: TrialSpec) -> _Validation | None:
    validation = task.validation if isinstance(task, TextTask) else None
    stream = spec.seed + TEST_STREAM * (len(spec.tests) + 3)
    return None if validation is None else _Validation(model, validation, stream)


@final
class _Curve:
    """A learning curve: a point every few steps, the mean of what came since the one before."""

    def __init__(self, every: int) -> None:
        self.points: list[tuple[int, float, float]] = []
        self.every, self._step = every, 0
        self._since: list[tuple[float, float]] = []

    def add(self, loss: float, recall: float) -> None:
        self._step += 1
        self._since.append((loss, recall))
        if self._step % self.every == 0:
            self.close()

    def close(self) -> None:
        """End with a point at the last step."""
        if self._since:
            losses, recalls = zip(*self._since, strict=True)
            self.points.append((self._step, statistics.fmean(losses), statistics.fmean(recalls)))
            self._since.clear()


@final
class _Taken(NamedTuple):
    """Seconds that a run took."""

    wall: float
    core: float
    training: float


def _row(
    learner: _Learner, tests: tuple[LagScore, ...], read: "ReadableHorizon | None", error: str | None, taken: _Taken
) -> Row:
    spec, machine = learner.spec, Machine.here()
    by_lag = _lag_scores(read.read) if read is not None else tests if len(tests) > 1 else ()
    solved = bool(tests) and all(test.solved for test in tests)
    return Row(
        lag=learner.task.lag,
        hidden_size=learner.config.hidden_size,
        parameters=parameter_count(learner.config),
        state_bytes=state_bytes(learner.config, learner.task.length),
        flops_per_token=flops_per_token(learner.config, learner.task.length),
        steps_used=learner.steps_used,
        solved=solved,
        solved_step=(learner.solved.first or learner.steps_used) if solved else None,
        score=statistics.fmean(test.score for test in tests) if tests else None,
        chance=statistics.fmean(task.chance for task in learner.tests),
        recall=statistics.fmean(test.recall for test in tests) if tests else None,
        unit=learner.task.unit,
        test_sequences=min(sequences(spec, task) for task in learner.tests),
        by_lag=by_lag,
        control=() if read is None else _lag_scores(read.control),
        curve=tuple(learner.curve.points),
        tokens_per_second=learner.tokens / taken.training if taken.training > 0 else None,
        seconds=taken.wall,
        core_seconds=taken.core,
        step_seconds=taken.training / learner.steps_used if learner.steps_used else None,
        machine=f"{machine.system}, {machine.processor}, {machine.cores} cores",
        versions={"python": machine.python, "torch": machine.torch, "longhold": machine.longhold},
        error=error,
        spec=spec,
    )
