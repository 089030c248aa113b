"""The specification of a run, plain JSON: everything that decides its numbers, and the digest that names it."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeAlias, final

from pydantic import Field, JsonValue, model_validator

from longhold.config import Config

_MEANING = 2
"""Part of every digest. It grows when the same specification comes to mean another run, so that no old row is taken
for a new one."""


@final
@dataclass(frozen=True)
class Added:
    """Marks a field that older rows lack. At its default it is no part of the digest, so that old digests stay.

    Nor does a row's JSON have it then, so that digests of rows stay, unless it is `written` at its default too.
    """

    written: bool = False


TaskValues: TypeAlias = dict[str, JsonValue]
"""A task as `Task.to_json` gives it."""

ProtocolName: TypeAlias = Literal["trained", "extrapolated", "capacity", "readable", "plain", "text"]
"""Under which protocol a run was made; rows of two protocols are never merged."""

Stage: TypeAlias = Literal["timing", "tuning", "result"]
"""`timing`: the run only tells how long a step takes, and is not tested. `tuning`: it only helps to choose a learning
rate. `result`: it is reported."""

Seed: TypeAlias = Annotated[int, Field(ge=0, lt=2**32)]
"""Of a run: its initial weights and its sequences."""


def digest_of(values: JsonValue) -> str:
    """32 hexadecimal digits of the SHA-256 of a JSON value, whatever the order of its keys."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@final
class TrialSpec(Config):
    """Everything that decides the numbers of one run."""

    plan: str
    """The plan it belongs to."""
    experiment: str
    """The experiment of that plan."""
    stage: Stage = "result"
    """What the run is for."""
    protocol: ProtocolName
    """How the horizon, if any, is to be read."""
    cell: str
    """The architecture, as `longhold.models.network` names it."""
    init: str
    """Its initialization as the plan names it; `chrono` alone is given the length of the longest training sequence."""
    told: Annotated[int, Field(ge=1)] | None = None
    """The number of steps that the initialization was given, if any."""
    num_layers: Annotated[int, Field(ge=1)] | None = None
    """Layers on top of each other; None: what the architecture has by itself."""
    embedding_size: Annotated[int, Field(ge=1)] | None = None
    """Width of the learned vector that stands for an id, where the architecture leaves it open; None: one-hot."""
    hidden_size: Annotated[int, Field(ge=1)] | None = None
    """Units; None where `parameters` or `flops` decides."""
    parameters: Annotated[int, Field(ge=1)] | None = None
    """Trainable numbers, for which the hidden size is solved; None where another field decides."""
    flops: Annotated[Annotated[int, Field(ge=1)] | None, Added()] = None
    """Floating-point operations of one step of one sequence, forward, for which the hidden size is solved; None where
    another field decides."""
    task: TaskValues
    """What it is trained on."""
    tests: Annotated[tuple[TaskValues, ...], Field(min_length=1)]
    """What it is tested on, each on sequences of its own."""
    examine: str | None = None
    """The field in which the tests differ, where it is not their lag."""
    probed: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Lags at which a linear probe reads the trained model's frozen state; the task's inputs are what is read."""
    pairs: Annotated[tuple[str, ...], Added(written=True)] = ()
    """Sets of minimal pairs that a model of text is tested on."""
    contexts: Annotated[bool, Added()] = True
    """Whether a model of text is read with ever more true context, for its text horizon."""
    written: Annotated[int, Field(ge=0), Added()] = 0
    """Tokens that a model of text writes after its training; above 0 its row has `writing`."""
    vary: str | None = None
    """The field of the task in which the runs of an arm differ, such as `lag`; None: in none."""
    level: int | None = None
    """That field's value in this run."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """The update rule; `sgd` is without momentum."""
    lr: Annotated[float, Field(gt=0)]
    """Learning rate of the first step."""
    final_fraction: Annotated[float, Field(gt=0, le=1), Added()] = 1.0
    """Learning rate of the last step allowed, as a proportion of the first; between them half a cosine. 1: constant."""
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    """Largest total 2-norm of the gradients."""
    batch_size: Annotated[int, Field(ge=1)] = 64
    """Fresh sequences in each step."""
    steps: Annotated[int, Field(ge=1)]
    """Optimizer steps after which the run ends."""
    training_seconds: Annotated[Annotated[float, Field(gt=0)] | None, Added()] = None
    """The processor time of training, in seconds, from which `steps` follow; None where they were given."""
    step_seconds: Annotated[Annotated[float, Field(gt=0)] | None, Added()] = None
    """The measured processor time of a step from which they follow, of rows whose stage is `timing`."""
    truncation: Annotated[Annotated[int, Field(ge=1)] | None, Added()] = None
    """Steps of a sequence over which gradients go back; None: over all of it.

    A sequence is cut into windows of so many steps, counted from its last step, so that the first may be shorter and a
    question at the end has a whole one before it. The state goes from window to window as it is and is detached there:
    every number of the forward pass stays what it was, and a loss in a window reaches back to the window's first step
    and no further. The gradients of all windows add up, each window's mean loss by its proportion of the steps with a
    target, and one update follows (Williams and Peng 1990: BPTT(h; h') with h = h').
    """
    trial: Annotated[Annotated[int, Field(ge=0)] | None, Added()] = None
    """Which trial of a search over several dimensions the run belongs to; None: it belongs to none."""
    stop_at: Annotated[float, Field(gt=0, le=1)] | None = 0.97
    """A run ends early when the recall on its last 20 batches, each new to it, was at least this on average. None: it
    takes all its steps."""
    seed: Seed
    """Decides the initial weights, the batches and the test sequences."""
    test_sequences: Annotated[int, Field(ge=1000)] = 1024
    """Fresh sequences of each test; more where the task asks for more."""
    shuffled_labels: bool = False
    """The control: in training, the answers of a batch are permuted among its sequences."""

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if [self.hidden_size, self.parameters, self.flops].count(None) != 2:
            raise ValueError("expected one of hidden_size, parameters and flops")
        return self

    @property
    def arm(self) -> str:
        """The cell, its initialization and its truncation as they are called in a report."""
        return Arm(self.cell, self.init, self.truncation).label

    @property
    def initialization(self) -> str:
        """The initialization with the number that it was given, such as `chrono:66`."""
        return self.init if self.told is None else f"{self.init}:{self.told}"

    @cached_property
    def digest(self) -> str:
        """Names the run: two specifications have the same digest if and only if they say the same."""
        values = {name: value for name, value in self.model_dump(mode="json").items() if not self._is_open(name)}
        return digest_of({"meaning": _MEANING, **values})

    def to_json(self) -> dict[str, Any]:
        """Returns the specification as a row's JSON has it: without newer fields that are at their default."""
        values = self.model_dump(mode="json")
        return {name: value for name, value in values.items() if self._is_written(name)}

    def _is_open(self, name: str) -> bool:
        """Returns whether a field that older rows lack is at its default."""
        field = type(self).model_fields[name]
        return any(isinstance(mark, Added) for mark in field.metadata) and getattr(self, name) == field.default

    def _is_written(self, name: str) -> bool:
        return Added(written=True) in type(self).model_fields[name].metadata or not self._is_open(name)


@final
class Arm(NamedTuple):
    """What is compared: one of the crossed factors of an experiment."""

    cell: str
    """The architecture."""
    init: str
    """Its initialization."""
    truncation: int | None = None
    """As in `TrialSpec`."""

    @property
    def label(self) -> str:
        """`lstm forget:1`; `lstm chrono (told the lag)`, where the initialization is given the longest lag; `lstm
        forget:1, truncated at 32`."""
        told = " (told the lag)" if takes_lag(self.init) else ""
        return f"{self.cell} {self.init}{told}{cut_label(self.truncation)}"


def cut_label(truncation: int | None) -> str:
    """How a label ends: `, truncated at 32`; with nothing where gradients go all the way back."""
    return "" if truncation is None else f", truncated at {truncation}"


def takes_lag(init: str) -> bool:
    """Whether an initialization of this name is given the length of the task: `chrono` without a number of its own."""
    return init == "chrono"
