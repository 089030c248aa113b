"""Questions put to rows: which of two arms is better, by what measure, and what counts as a difference."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self, final

import numpy as np
from pydantic import Field, model_validator

from longhold.config import Config
from longhold.errors import InputError
from longhold.study.claims.readings import (
    Reading,
    mean_reading,
    proportion_reading,
    seed_reading,
    steps_reading,
    trained_reading,
)
from longhold.study.claims.rows import Run, Scalar
from longhold.study.claims.sides import (
    Side,
    at_level,
    complete,
    horizon,
    one_per_seed,
    side_of,
    solve_rate,
    solved_by_seed,
    strata,
)
from longhold.study.horizon import Outcomes, horizon_ratio, outcomes, trained_horizon
from longhold.study.statistics import (
    DRAWS,
    RESAMPLES,
    Estimate,
    Proportion,
    Times,
    detectable_mean_difference,
    detectable_proportion_difference,
    equivalent_means,
    equivalent_proportions,
    log_rank_test,
    log_rank_z,
    mean_difference,
    permutation_test,
    proportion_difference,
    restricted_times,
    survival,
    times,
)

Protocol = Literal["trained", "extrapolated", "capacity", "readable", "plain", "text"]


@final
@dataclass(frozen=True)
class Finding:
    """What the rows say to a question."""

    effect: Estimate
    """How much better a is than b, in the measure's unit; below 0: b is better."""
    p_value: float
    """Of the hypothesis of no difference, two-sided, unadjusted."""
    equivalence: float
    """The p-value of the hypothesis that they differ by the margin or more, unadjusted."""
    detectable: Callable[[float], float]
    """The smallest difference that would have been seen in tests at a level."""
    bound: bool = False
    """The effect is only known to be at least this large: a horizon lies beyond the lags that were run."""


class Question(Config, ABC):
    """Is arm a better than arm b, on one task, under one protocol, by one measure?"""

    name: Annotated[str, Field(min_length=1)]
    """Names the question within its family."""
    task: str
    """The task's name."""
    protocol: Protocol
    """The protocol of the rows; a question has one, so no sentence can join two horizons."""
    a: str
    """An arm by its label."""
    b: str
    """The arm it is compared with."""
    where: dict[str, Scalar] = Field(default_factory=dict)
    """Fields of the task, or columns of the row, that the rows must have."""
    levels: tuple[int, ...] = ()
    """Lags, or values of whatever varies; none: all that both arms have."""
    predicted: bool = False
    """Whether `a` was predicted, before the rows were made, to be better by at least the minimum effect."""

    measure: str
    """What is measured."""
    minimum_effect: float
    """The smallest effect that counts."""
    margin: float
    """Effects smaller than this count as no difference."""
    is_ratio: ClassVar[bool]
    """Whether effects are ratios; `Finding.effect` is then in octaves."""

    @property
    @abstractmethod
    def least(self) -> float:
        """The smallest effect that counts, in the unit of `Finding.effect`."""

    @property
    @abstractmethod
    def tolerance(self) -> float:
        """The margin in the unit of `Finding.effect`."""

    @abstractmethod
    def read(self, a: Side, b: Side) -> tuple[Reading, Reading]:
        """Returns the result of each side, in words."""

    @abstractmethod
    def test(self, a: Side, b: Side, resamples: int = RESAMPLES) -> Finding:
        """What the rows of both sides say to the question."""

    def units(self, a: Side, b: Side) -> tuple[int, int]:
        """The seeds of each side that `test` compares; of several tasks, those of the task with the fewest."""
        return len({run.seed for run in a.runs}), len({run.seed for run in b.runs})

    @model_validator(mode="after")
    def _two_arms(self) -> Self:
        if self.a == self.b:
            raise ValueError(f"arms {self.a!r} and {self.b!r}: expected two that differ")
        return self

    def sides(self, runs: Iterable[Run]) -> tuple[Side, Side]:
        """The rows that the question is about, `a` first.

        Raises:
            InputError: an arm has two rows for one seed, or rows of several sizes or budgets.
        """
        known = [run for run in runs if self._applies_to(run)]
        return side_of(self.name, self.a, known), side_of(self.name, self.b, known)

    def _applies_to(self, run: Run) -> bool:
        return (
            run.fields.get("name") == self.task
            and run.protocol == self.protocol
            and (not self.levels or run.level in self.levels)
            and all(run.has(name, value) for name, value in self.where.items())
        )


class _Difference(Question, ABC):
    is_ratio: ClassVar[bool] = False
    minimum_effect: Annotated[float, Field(gt=0, lt=1)]
    """The smallest difference that counts."""
    margin: Annotated[float, Field(gt=0, lt=1)]
    """Differences below this count as none."""

    @property
    def least(self) -> float:
        return self.minimum_effect

    @property
    def tolerance(self) -> float:
        return self.margin


class _Ratio(Question, ABC):
    is_ratio: ClassVar[bool] = True
    minimum_effect: Annotated[float, Field(gt=1)]
    """The smallest ratio of horizons that counts."""
    margin: Annotated[float, Field(gt=1)]
    """Ratios below this, and above its inverse, count as none."""

    @property
    def least(self) -> float:
        return math.log2(self.minimum_effect)

    @property
    def tolerance(self) -> float:
        return math.log2(self.margin)


@final
class SolvedQuestion(_Difference):
    """Do more seeds of `a` solve one task at one level? An exact test of two proportions."""

    measure: Literal["solved"] = "solved"
    """Share of seeds that solve."""

    def sides(self, runs: Iterable[Run]) -> tuple[Side, Side]:
        """At one named level also the seeds that were skipped, which do not solve; see `Run.skipped`."""
        if len(self.levels) != 1:
            return super().sides(runs)
        anywhere = self.model_copy(update={"levels": ()})
        known = at_level([run for run in runs if anywhere._applies_to(run)], self.levels[0])
        return side_of(self.name, self.a, known), side_of(self.name, self.b, known)

    def read(self, a: Side, b: Side) -> tuple[Reading, Reading]:
        return proportion_reading(self._solve_rate(a)), proportion_reading(self._solve_rate(b))

    def test(self, a: Side, b: Side, resamples: int = RESAMPLES) -> Finding:
        one, other = self._solve_rate(a), self._solve_rate(b)
        found = proportion_difference(one, other)
        around = (one.solved + other.solved) / (one.seeds + other.seeds)
        return Finding(
            found.difference,
            found.p_value,
            equivalent_proportions(one, other, self.margin),
            lambda level: detectable_proportion_difference(one.seeds, other.seeds, level, around=around),
        )

    def _solve_rate(self, side: Side) -> Proportion:
        return solve_rate(one_per_seed(self.name, side))


@final
class RecallQuestion(_Difference):
    """Is the recall of `a` higher? A permutation test on seeds; tasks that differ in other fields are strata.

    Over several levels a seed's figure is its mean, so that it stays the unit; a seed that lacks a level is left out.
    """

    measure: Literal["recall"] = "recall"
    """Mean recall over seeds."""

    def sides(self, runs: Iterable[Run]) -> tuple[Side, Side]:
        """Only rows of tasks and levels that both arms have, and of seeds that have all of these."""
        a, b = super().sides(runs)
        both = {(run.task, run.level) for run in a.runs} & {(run.task, run.level) for run in b.runs}
        return complete(a, both), complete(b, both)

    def read(self, a: Side, b: Side) -> tuple[Reading, Reading]:
        pairs = strata(a, b)
        one, other = ([pair[side] for pair in pairs] for side in (0, 1))
        return mean_reading(one), mean_reading(other)

    def units(self, a: Side, b: Side) -> tuple[int, int]:
        pairs = strata(a, b)
        return min((len(one) for one, _ in pairs), default=0), min((len(other) for _, other in pairs), default=0)

    def test(self, a: Side, b: Side, resamples: int = RESAMPLES) -> Finding:
        pairs = strata(a, b)
        equivalence = equivalent_means(pairs, self.margin)
        if len({(run.task, run.level) for run in a.runs + b.runs}) == 1:
            equivalence = max(equivalence, equivalent_proportions(solve_rate(a.runs), solve_rate(b.runs), self.margin))
        return Finding(
            mean_difference(pairs),
            permutation_test(pairs, resamples=resamples),
            equivalence,
            lambda level: detectable_mean_difference(pairs, level),
        )


@final
class StepsQuestion(_Difference):
    """Does `a` solve sooner? A permuted log-rank test; seeds that did not solve are censored.

    The effect is the difference of restricted mean steps as a proportion of the budget. Where it and the log-rank
    statistic point in different directions the curves cross, and nothing is claimed.
    """

    measure: Literal["steps"] = "steps"
    """Steps until a seed solves."""

    def read(self, a: Side, b: Side) -> tuple[Reading, Reading]:
        return steps_reading(survival(self._times(a))), steps_reading(survival(self._times(b)))

    def test(self, a: Side, b: Side, resamples: int = RESAMPLES) -> Finding:
        one, other = self._times(a), self._times(b)
        budget = float(min(run.row.spec.steps for run in a.runs + b.runs))
        limit = min(one.reach, other.reach, budget)
        proportions = [(restricted_times(other, limit) / budget, restricted_times(one, limit) / budget)]
        effect = mean_difference(proportions)
        agree = log_rank_z(one, other) * effect.value > 0
        return Finding(
            effect,
            log_rank_test(one, other, resamples) if agree else 1.0,
            equivalent_means(proportions, self.margin),
            lambda level: detectable_mean_difference(proportions, level),
        )

    def _times(self, side: Side) -> Times:
        values, seen = zip(*(run.solved_at for run in one_per_seed(self.name, side)), strict=True)
        return times(values, seen)


@final
class TrainedHorizonQuestion(_Ratio):
    """Is the trained horizon of `a` longer? See `longhold.study.horizon.horizon_ratio`."""

    measure: Literal["trained horizon"] = "trained horizon"
    """The lag at which half of the seeds no longer solve."""
    protocol: Literal["trained"] = "trained"
    """A fresh model per lag."""

    def sides(self, runs: Iterable[Run]) -> tuple[Side, Side]:
        """Only rows of seeds without gaps; see `longhold.study.horizon.outcomes`."""
        a, b = (self._without_gaps(side) for side in super().sides(runs))
        return a, b

    def read(self, a: Side, b: Side) -> tuple[Reading, Reading]:
        one, other = (trained_horizon(self._outcomes(side)) for side in (a, b))
        return trained_reading(one), trained_reading(other)

    def units(self, a: Side, b: Side) -> tuple[int, int]:
        return len(self._outcomes(a).solved), len(self._outcomes(b).solved)

    def test(self, a: Side, b: Side, resamples: int = RESAMPLES) -> Finding:
        found = horizon_ratio(self._outcomes(a), self._outcomes(b), resamples=resamples, draws=min(DRAWS, resamples))
        return Finding(
            found.octaves,
            1.0 if found.blind else found.p_value,
            found.equivalent(self.tolerance),
            found.detectable,
            found.bound,
        )

    def _without_gaps(self, side: Side) -> Side:
        if not side.runs:
            return side
        gaps = outcomes(solved_by_seed(self.name, side)).incomplete
        return Side(side.arm, tuple(run for run in side.runs if run.seed not in gaps))

    def _outcomes(self, side: Side) -> Outcomes:
        return outcomes(solved_by_seed(self.name, side))


@final
class SeedHorizonQuestion(_Ratio):
    """Is the horizon of a seed of `a` longer, for horizons that each seed has by itself?

    A permuted log-rank test, horizons beyond the longest lag being censored there. The effect is the ratio of geometric
    means of 1 + horizon, restricted to the longest lag; where it and the log-rank statistic point in different
    directions nothing is claimed.
    """

    measure: Literal["seed horizon"] = "seed horizon"
    """The last lag before isotonic recall falls below one half."""
    protocol: Literal["extrapolated", "capacity", "readable"]
    """Which of the three horizons."""

    def read(self, a: Side, b: Side) -> tuple[Reading, Reading]:
        longest = self._longest(a, b)
        one, other = (survival(self._horizons(side)) for side in (a, b))
        return seed_reading(one, longest), seed_reading(other, longest)

    def test(self, a: Side, b: Side, resamples: int = RESAMPLES) -> Finding:
        one, other = self._horizons(a), self._horizons(b)
        octaves = [(np.log2(1 + one.values), np.log2(1 + other.values))]
        bounds = (0.0, math.log2(1 + self._longest(a, b)))
        effect = mean_difference(octaves, bounds=bounds)
        agree = log_rank_z(one, other) * effect.value < 0
        return Finding(
            effect,
            log_rank_test(one, other, resamples) if agree else 1.0,
            equivalent_means(octaves, self.tolerance, bounds),
            lambda level: detectable_mean_difference(octaves, level, bounds=bounds),
        )

    def _longest(self, a: Side, b: Side) -> int:
        grids = {tuple(lag for lag, _ in run.by_lag) for run in a.runs + b.runs if not run.failed}
        if len(grids) != 1 or not min(grids):
            raise InputError(f"{self.name}: rows tested at {len(grids)} sets of lags: expected one set for all")
        return max(min(grids))

    def _horizons(self, side: Side) -> Times:
        found = [horizon(run) for run in one_per_seed(self.name, side)]
        return times([value for value, _ in found], [seen for _, seen in found])


AnyQuestion = Annotated[
    SolvedQuestion | RecallQuestion | StepsQuestion | TrainedHorizonQuestion | SeedHorizonQuestion,
    Field(discriminator="measure"),
]
"""A question of any measure, as a plan holds it."""
