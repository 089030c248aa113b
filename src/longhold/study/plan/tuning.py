"""What an arm gets of its own: a learning rate chosen from rows, steps from measured ones; how wide the window is."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple, Self, TypeAlias, final

from pydantic import Field, model_validator

from longhold.config import Config
from longhold.study.rows.row import Row
from longhold.study.rows.spec import Seed

LEAST_RATES = 5
"""Learning rates in a tuning grid."""

Seeds: TypeAlias = Annotated[tuple[Seed, ...], Field(min_length=1)]


@final
class Setting(NamedTuple):
    """What of a run is decided for its arm, by other rows or by the plan."""

    lr: float
    """Learning rate."""
    clip_norm: float | None = None
    """Largest total 2-norm of the gradients; None: the experiment's."""
    embedding_size: int | None = None
    """Width of the learned vector for an id; None: the experiment's."""
    trial: int | None = None
    """Which trial of a search it is; None: it is no trial."""
    step_seconds: float | None = None
    """Measured processor time of a step; None where steps are given, or not measured yet."""

    def steps(self, training_seconds: float | None) -> int:
        """As many steps as take this processor time, at least one."""
        return 1 if self.step_seconds is None else max(1, int((training_seconds or 0.0) / self.step_seconds))


@final
class Timing(Config):
    """How long a step takes: a few runs of each arm and level that are timed and used for nothing else.

    They run before anything else of their arm and leave rows, from which the steps of all other runs follow: the least
    mean processor time of a step among them counts, since other work on a machine only makes steps slower. A study that
    goes on takes the rows that are there, and rows that are brought along from another machine likewise.
    """

    seeds: Seeds = (4000, 4001, 4002)
    """Their seeds."""
    steps: Annotated[int, Field(ge=2)] = 40
    """Optimizer steps of each."""


@final
class Tuning(Config):
    """How each arm gets its learning rate: the same grid for all, on seeds that are used for nothing else.

    The rate with which most seeds solve wins; then the one with the fewest steps, then the one with the best recall,
    then the smaller. Nothing is pruned. A winner at an edge of the grid widens the grid for its arm by one more rate
    beyond that edge.
    """

    grid: tuple[Annotated[float, Field(gt=0)], ...]
    """Rising, evenly spaced by factors, at least 5."""
    seeds: Seeds
    """Tuning seeds."""
    level: int | None = None
    """The test_spec at which it is tuned, by its level; None where there is only one test_spec."""
    widen: Annotated[int, Field(ge=0)] = 2
    """How many rates may be added for an arm."""

    @model_validator(mode="after")
    def _is_a_grid(self) -> Self:
        factors = [after / before for before, after in zip(self.grid, self.grid[1:], strict=False)]
        if len(self.grid) < LEAST_RATES or min(factors) <= 1 or max(factors) > 1.15 * min(factors):
            raise ValueError(
                f"grid={list(self.grid)}: expected at least {LEAST_RATES} rising rates, evenly spaced by factors"
            )
        return self

    @property
    def factor(self) -> float:
        """From one rate of the grid to the next."""
        return float((self.grid[-1] / self.grid[0]) ** (1 / (len(self.grid) - 1)))


WORKABLE = 0.5
"""The proportion of tuning seeds that solve from which a learning rate counts as workable."""

_FAILED = -1.0  # stands for the recall of a run that has none: below guessing


def best_rate(rows: Mapping[float, Sequence[Row]]) -> float:
    """The learning rate that tuning chooses: see `Tuning` for the rule. `rows` are an arm's tuning runs by rate."""
    return max(rows, key=lambda lr: (*_merit(rows[lr]), -lr))


def best_setting(rows: Mapping[Setting, Sequence[Row]]) -> Setting:
    """What a search chooses, by the same rule. `rows` are an arm's tuning runs by setting."""
    return max(rows, key=lambda setting: (*_merit(rows[setting]), -setting.lr))


def worth(rows: Sequence[Row]) -> float:
    """The same in a number, greater is better: over seeds the mean of `2 - steps to solve / steps`, else of recall."""
    return statistics.fmean(_worth(row) for row in rows)


def _worth(row: Row) -> float:
    if row.solved:
        return 2 - (row.solved_step or row.spec.steps) / row.spec.steps
    return _FAILED if row.recall is None else max(_FAILED, min(row.recall, 1.0))


def _merit(rows: Sequence[Row]) -> tuple[float, ...]:
    steps = statistics.fmean(row.solved_step if row.solved_step is not None else row.spec.steps for row in rows)
    recall = statistics.fmean(_FAILED if row.recall is None else row.recall for row in rows)
    return sum(row.solved for row in rows), -steps, recall


def wider(tuning: Tuning, rates: Sequence[float], best: float) -> float | None:
    """One more rate beyond the edge at which the best one lies; None where it lies inside, or enough were added."""
    if len(rates) - len(tuning.grid) >= tuning.widen:
        return None
    if best == max(rates):
        return _rounded(best * tuning.factor)
    return _rounded(best / tuning.factor) if best == min(rates) else None


def _rounded(lr: float) -> float:
    return float(f"{lr:.4g}")
