"""The configuration of a training run: one frozen model, read from TOML and overridden by flags."""

import difflib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias, TypeVar

from pydantic import BeforeValidator, Field, JsonValue, model_validator

from longhold.config import Config
from longhold.documents import read_toml
from longhold.errors import InputError

ConfigT = TypeVar("ConfigT", bound=Config)


def _off(value: object) -> object:
    return None if isinstance(value, str) and value.strip().lower() in {"off", "none"} else value


OptimizerName: TypeAlias = Literal["sgd", "adamw"]
PositiveInt = Annotated[int, Field(ge=1)]
OptionalInt = Annotated[PositiveInt | None, BeforeValidator(_off)]
OptionalSeconds = Annotated[Annotated[float, Field(gt=0)] | None, BeforeValidator(_off)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]

OptionalFraction = Annotated[Annotated[float, Field(ge=0, lt=1)] | None, BeforeValidator(_off)]

_WITHOUT_EFFECT_ON_NUMBERS = {"checkpoint_every", "checkpoint_seconds", "sample_every"}
_ADDED_LATER = ("average_from", "average_decay", "run_seconds")


class TrainConfig(Config):
    """How a model is trained. Everything that happens periodically is counted in steps, so that two machines of
    different speed do the same thing.

    A value that may be switched off is None in Python and `"off"` in TOML and in flags.
    """

    steps: PositiveInt = 1000
    """Optimizer steps in the whole run."""
    budget_seconds: OptionalSeconds = None
    """The time budget that `steps` was measured for, by `longhold.training.budget`; None where `steps` was given."""
    run_seconds: OptionalSeconds = None
    """What of that is left to the run itself; for its first three quarters `steps` follows its pace, so that it keeps
    to this time. None leaves `steps` as it is."""
    batch_size: PositiveInt = 32
    """Rows `B` in a batch, over all workers together."""
    sequence_length: PositiveInt = 64
    """Steps `T` that one gradient reaches back over."""
    optimizer: OptimizerName = "adamw"
    """The update rule."""
    lr: Annotated[float, Field(gt=0)] = 3e-3
    """Learning rate at the top of the schedule."""
    momentum: Beta = 0.0
    """Momentum of `sgd`."""
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    """Decay rates of the two moments of `adamw`."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """L2 penalty (`sgd`) or decoupled decay (`adamw`) on matrices; vectors (biases, norms) are left alone."""
    clip_norm: Annotated[Annotated[float, Field(gt=0)] | None, BeforeValidator(_off)] = 1.0
    """Largest total 2-norm of the gradients; longer ones are scaled down to it. None never scales."""
    schedule: Literal["constant", "linear", "cosine", "one_cycle"] = "constant"
    """Course of the learning rate after the warm-up; see `longhold.training.schedule`."""
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    """Steps over which the learning rate rises to `lr`: linearly from near 0, for `one_cycle` along a cosine from a
    25th of it, where 0 means three tenths of the run."""
    final_fraction: Fraction = 0.0
    """The fraction of `lr` that the last step has, for all schedules but `constant`."""
    average_from: OptionalFraction = None
    """Fraction of the run after which an average of the weights is kept too; each evaluation measures both, and the
    better one counts. Without held-out data the model ends with the average. None keeps none."""
    average_decay: OptionalFraction = None
    """None: the mean over all steps since then (averaged SGD, Polyak and Juditsky 1992). Else an
    exponential moving average with this decay, such as 0.998."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Decides dropout masks and the order of the data."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """`bfloat16` runs the forward pass under autocast; weights, optimizer and evaluation stay in float32."""
    evaluate_every: OptionalInt = None
    """Steps between two evaluations on held-out data; None is a twentieth of the run. The last step is always one."""
    evaluate_columns: PositiveInt = 1
    """Streams that held-out tokens are cut into, side by side: faster, but each begins without context. 1 is exact."""
    patience: OptionalInt = None
    """Evaluations without a new best after which training stops early; None never stops early. See
    `longhold.training.stopping`, which has all rules of stopping."""
    keep_best: bool = True
    """Whether the model ends with the weights of its best evaluation (True) or of the last step (False)."""
    log_every: PositiveInt = 10
    """Steps between two lines of `metrics.jsonl`."""
    sample_every: OptionalInt = None
    """Steps between two samples; None is a tenth of the run."""
    checkpoint_every: OptionalInt = None
    """Steps between two checkpoints; None leaves it to `checkpoint_seconds`."""
    checkpoint_seconds: OptionalSeconds = 30.0
    """Seconds between two checkpoints; None leaves it to `checkpoint_every`."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.warmup_steps > self.steps:
            raise ValueError(f"warmup_steps={self.warmup_steps} is more than the {self.steps} steps of the run")
        for name, switch, choices in (
            ("momentum", "optimizer", {"sgd"}),
            ("betas", "optimizer", {"adamw"}),
            ("final_fraction", "schedule", {"linear", "cosine", "one_cycle"}),
        ):
            value, chosen = getattr(self, name), getattr(self, switch)
            if value != type(self).model_fields[name].default and chosen not in choices:
                raise ValueError(f"{name}={value} has no meaning with {switch}={chosen!r}")
        if self.patience is not None and not self.keep_best:
            raise ValueError("patience without keep_best would throw away the weights that stopping early is for")
        if self.average_decay is not None and self.average_from is None:
            raise ValueError(f"average_decay={self.average_decay} has no meaning without average_from")
        if self.average_from is not None and not self.keep_best:
            raise ValueError("average_from without keep_best: the average and the weights could not be compared")
        return self

    @property
    def averaging_starts(self) -> int | None:
        """The number of steps after which weights are averaged, or None."""
        return None if self.average_from is None else int(self.average_from * self.steps)

    @property
    def evaluation_interval(self) -> int:
        """Steps between two evaluations."""
        return self.evaluate_every or max(1, self.steps // 20)

    @property
    def sample_interval(self) -> int:
        """Steps between two samples."""
        return self.sample_every or max(1, self.steps // 10)

    def plan(self) -> dict[str, JsonValue]:
        """The fields that decide what a run computes: all but how often it is saved and sampled.

        Fields that plans lacked at first are left out at their default, so that earlier plans still agree.
        """
        unused = {name for name in _ADDED_LATER if getattr(self, name) == type(self).model_fields[name].default}
        return self.model_dump(mode="json", exclude=_WITHOUT_EFFECT_ON_NUMBERS | unused)


def digest(plan: Mapping[str, JsonValue]) -> str:
    """SHA-256 of a plan, as 64 hexadecimal digits; the order of its keys does not matter."""
    return hashlib.sha256(json.dumps(plan, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def checked(kind: type[ConfigT], values: Mapping[str, object], source: str = "configuration") -> ConfigT:
    """A configuration of the given kind from plain values.

    Raises:
        InputError: naming `source`, and each unknown key (with close matches) or each value that cannot be used.
    """
    unknown = [_unknown(name, list(kind.model_fields)) for name in values if name not in kind.model_fields]
    if unknown:
        raise InputError(f"{source}: {'; '.join(unknown)}")
    try:
        return kind(**values)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


def _unknown(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"expected one of {', '.join(known)}"
    return f"unknown key {name!r:.60}, {hint}"


def load_config(path: str | Path | None = None, overrides: Mapping[str, object] | None = None) -> TrainConfig:
    """Read a `TrainConfig` from a TOML file with top-level keys, then let `overrides` win.

    Args:
        path: the TOML file; None for the defaults.
        overrides: values by field name, as from flags. None means that the flag was not given; `"off"` switches off.

    Raises:
        InputError: for an unreadable file, an unknown key (with close matches) or a value that cannot be used.
    """
    values = read_toml(path) if path is not None else {}
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    return checked(TrainConfig, {**values, **given}, source=str(path) if path is not None else "configuration")
