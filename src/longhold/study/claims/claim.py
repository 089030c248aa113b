"""What a claim is: a question, the family it was tested in, the rows of both sides and what follows from them."""

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Self, final

from pydantic import Field, model_validator

from longhold.config import Config
from longhold.study.claims.questions import AnyQuestion, Finding, Question
from longhold.study.claims.readings import Reading
from longhold.study.claims.sides import Side
from longhold.study.statistics import RESAMPLES


class Verdict(StrEnum):
    """What may be said."""

    FIRST = "a is better"
    SECOND = "b is better"
    NO_DIFFERENCE = "no difference"
    NOT_RESOLVED = "not resolved"
    INDICATIVE = "indicative"


@final
class Tuning(Config):
    """How the learning rate of every arm was chosen, the same for all."""

    learning_rates: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]
    """The grid."""
    seeds: Annotated[int, Field(ge=1)]
    """Seeds per learning rate, none of them used for results."""
    trials: Annotated[int, Field(ge=1)] | None = None
    """Trials of a search in several dimensions, of whose learning rates the above are the ends; None: a grid."""
    dimensions: tuple[str, ...] = ()
    """What a search chose."""


class Prediction(StrEnum):
    """What became of a prediction made before its rows."""

    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"
    NOT_RESOLVED = "not resolved"


@final
class Family(Config):
    """Questions that are tested together, declared in the plan."""

    questions: Annotated[tuple[AnyQuestion, ...], Field(min_length=1)]
    """All of them. Questions without rows count too: the family holds what the plan asks, not what was answered."""
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """The chance of any false difference in the family; the same again for false claims of no difference."""
    tuning: Tuning | None = None
    """How learning rates were chosen; None: they were fixed beforehand."""
    resamples: Annotated[int, Field(ge=99)] = RESAMPLES
    """Permutations of each test, and the most draws of a bootstrap in one."""

    @model_validator(mode="after")
    def _has_unique_names(self) -> Self:
        names = [question.name for question in self.questions]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two questions called {twice!r}: expected names that differ")
        return self


@final
@dataclass(frozen=True)
class Claim:
    """What the rows say to one question."""

    question: Question
    """The question."""
    family: Family
    """The family that it was tested in."""
    sides: tuple[Side, Side]
    """The rows of each arm."""
    units: tuple[int, int]
    """Seeds compared."""
    verdict: Verdict
    """What may be said."""
    finding: Finding | None
    """The comparison; None where there are too few seeds for one."""
    p_value: float
    """Of the difference, adjusted by Holm's procedure."""
    equivalence: float
    """Of the two one-sided tests, adjusted by Holm's procedure."""
    level: float
    """The unadjusted p-value below which the question would have been answered."""

    @cached_property
    def readings(self) -> tuple[Reading, Reading]:
        """The result of each side, in words."""
        return self.question.read(*self.sides)

    @cached_property
    def missed(self) -> float:
        """The smallest effect that would have been seen at `level`, in the unit of `Finding.effect`."""
        return math.inf if self.finding is None else self.finding.detectable(self.level)

    @property
    def rows(self) -> tuple[str, ...]:
        """The ids of the rows that it rests on."""
        return tuple(run.id for side in self.sides for run in side.runs)

    @property
    def prediction(self) -> Prediction | None:
        """What became of the prediction; None if there was none."""
        if not self.question.predicted:
            return None
        no_such_effect = self.verdict is Verdict.NO_DIFFERENCE and self.question.tolerance <= self.question.least
        if self.verdict is Verdict.FIRST:
            return Prediction.CONFIRMED
        return Prediction.CONTRADICTED if self.verdict is Verdict.SECOND or no_such_effect else Prediction.NOT_RESOLVED
