"""What a run is told and what it comes to: a specification and a row, both plain JSON."""

import hashlib
import json
from collections.abc import Container
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeAlias, final

from pydantic import Field, JsonValue, model_validator

from longhold.models.config import Config

_MEANING = 2
"""Part of every digest. It grows when the same specification comes to mean another run, so that no old row is taken
for a new one."""

_LATER = (
    *("pairs", "contexts", "written", "final_fraction"),
    *("truncation", "flops", "training_seconds", "step_seconds", "trial"),
)
"""Fields of a specification that older rows lack; at their default they do not count, so that old digests stay."""

_LATEST = frozenset(_LATER) - {"pairs"}
"""Those of them, and `writing` of a row, that rows do not mention at their default, so that digests of rows stay."""

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
    """Its initialisation as the plan names it; `chrono` alone is told the longest sequence in training."""
    told: Annotated[int, Field(ge=1)] | None = None
    """The number of steps that the initialisation was told, where it was."""
    num_layers: Annotated[int, Field(ge=1)] | None = None
    """Layers on top of each other; None: what the architecture has by itself."""
    embedding_size: Annotated[int, Field(ge=1)] | None = None
    """Width of the learned vector that stands for an id, where the architecture leaves it open; None: one-hot."""
    hidden_size: Annotated[int, Field(ge=1)] | None = None
    """Units; None where `parameters` or `flops` decides."""
    parameters: Annotated[int, Field(ge=1)] | None = None
    """Trainable numbers, for which the hidden size is solved; None where another field decides."""
    flops: Annotated[int, Field(ge=1)] | None = None
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
    pairs: tuple[str, ...] = ()
    """Sets of minimal pairs that a model of text is asked about."""
    contexts: bool = True
    """Whether a model of text is read with ever more true context, for its text horizon."""
    written: Annotated[int, Field(ge=0)] = 0
    """Tokens that a model of text writes after its training; above 0 its row has `writing`."""
    vary: str | None = None
    """The field of the task in which the runs of an arm differ, such as `lag`; None: in none."""
    level: int | None = None
    """That field's value in this run."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """The update rule; `sgd` is without momentum."""
    lr: Annotated[float, Field(gt=0)]
    """Learning rate of the first step."""
    final_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Learning rate of the last step allowed, as a share of the first; between them half a cosine. 1: constant."""
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    """Largest total 2-norm of the gradients."""
    batch_size: Annotated[int, Field(ge=1)] = 64
    """Fresh sequences in each step."""
    steps: Annotated[int, Field(ge=1)]
    """Optimizer steps after which the run ends."""
    training_seconds: Annotated[float, Field(gt=0)] | None = None
    """The processor time of training, in seconds, from which `steps` follow; None where they were given."""
    step_seconds: Annotated[float, Field(gt=0)] | None = None
    """The measured processor time of a step from which they follow, of rows whose stage is `timing`."""
    truncation: Annotated[int, Field(ge=1)] | None = None
    """Steps of a sequence over which gradients go back; None: over all of it.

    A sequence is cut into windows of so many steps, counted from its last step, so that the first may be shorter and a
    question at the end has a whole one before it. The state goes from window to window as it is and is detached there:
    every number of the forward pass stays what it was, and a loss in a window reaches back to the window's first step
    and no further. The gradients of all windows add up, each window's mean loss by its share of the asked steps, and
    one update follows (Williams and Peng 1990: BPTT(h; h') with h = h').
    """
    trial: Annotated[int, Field(ge=0)] | None = None
    """Which trial of a search over several dimensions the run belongs to; None: it belongs to none."""
    stop_at: Annotated[float, Field(gt=0, le=1)] | None = 0.97
    """A run ends early when the recall on its last 20 batches, each new to it, was at least this on average. None: it
    takes all its steps."""
    seed: Seed
    """Decides the initial weights, the batches and the test sequences."""
    test_sequences: Annotated[int, Field(ge=1000)] = 1024
    """Fresh sequences of each test; more where the task asks for more."""
    shuffled_labels: bool = False
    """The control: in training, the answers of a batch are dealt out among its sequences."""

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if [self.hidden_size, self.parameters, self.flops].count(None) != 2:
            raise ValueError("expected one of hidden_size, parameters and flops")
        return self

    @property
    def arm(self) -> str:
        """The cell, its initialisation and its truncation as they are called in a report."""
        return Arm(self.cell, self.init, self.truncation).label

    @property
    def initialisation(self) -> str:
        """The initialisation with the number that it was told, such as `chrono:66`."""
        return self.init if self.told is None else f"{self.init}:{self.told}"

    @cached_property
    def digest(self) -> str:
        """Names the run: two specifications have the same digest if and only if they say the same."""
        said = {name: value for name, value in self.model_dump(mode="json").items() if self._counts(name, _LATER)}
        return digest_of({"meaning": _MEANING, **said})

    def mentions(self, name: str) -> bool:
        """Whether a row's JSON has this field; a row that was made before there was such a field has it not."""
        return self._counts(name, _LATEST)

    def _counts(self, name: str, later: Container[str]) -> bool:
        return name not in later or getattr(self, name) != type(self).model_fields[name].default


@final
class Arm(NamedTuple):
    """What is compared: one of the crossed factors of an experiment."""

    cell: str
    """The architecture."""
    init: str
    """Its initialisation."""
    truncation: int | None = None
    """As in `TrialSpec`."""

    @property
    def label(self) -> str:
        """`lstm forget:1`; a prior that is told the longest lag is labelled so: `lstm chrono (told the lag)`; and so is
        truncation: `lstm forget:1, truncated at 32`."""
        told = " (told the lag)" if is_told(self.init) else ""
        return f"{self.cell} {self.init}{told}{cut_label(self.truncation)}"


def cut_label(truncation: int | None) -> str:
    """How a label ends: `, truncated at 32`; with nothing where gradients go all the way back."""
    return "" if truncation is None else f", truncated at {truncation}"


def is_told(init: str) -> bool:
    """Whether an initialisation of this name is given the length of the task: `chrono` without a number of its own."""
    return init == "chrono"


@final
class LagScore(Config):
    """How one test of a run went."""

    lag: int | None
    """The lag that is tested, where there is one."""
    level: int | None = None
    """The value of the field in which the tests differ, where it is not their lag."""
    score: float
    """In the task's own unit, the mean over test sequences; of a probe the accuracy."""
    recall: float
    """0 for guessing, 1 for perfect."""
    solved: bool
    """Whether that counts as solved."""


@final
class GradientAt(Config):
    """The norm of the gradient of the asked answer's loss by the state so many steps before, geometric mean over
    sequences."""

    lag: int
    """Steps before the answer."""
    start: float
    """Before training."""
    trained: float
    """After it."""


@final
class TimeQuantiles(Config):
    """Time constants of the gate that keeps the state, in steps: quantiles over units, at `inspection.LEVELS`."""

    start: tuple[float, ...]
    """Of the gate at its bias alone, before training."""
    trained: tuple[float, ...]
    """Along the path while the trained model reads the task's inputs."""
    longest: float
    """Of any unit, along the same path."""
    caution: str
    """Whether they may be read as memory, in a line."""


@final
class PairShare(Config):
    """How often a text model finds the grammatical sentence of a pair likelier."""

    paradigm: str
    """The set of pairs, as BLiMP names it."""
    right: int
    """Pairs in which it does."""
    ngram_right: int
    """The same of the n-gram of the same text."""
    pairs: int
    """Of how many."""


@final
class TextReading(Config):
    """How much context a text model uses, and how its verbs agree."""

    window: int
    """Tokens at which its backpropagation was truncated."""
    full_bits: float
    """Bits per token at the targets, given all the text before them."""
    lengths: tuple[int, ...]
    """Tokens of true context that were tried."""
    bits: tuple[float, ...]
    """Bits per token given the last so many tokens, preceded by other held-out text."""
    excess: tuple[float, ...]
    """`bits - full_bits`."""
    excess_from_nothing: tuple[float, ...]
    """The same where an empty state precedes, which also tells how strange that is to the model."""
    segment_excess: tuple[tuple[float, ...], ...]
    """`excess` in each contiguous part of the text, `(segments, lengths)`: what a bootstrap draws from."""
    targets: int
    """Tokens that were predicted."""
    tolerance: float
    """Excess, in bits per token, up to which it counts as nothing."""
    horizon: int
    """The smallest length from which on the excess stays within the tolerance; where censored, the longest tried."""
    censored: bool
    """The excess is above the tolerance at the longest length tried."""
    ngram_bits: float
    """Bits per token of the n-gram of the same text, on the same held-out text."""
    pairs: tuple[PairShare, ...]
    """BLiMP's sets that were asked for."""


@final
class Writing(Config):
    """What a model of text came to: bits per character of the held-out text, beside predictors without a network on the
    same text, and what it writes."""

    bits: float
    """Of the model, state carried from the end of the training text through all that was asked."""
    characters: int
    """How many were asked, from the beginning of the held-out text."""
    frequency_bits: float
    """Of token frequencies in the training text, without context."""
    ngram_bits: float
    """Of the Kneser-Ney n-gram of the training text."""
    xz_bits: float
    """What `xz -9e` grows by when the asked text follows the training text."""
    xz_alone_bits: float
    """The asked text compressed by `xz -9e` with nothing before it."""
    best_step: int
    """The step whose weights were kept, best on the text that was set aside for that; else the last."""
    prime: str
    """What it writes after: the first words of the held-out text."""
    temperature: float
    """Of what it writes."""
    sample: str
    """What it writes."""


@final
class Row(Config):
    """What one run came to. All fields but those in `MEASURED` follow from `spec`, on the same machine and build."""

    digest: str
    """Of `spec`."""
    plan: str
    """As in `spec`."""
    experiment: str
    """As in `spec`."""
    stage: Stage
    """As in `spec`."""
    protocol: ProtocolName
    """As in `spec`."""
    task: TaskValues
    """What it was trained on: its name and its fields."""
    cell: str
    """As in `spec`."""
    init: str
    """As in `spec`."""
    told: int | None
    """As in `spec`."""
    arm: str
    """Cell, initialisation and truncation in one label."""
    vary: str | None
    """As in `spec`."""
    level: int | None
    """As in `spec`."""
    lag: int | None
    """The lag that it was trained at, where there is one."""
    hidden_size: int
    """Units."""
    parameters: int
    """Trainable numbers."""
    state_bytes: int
    """Bytes of the state of one sequence."""
    flops_per_token: int
    """Floating-point operations of one step of one sequence, forward."""
    lr: float
    """As in `spec`."""
    steps: int
    """Optimizer steps allowed."""
    steps_used: int
    """Optimizer steps made."""
    solved: bool
    """Whether every test was solved."""
    solved_step: int | None
    """For a run that solved its tests: the first step after which its last 20 batches counted as solved, or
    `steps_used` if none did. None: censored at `steps_used`."""
    score: float | None
    """Mean over the tests; None for a run that failed, and for one that was only timed."""
    chance: float
    """The score of guessing, mean over the tests."""
    recall: float | None
    """Mean over the tests."""
    unit: str
    """What a score is."""
    test_sequences: int
    """Fresh sequences in each test, the fewest where they differ."""
    by_lag: tuple[LagScore, ...]
    """Test by test, where there are several; what a probe reads of the state, lag by lag, where one was asked for."""
    control: tuple[LagScore, ...]
    """The same for probes that were taught shuffled labels; empty where there is no probe."""
    gradient_by_lag: tuple[GradientAt, ...] = ()
    """What of the loss reaches the state at each lag, up to the task's own; empty where the task has no lag."""
    time_constants: TimeQuantiles | None = None
    """Of an LSTM's or GRU's units, where the task has a lag."""
    text: TextReading | None = None
    """Of a model of text that was read with ever more context."""
    writing: Writing | None = None
    """Of a model of text that was to write."""
    curve: tuple[tuple[int, float, float], ...]
    """`(step, loss, recall)` on the run's own new batches, each the mean since the point before."""
    tokens_per_second: float | None
    """Steps of sequences trained on per second of one core; None where it was too short to tell."""
    seconds: float
    """Time from beginning to end."""
    core_seconds: float
    """Processor time of the same."""
    step_seconds: float | None = None
    """Processor time of an optimizer step, mean over the run's own; older rows lack it."""
    seed: int
    """As in `spec`."""
    machine: str
    """Where it ran."""
    versions: dict[str, str]
    """Of Python, torch and longhold."""
    error: str | None
    """One line on why there is no score; None for a run that did not fail."""
    spec: TrialSpec
    """The whole specification."""

    @model_validator(mode="after")
    def _is_of_its_spec(self) -> Self:
        if self.digest != self.spec.digest:
            raise ValueError(f"digest={self.digest!r} is not that of the row's spec, {self.spec.digest!r}")
        return self

    def to_json(self) -> dict[str, Any]:
        """The row as plain values; `Row(**values)` reads them."""
        values = self.model_dump(mode="json", exclude=None if self.writing else {"writing"})
        values["spec"] = {name: value for name, value in values["spec"].items() if self.spec.mentions(name)}
        return values

    def result(self) -> dict[str, Any]:
        """The row without what depends on the machine and the moment: equal for two runs of the same `spec`."""
        return {name: value for name, value in self.to_json().items() if name not in MEASURED}


MEASURED = frozenset({"tokens_per_second", "seconds", "core_seconds", "step_seconds", "machine", "versions"})
"""The fields of a row that may differ between two runs of the same specification."""
