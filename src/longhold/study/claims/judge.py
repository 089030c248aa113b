"""From rows to claims: one family of questions, judged together."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Self, final

from pydantic import Field, model_validator

from longhold.models.config import Config
from longhold.study.claims.questions import AnyQuestion, Finding, Question
from longhold.study.claims.readings import Language, Reading
from longhold.study.claims.rows import runs
from longhold.study.claims.sentences import Tuning, Verdict, sentence
from longhold.study.claims.sides import Side
from longhold.study.statistics import LEAST_SEEDS, RESAMPLES, holm

LEAST_SEQUENCES = 1000
"""Fresh sequences that each run must have been tested on for a claim."""


class Prediction(StrEnum):
    """What became of a prediction made before its rows."""

    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"
    NOT_RESOLVED = "not resolved"


@final
class Family(Config):
    """Questions that are judged together, declared in the plan."""

    questions: Annotated[tuple[AnyQuestion, ...], Field(min_length=1)]
    """All of them. Questions without rows count too: the family is what was asked, not what was answered."""
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """The chance of any false difference in the family; the same again for false claims of no difference."""
    tuning: Tuning | None = None
    """How learning rates were chosen; None: they were fixed beforehand."""
    resamples: Annotated[int, Field(ge=99)] = RESAMPLES
    """Permutations of each test, and the most draws of a bootstrap in one."""

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
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
    """The family that it was judged in."""
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
        """What each side came to."""
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

    def text(self, language: Language = "en") -> str:
        """The claim as a sentence or two, which say nothing beyond its rows."""
        return sentence(self, language)

    def to_json(self) -> dict[str, Any]:
        """The claim as plain values."""
        effect = None if self.finding is None else self.finding.effect
        return {
            "question": self.question.model_dump(mode="json"),
            "verdict": self.verdict.value,
            "prediction": None if self.prediction is None else self.prediction.value,
            "seeds": list(self.units),
            "effect": None if effect is None else [effect.value, effect.interval.low, effect.interval.high],
            "p_value": self.p_value,
            "equivalence": self.equivalence,
            "rows": list(self.rows),
            "text": {"en": self.text("en"), "zh": self.text("zh")},
        }


def claims(rows: Iterable[Mapping[str, Any]], family: Family) -> list[Claim]:
    """Judge every question of a family that has rows of both of its arms, in the family's order.

    - "a better than b" needs an adjusted p-value below alpha and at least the question's minimum effect;
    - "no difference" needs both one-sided tests against the question's margin, adjusted in a family of their own;
    - fewer than `LEAST_SEEDS` seeds on a side, or runs tested on fewer than `LEAST_SEQUENCES` sequences, are indicative
      and claim nothing;
    - everything else is not resolved, and says which differences would have been missed.

    A question that cannot be tested counts in the family with a p-value of 1. Rows of tuning are passed over.

    Args:
        rows: rows of a study, as `longhold.study.rows.store` gives them.
        family: the questions.

    Raises:
        InputError: rows that a question cannot be put to; the line names it.
    """
    known = runs(rows)
    sides = {question.name: question.sides(known) for question in family.questions}
    asked = [question for question in family.questions if all(side.runs for side in sides[question.name])]
    units = {question.name: question.units(*sides[question.name]) for question in asked}
    asked = [question for question in asked if min(units[question.name]) > 0]
    findings = {
        question.name: question.weigh(*sides[question.name], family.resamples)
        for question in asked
        if min(units[question.name]) >= LEAST_SEEDS and _well_tested(sides[question.name])
    }
    names = [question.name for question in family.questions]
    different = holm({name: findings[name].p_value if name in findings else 1.0 for name in names}, family.alpha)
    equal = holm({name: findings[name].equivalence if name in findings else 1.0 for name in names}, family.alpha)
    return [
        Claim(
            question,
            family,
            sides[question.name],
            units[question.name],
            _verdict(
                question,
                findings.get(question.name),
                question.name in different.rejected,
                question.name in equal.rejected,
            ),
            findings.get(question.name),
            different.p_values[question.name],
            equal.p_values[question.name],
            different.level,
        )
        for question in asked
    ]


def _well_tested(sides: tuple[Side, Side]) -> bool:
    """Whether every run was tested on enough sequences; a row that does not say was not."""
    tested = [run.columns.get("test_sequences", 0) for side in sides for run in side.runs if not run.failed]
    return min(tested, default=LEAST_SEQUENCES) >= LEAST_SEQUENCES


def _verdict(question: Question, finding: Finding | None, differs: bool, equals: bool) -> Verdict:
    if finding is None:
        return Verdict.INDICATIVE
    if differs and abs(finding.effect.value) >= question.least:
        return Verdict.FIRST if finding.effect.value > 0 else Verdict.SECOND
    return Verdict.NO_DIFFERENCE if equals else Verdict.NOT_RESOLVED
