"""The row of a run: its specification and what came of it, both plain JSON."""

from collections.abc import Mapping
from typing import Any, Self, final

from longhold.config import Config
from longhold.errors import InputError
from longhold.study.rows.results import GradientAt, LagScore, TextReading, TimeQuantiles, Writing
from longhold.study.rows.spec import TrialSpec


@final
class Row(Config):
    """The results of one run. All but those in `MEASURED` follow from `spec`, on the same machine and build."""

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
    """Test by test, where there are several; what a probe reads of the state, lag by lag, where one is specified."""
    control: tuple[LagScore, ...]
    """The same for probes that were trained on shuffled labels; empty where there is no probe."""
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
    machine: str
    """Where it ran."""
    versions: dict[str, str]
    """Of Python, torch and longhold."""
    error: str | None
    """One line on why there is no score; None for a run that did not fail."""
    spec: TrialSpec
    """The whole specification."""

    @property
    def digest(self) -> str:
        """Names the run, as in `spec`."""
        return self.spec.digest

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Returns the row that `to_json` gave, or an older longhold.

        Raises:
            InputError: a column is unknown, missing or no such value, or one that repeats the specification is not its.
        """
        row = cls(**{name: value for name, value in values.items() if name not in REPEATED})
        for name in REPEATED:
            if name not in values:
                raise InputError(f"{name}: Field required")
            if values[name] != getattr(row.spec, name):
                problem = f"{name}={values[name]!r:.60} is not that of the row's spec"
                raise InputError(f"{problem}, {getattr(row.spec, name)!r:.60}")
        return row

    def to_json(self) -> dict[str, Any]:
        """Returns the row as plain values, in the order of `COLUMNS`; `from_json` reads them."""
        spec = self.spec.to_json()
        own = {**self.model_dump(mode="json", exclude={"spec"}), "spec": spec}
        repeated = {"digest": self.digest, "arm": self.spec.arm}
        values = {name: own[name] if name in own else repeated.get(name, spec.get(name)) for name in COLUMNS}
        return values if self.writing else {name: value for name, value in values.items() if name != "writing"}

    def column(self, name: str) -> object:
        """Returns a column by its name in `COLUMNS`, as a person wrote it."""
        return getattr(self.spec if name in REPEATED else self, name)

    def result(self) -> dict[str, Any]:
        """Returns the row without what depends on machine and moment: equal for two runs of the same `spec`."""
        return {name: value for name, value in self.to_json().items() if name not in MEASURED}


COLUMNS = (
    *("digest", "plan", "experiment", "stage", "protocol", "task", "cell", "init", "told", "arm", "vary", "level"),
    *("lag", "hidden_size", "parameters", "state_bytes", "flops_per_token", "lr", "steps", "steps_used", "solved"),
    *("solved_step", "score", "chance", "recall", "unit", "test_sequences", "by_lag", "control", "gradient_by_lag"),
    *("time_constants", "text", "writing", "curve", "tokens_per_second", "seconds", "core_seconds", "step_seconds"),
    *("seed", "machine", "versions", "error", "spec"),
)
"""The columns of a row in files, in their order, which is part of the format."""

REPEATED = tuple(name for name in COLUMNS if name not in Row.model_fields)
"""Those that say again what `spec` says, so that a table can be read without it."""

MEASURED = frozenset({"tokens_per_second", "seconds", "core_seconds", "step_seconds", "machine", "versions"})
"""The fields of a row that may differ between two runs of the same specification."""
