"""One-symbol recall, trained afresh at every lag: which cell and which initialisation can hold a symbol how long."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal, Self, final

from pydantic import Field

from longhold.models.budget import solve_hidden_size
from longhold.models.config import Config
from longhold.study.row import TrialSpec
from longhold.study.trial import StepTime, network, run_trial
from longhold.study.workers import Job, Workers
from longhold.tasks import Recall

SOLVED = 0.9
"""The recall from which a run counts as having solved its lag."""

_PACKED = 0.9
"""The share of the workers' time that runs of unequal length are expected to fill."""

Cell = Literal["rnn", "gru", "lstm"]


@final
class Arm(Config):
    """One row of the comparison: a cell and how it is initialised."""

    cell: Cell
    """The recurrence."""
    init: str
    """An initialisation by name. `chrono` alone stands for chrono told the task's length, lag + 2."""

    def told(self, lag: int) -> str:
        """The initialisation as `longhold.layers.init.by_name` reads it, at a lag."""
        return f"chrono:{lag + 2}" if self.init == "chrono" else self.init


ARMS = (
    Arm(cell="rnn", init="uniform"),
    Arm(cell="rnn", init="orthogonal"),
    Arm(cell="gru", init="uniform"),
    Arm(cell="gru", init="chrono"),
    Arm(cell="lstm", init="uniform"),
    Arm(cell="lstm", init="chrono"),
)
"""torch's own initialisation for each cell, and for each the one that is known to help it remember."""


@final
class RecallConfig(Config):
    """What the recall study trains. Every run gets the same of everything but cell, initialisation, lag and seed."""

    arms: Annotated[tuple[Arm, ...], Field(min_length=1)] = ARMS
    """Cells and initialisations."""
    lags: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (8, 32, 128)
    """Distractors between the symbol and the question; a fresh model is trained at each."""
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**32)], ...], Field(min_length=1)] = (0, 1, 2)
    """Each decides a run's initial weights and its sequences."""
    steps: Annotated[int, Field(ge=1)] = 400
    """Optimizer steps after which a run that has not solved its lag ends."""
    parameters: Annotated[int, Field(ge=500)] = 7000
    """Trainable numbers in each model; the hidden size is solved for it."""
    embedding_size: Annotated[int, Field(ge=1)] = 16
    """Width of the learned vector that stands for an input symbol."""
    symbols: Annotated[int, Field(ge=2)] = 8
    """Symbols that may have to be recalled; guessing is right once in so many."""
    distractors: Annotated[int, Field(ge=1)] = 8
    """Size of the distractors' own alphabet."""
    batch_size: Annotated[int, Field(ge=1)] = 64
    """Fresh sequences in each step."""
    lr: Annotated[float, Field(gt=0)] = 3e-3
    """Learning rate of Adam, the same for every run; chosen on other seeds (docs/experiments.md)."""
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    """Largest total 2-norm of the gradients."""
    test_sequences: Annotated[int, Field(ge=1000)] = 1024
    """Fresh sequences that the trained model is asked at the end."""

    def runs(self) -> tuple["RecallRun", ...]:
        """Every run of the study: arms, then lags, then seeds."""
        sizes = {arm: self.hidden_size(arm) for arm in self.arms}
        return tuple(
            RecallRun(config=self, arm=arm, lag=lag, seed=seed, hidden_size=sizes[arm])
            for arm in self.arms
            for lag in self.lags
            for seed in self.seeds
        )

    def hidden_size(self, arm: Arm) -> int:
        """The width at which this cell has the wanted number of parameters."""
        narrow = RecallRun(config=self, arm=arm, lag=max(self.lags), seed=0, hidden_size=1)
        return solve_hidden_size(network(narrow.spec()), self.parameters)


@final
class RecallRun(Config):
    """One run: everything that decides its numbers, so that a process of its own can do it."""

    config: RecallConfig
    """The study that it belongs to."""
    arm: Arm
    """Its cell and initialisation."""
    lag: Annotated[int, Field(ge=1)]
    """The lag that it is trained and tested at."""
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    """Its seed."""
    hidden_size: Annotated[int, Field(ge=1)]
    """Its hidden size, solved for the study's number of parameters."""

    @property
    def task(self) -> Recall:
        """What is trained and asked."""
        return Recall(self.lag, self.config.symbols, self.config.distractors)

    def spec(self) -> TrialSpec:
        """The run as any study has it."""
        return TrialSpec(
            plan="compare",
            experiment="recall",
            protocol="trained",
            cell=self.arm.cell,
            init=self.arm.told(self.lag),
            embedding_size=self.config.embedding_size,
            hidden_size=self.hidden_size,
            task=self.task.to_json(),
            tests=(self.task.to_json(),),
            vary="lag",
            level=self.lag,
            lr=self.config.lr,
            clip_norm=self.config.clip_norm,
            batch_size=self.config.batch_size,
            steps=self.config.steps,
            seed=self.seed,
            test_sequences=self.config.test_sequences,
        )


@dataclass(frozen=True)
class RecallRow:
    """What one run came to."""

    run: RecallRun
    """Its whole configuration."""
    parameters: int
    """Trainable numbers in its model."""
    steps: int
    """Optimizer steps made; fewer than the limit where the lag was solved before."""
    accuracy: float | None
    """The share of right answers on fresh sequences; None for a run that failed."""
    failure: str | None
    """Why there is no accuracy: the loss became non-finite."""
    seconds: float = field(compare=False)
    """Time taken by training and test; the one thing here that depends on the machine."""

    @property
    def recall(self) -> float | None:
        """`(accuracy - chance) / (1 - chance)`: 0 for guessing, 1 for perfect; None for a run that failed."""
        chance = self.run.task.chance
        return None if self.accuracy is None else (self.accuracy - chance) / (1 - chance)

    @property
    def solved(self) -> bool:
        """Whether recall is at least `SOLVED`."""
        return self.recall is not None and self.recall >= SOLVED

    def to_json(self) -> dict[str, Any]:
        """The row as plain values."""
        return {**{f.name: getattr(self, f.name) for f in fields(self)}, "run": self.run.model_dump(mode="json")}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The row that `to_json` described."""
        return cls(**{**values, "run": RecallRun(**values["run"])})


def run_recall(run: RecallRun) -> RecallRow:
    """Train one model from scratch at one lag and test it on sequences it has never seen.

    The result depends on the run alone, not on what was run before in this process.
    """
    row = run_trial(run.spec())
    return RecallRow(run, row.parameters, row.steps_used, row.score, row.error, row.seconds)


def run_study(
    config: RecallConfig, workers: Workers, on_row: Callable[[RecallRow], None] | None = None
) -> tuple[RecallRow, ...]:
    """All runs of a study, in worker processes; the rows come in the order of `config.runs()`.

    Args:
        config: the study.
        workers: processes that have been started.
        on_row: called with each row as it is ready, in no fixed order.
    """
    runs = config.runs()
    order = sorted(range(len(runs)), key=lambda i: -_heaviness(runs[i]))
    rows: dict[int, RecallRow] = {}
    for place, values in workers.map([Job("recall", runs[i].model_dump(mode="json")) for i in order]):
        row = rows[order[place]] = RecallRow.from_json(values)
        if on_row is not None:
            on_row(row)
    return tuple(rows[i] for i in range(len(runs)))


def _heaviness(run: RecallRun) -> float:
    """About how long a run may take, so that the long ones start first and no worker is left with one at the end."""
    return run.lag * {"rnn": 2, "gru": 4, "lstm": 1}[run.arm.cell]


def fit_steps(config: RecallConfig, seconds_left: Callable[[], float], workers: Workers) -> RecallConfig:
    """The same study with as many steps as fit a time budget even if no run ends early, and never more than it had.

    Every cell's step is timed once at every lag, in the workers; then `seconds_left` is asked. All runs get the same
    number of steps.
    """
    runs = {(run.arm.cell, run.lag): run for run in config.runs()}
    jobs = [Job("step_time", run.spec().model_dump(mode="json")) for run in runs.values()]
    timed = {place: StepTime(*times).wall for place, times in workers.map(jobs)}
    per_step = {key: timed[i] for i, key in enumerate(runs)}
    total = sum(per_step[run.arm.cell, run.lag] for run in config.runs())
    test = config.test_sequences / config.batch_size / 3  # a forward pass is about a third of a step
    steps = int(max(0.0, seconds_left()) * workers.count * _PACKED / total - test)
    return config.model_copy(update={"steps": min(config.steps, max(1, steps))})
