"""Questions are judged by the rows that are there; one that cannot be judged yet does not silence the others."""

from longhold.study.claims import Verdict, claims, sentence
from longhold.study.report.judged import judged
from longhold.study.statistics import holm
from tests.study.columns import row_of
from tests.study.report.rows_made_up import large, rows_of

PLAN = large()


def values():
    return rows_of(PLAN)


def test_with_all_rows_it_is_what_claims_say():
    found = judged(PLAN, values())
    told = claims(values(), PLAN.questions())
    assert [sentence(claim, "en") for claim in found.claims] == [sentence(claim, "en") for claim in told]
    assert len(told) == 5
    assert found.unanswered == {}


def test_a_question_that_cannot_be_judged_is_named_and_stays_in_the_family():
    """Every seed of an arm lacks one of its lags, so there is none to read a trained horizon from."""
    holes = [
        row
        for row in values()
        if row.spec.arm != "lstm forget:1"
        or row.spec.stage == "tuning"
        or row.spec.level != (16, 32)[row.spec.seed % 2]
    ]
    found, whole = judged(PLAN, holes), judged(PLAN, values())
    assert set(found.unanswered) == {"longer"}
    assert "expected at least one" in found.unanswered["longer"]
    assert [claim.question.name for claim in found.claims] == ["at 128", "gates", "sooner", "mixed"]
    assert all(len(claim.family.questions) == 5 for claim in found.claims)
    gates = {claim.question.name: claim for claim in found.claims}["gates"]
    before = {claim.question.name: claim for claim in whole.claims}["gates"]
    assert gates.finding is not None
    assert before.finding is not None
    assert gates.finding.p_value == before.finding.p_value
    alone = {claim.question.name: claim.finding.p_value for claim in found.claims if claim.finding is not None}
    asked = {question.name: alone.get(question.name, 1.0) for question in gates.family.questions}
    assert gates.p_value == holm(asked, gates.family.alpha).p_values["gates"] > gates.finding.p_value
    assert gates.verdict is Verdict.SECOND


def test_rows_of_another_plan_and_rows_that_are_missing_leave_a_question_unanswered():
    others = [row_of({**row.to_json(), "plan": "other"}) for row in values()]
    assert judged(PLAN, others).claims == ()
    assert set(judged(PLAN, others).unanswered.values()) == {""}


def test_a_plan_that_asks_nothing_has_no_claims():
    assert judged(PLAN.model_copy(update={"family": None}), values()).claims == ()
