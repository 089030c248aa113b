"""A plan's questions evaluated by rows that may not all be there yet."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import final

from longhold.errors import InputError
from longhold.study.claims import Claim, Family, Question, claims
from longhold.study.plan.plan import Plan
from longhold.study.rows.row import Row

_NOWHERE = (-1,)  # a level that no run has
_FEW = 99  # resamples where only errors are looked for


@final
@dataclass(frozen=True)
class Evaluation:
    """What the rows say to the questions of a plan."""

    claims: tuple[Claim, ...]
    """One for each question that has rows of both its arms, in the plan's order."""
    unanswered: Mapping[str, str]
    """The others by name, each with the line that says why it cannot be tested; empty where it only lacks rows."""


def evaluate(plan: Plan, rows: Iterable[Row]) -> Evaluation:
    """Test all questions of a plan as one family.

    A question that its rows do not allow to be tested yet, as when a study is not complete, stays in the family: it
    counts for Holm's correction with a p-value of 1.

    Raises:
        InputError: a row occurs twice.
    """
    family = plan.questions()
    if family is None:
        return Evaluation((), {})
    known = [row for row in rows if row.spec.plan == plan.name]
    found, refused = _claims(known, family)
    answered = {claim.question.name for claim in found}
    names = [question.name for question in family.questions]
    return Evaluation(tuple(found), {name: refused.get(name, "") for name in names if name not in answered})


def _claims(rows: list[Row], family: Family) -> tuple[list[Claim], dict[str, str]]:
    try:
        return claims(rows, family), {}
    except InputError:
        refused = {question.name: line for question in family.questions if (line := _refusal(question, rows))}
        if not refused:
            raise
        questions = tuple(
            _excluded(question) if question.name in refused else question for question in family.questions
        )
        return claims(rows, family.model_copy(update={"questions": questions})), refused


def _refusal(question: Question, rows: list[Row]) -> str | None:
    """Why a question cannot be put to the rows, in a line; None: it can."""
    try:
        claims(rows, Family(questions=(question,), resamples=_FEW))  # type: ignore[arg-type]
    except InputError as error:
        return str(error)
    return None


def _excluded(question: Question) -> Question:
    return question.model_copy(update={"levels": _NOWHERE})
