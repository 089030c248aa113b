"""A plan's hypotheses as questions, judged by rows: what was declared before the runs, and what may be said after."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, final

from longhold.errors import InputError
from longhold.study.claims import (
    Claim,
    Family,
    Question,
    RecallQuestion,
    SeedHorizonQuestion,
    SolvedQuestion,
    StepsQuestion,
    TrainedHorizonQuestion,
    Tuning,
    claims,
)
from longhold.study.plan import Experiment, Hypothesis, Plan
from longhold.study.statistics import RESAMPLES

_NOWHERE = (-1,)  # a level that no run has
_FEW = 99  # resamples where only errors are looked for


@final
@dataclass(frozen=True)
class Judgement:
    """What the rows say to the hypotheses of a plan."""

    claims: tuple[Claim, ...]
    """One for each hypothesis that has rows of both its arms, in the plan's order."""
    unanswered: Mapping[str, str]
    """The others by name, each with the line that says why it cannot be judged; empty where it only lacks rows."""


def judged(plan: Plan, rows: Iterable[Mapping[str, Any]]) -> Judgement:
    """Judge all hypotheses of a plan as one family.

    A hypothesis that its rows do not allow to be judged yet, as when a study is not through, stays in the family: it
    counts for Holm's correction with a p-value of 1.

    Raises:
        InputError: a row cannot be read, or a hypothesis makes no sense whatever the rows.
    """
    if not plan.hypotheses:
        return Judgement((), {})
    known = [row for row in rows if row.get("plan") == plan.name]
    asked = {hypothesis.name: question(hypothesis, plan) for hypothesis in plan.hypotheses}
    refused = {name: line for name in asked if (line := _refusal(asked[name], known)) is not None}
    family = _family(*(_muted(asked[name]) if name in refused else asked[name] for name in asked))
    found = tuple(_with_tuning(claim, plan) for claim in claims(known, family))
    answered = {claim.question.name for claim in found}
    return Judgement(found, {name: refused.get(name, "") for name in asked if name not in answered})


def question(hypothesis: Hypothesis, plan: Plan) -> Question:
    """The question that a hypothesis puts. Effects below the smallest that matters count as no difference.

    Raises:
        InputError: its metric does not go with its protocol, or its smallest effect with its metric.
    """
    experiment = plan.experiment(hypothesis.experiment)
    values: dict[str, Any] = {
        "name": hypothesis.name,
        "task": experiment.protocol.task["name"],
        "protocol": experiment.protocol.name,
        "a": hypothesis.first,
        "b": hypothesis.second,
        "where": {"plan": plan.name, "experiment": experiment.name},
        "levels": () if hypothesis.level is None else (hypothesis.level,),
        "predicted": hypothesis.predicted,
    }
    kind, scale = _MEASURES[hypothesis.metric](experiment)
    effect = hypothesis.minimum_effect / scale
    return kind(**values, minimum_effect=effect, margin=effect)


_Measure = Callable[[Experiment], tuple[Callable[..., Question], float]]


def _horizon(experiment: Experiment) -> tuple[Callable[..., Question], float]:
    return (TrainedHorizonQuestion if experiment.protocol.name == "trained" else SeedHorizonQuestion), 1.0


_MEASURES: dict[str, _Measure] = {
    "solved": lambda experiment: (SolvedQuestion, 1.0),
    "recall": lambda experiment: (RecallQuestion, 1.0),
    "steps": lambda experiment: (StepsQuestion, float(experiment.steps)),
    "horizon": _horizon,
}


def _refusal(asked: Question, rows: Iterable[Mapping[str, Any]]) -> str | None:
    """Why a question cannot be put to the rows, in a line; None: it can."""
    try:
        claims(rows, _family(asked, resamples=_FEW))
    except InputError as error:
        return str(error)
    return None


def _family(*asked: Question, resamples: int = RESAMPLES) -> Family:
    return Family(questions=asked, resamples=resamples)  # type: ignore[arg-type]


def _muted(asked: Question) -> Question:
    return asked.model_copy(update={"levels": _NOWHERE})


def _with_tuning(claim: Claim, plan: Plan) -> Claim:
    """The claim with the tuning of its own experiment; those of a plan may differ."""
    tuning = plan.experiment(str(claim.question.where["experiment"])).tuning
    if tuning is None:
        return claim
    told = Tuning(learning_rates=tuning.grid, seeds=len(tuning.seeds))
    return replace(claim, family=claim.family.model_copy(update={"tuning": told}))
