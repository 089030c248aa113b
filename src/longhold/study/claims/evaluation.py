"""From rows to claims: one family of questions, tested together."""

from collections.abc import Iterable

from longhold.study.claims.claim import Claim, Family, Verdict
from longhold.study.claims.questions import Finding, Question
from longhold.study.claims.rows import runs
from longhold.study.claims.sides import Side
from longhold.study.rows.row import Row
from longhold.study.statistics import LEAST_SEEDS, holm

LEAST_SEQUENCES = 1000
"""Fresh sequences that each run must have been tested on for a claim."""


def claims(rows: Iterable[Row], family: Family) -> list[Claim]:
    """Test every question of a family that has rows of both of its arms, in the family's order.

    - "a better than b" needs an adjusted p-value below alpha and at least the question's minimum effect;
    - "no difference" needs both one-sided tests against the question's margin, adjusted in a family of their own;
    - fewer than `LEAST_SEEDS` seeds on a side, or runs tested on fewer than `LEAST_SEQUENCES` sequences, are indicative
      and claim nothing;
    - everything else is not resolved, and says which differences would have been missed.

    A question that cannot be tested counts in the family with a p-value of 1. Rows of tuning are passed over.

    Args:
        rows: rows of a study.
        family: the questions.

    Raises:
        InputError: rows that a question cannot be put to; the line names it.
    """
    known = runs(rows)
    sides = {question.name: question.sides(known) for question in family.questions}
    answerable = [question for question in family.questions if all(side.runs for side in sides[question.name])]
    units = {question.name: question.units(*sides[question.name]) for question in answerable}
    answerable = [question for question in answerable if min(units[question.name]) > 0]
    findings = {
        question.name: question.test(*sides[question.name], family.resamples)
        for question in answerable
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
        for question in answerable
    ]


def _well_tested(sides: tuple[Side, Side]) -> bool:
    """Returns whether every run was tested on enough sequences."""
    tested = [run.row.test_sequences for side in sides for run in side.runs if not run.failed]
    return min(tested, default=LEAST_SEQUENCES) >= LEAST_SEQUENCES


def _verdict(question: Question, finding: Finding | None, differs: bool, equals: bool) -> Verdict:
    if finding is None:
        return Verdict.INDICATIVE
    if differs and abs(finding.effect.value) >= question.least:
        return Verdict.FIRST if finding.effect.value > 0 else Verdict.SECOND
    return Verdict.NO_DIFFERENCE if equals else Verdict.NOT_RESOLVED
