"""Claims as predicates on rows. Every figure in a sentence is looked up again in the rows it names."""

import gc
import itertools
import os
import re
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from longhold.errors import InputError
from longhold.study.claims import (
    Claim,
    Family,
    Prediction,
    Question,
    RecallQuestion,
    SeedHorizonQuestion,
    SolvedQuestion,
    StepsQuestion,
    TrainedHorizonQuestion,
    Verdict,
    sentence,
)
from tests.study.claims.rows_made_up import Row, claimed, row, rows, swapped
from tests.study.columns import row_of

A, B = "lstm chrono (told the lag)", "lstm uniform"
SOLVED = SolvedQuestion(
    name="solved", task="recall", protocol="trained", a=A, b=B, levels=(64,), minimum_effect=0.3, margin=0.3
)
RECALL = RecallQuestion(name="recall", task="recall", protocol="trained", a=A, b=B, minimum_effect=0.1, margin=0.2)
STEPS = StepsQuestion(
    name="steps", task="recall", protocol="trained", a=A, b=B, levels=(64,), minimum_effect=0.1, margin=0.1
)
TRAINED = TrainedHorizonQuestion(name="trained", task="recall", a=A, b=B, minimum_effect=1.5, margin=1.5)
SEED = SeedHorizonQuestion(
    name="seed", task="recall", protocol="extrapolated", a=A, b=B, minimum_effect=1.5, margin=1.5
)
ALL: tuple[Question, ...] = (SOLVED, RECALL, STEPS, TRAINED, SEED)
LAGS = (16, 32, 64, 128, 256)

STUDIES = int(os.environ.get("LONGHOLD_STUDIES", "400"))


def lagged(arm: str, seed: int, until: int) -> Row:
    tests = [{"lag": lag, "score": 0.0, "recall": 1.0 if lag <= until else 0.0} for lag in LAGS]
    return row(arm, seed, None, protocol="extrapolated", by_lag=tests)


def clear_study(seeds: int = 10) -> list[Row]:
    """A solves up to lag 128 and holds 128 or more; B solves up to lag 32 and holds 32 or less."""
    made = []
    for lag in LAGS:
        made += rows(A, [lag <= 128] * seeds, lag) + rows(B, [lag <= 32] * seeds, lag)
    for seed in range(seeds):
        made += [lagged(A, seed, 256 if seed % 2 else 128), lagged(B, seed, 32 if seed % 2 else 16)]
    return made


def judged(given: Sequence[Row], *questions: Question, **settings: object) -> dict[str, Claim]:
    family = Family(questions=questions or ALL, resamples=999, **settings)
    return {claim.question.name: claim for claim in claimed(given, family)}


def test_a_clear_study_is_claimed_by_every_measure() -> None:
    found = judged(clear_study())
    assert {name: claim.verdict for name, claim in found.items()} == dict.fromkeys(
        ["solved", "recall", "steps", "trained", "seed"], Verdict.FIRST
    )


def test_swapping_the_arms_reverses_every_sentence() -> None:
    found, turned = judged(clear_study()), judged(swapped(clear_study(), A, B))
    for name, claim in turned.items():
        assert claim.verdict is Verdict.SECOND
        assert claim.finding is not None
        before = found[name].finding
        assert before is not None
        assert claim.finding.effect.value == pytest.approx(-before.effect.value)
        first = sentence(claim, "en").split(". ")[0]
        assert first == sentence(found[name], "en").split(". ")[0].replace(A, "?").replace(B, A).replace("?", B)


@pytest.mark.parametrize("arm", [A, B])
def test_deleting_the_rows_of_an_arm_removes_its_sentences(arm: str) -> None:
    assert judged([one for one in clear_study() if one["arm"] != arm]) == {}


def test_deleting_rows_down_to_nine_seeds_removes_every_claim() -> None:
    few = [one for one in clear_study() if one["seed"] != 3]
    found = judged(few)
    assert {claim.verdict for claim in found.values()} == {Verdict.INDICATIVE}
    for claim in found.values():
        assert "9 and 9 seeds where 10 each are needed" in sentence(claim, "en")
        assert claim.finding is None
        assert "difference" not in sentence(claim, "en").split(";")[0]


def test_deleting_the_deciding_rows_removes_the_claim() -> None:
    """The claim on shares at lag 64 does not survive on the rows of another lag."""
    assert "solved" not in judged([one for one in clear_study() if one["lag"] != 64])


def test_a_claim_names_just_the_rows_it_rests_on() -> None:
    made = [row_of(one) for one in clear_study()]
    found = judged(made)
    wanted = {
        "solved": [one for one in made if one.lag == 64],
        "trained": [one for one in made if one.spec.protocol == "trained"],
        "seed": [one for one in made if one.spec.protocol == "extrapolated"],
    }
    for name, given in wanted.items():
        assert sorted(found[name].rows) == sorted(one.digest for one in given)
    again = judged([one for one in made if one.digest in found["seed"].rows], *ALL)
    assert again["seed"].finding is not None
    assert found["seed"].finding is not None
    assert again["seed"].finding.effect == found["seed"].finding.effect
    assert "trained" not in again


def test_no_claim_joins_two_horizons() -> None:
    for claim in judged(clear_study()).values():
        assert len({run.protocol for side in claim.sides for run in side.runs}) == 1
        named = [
            name for name in ("trained horizon", "extrapolated horizon", "capacity") if name in sentence(claim, "en")
        ]
        assert len(named) <= 1


def test_figures_in_the_sentence_come_from_the_rows() -> None:
    made = rows(A, [True] * 9 + [False]) + rows(B, [True] * 2 + [False] * 9, lr=0.01, hidden_size=38)
    text = sentence(judged(made, SOLVED)["solved"], "en")
    for figure in ("9 of 10 seeds", "2 of 11 seeds", "lag 64", "hidden size 40", "hidden size 38", "1,500 steps"):
        assert figure in text
    for figure in ("learning rate 0.003", "learning rate 0.01", "symbols=8", "7,012 parameters", "+0.72"):
        assert figure in text
    assert re.search(r"95 % interval \+0\.\d\d to \+0\.\d\d", text)


def test_more_needs_the_minimum_effect_too() -> None:
    made = rows(A, [True] * 40) + rows(B, [True] * 30 + [False] * 10)
    asked = {name: SolvedQuestion(**{**SOLVED.model_dump(), "minimum_effect": name}) for name in (0.2, 0.3)}
    assert judged(made, asked[0.2])["solved"].verdict is Verdict.FIRST
    assert judged(made, asked[0.3])["solved"].verdict is Verdict.NOT_RESOLVED


def test_more_needs_the_adjusted_p_value() -> None:
    """5 of 10 against 0 of 10 is significant alone and not among five, be the others answered or not."""
    made = rows(A, [True] * 5 + [False] * 5) + rows(B, [False] * 10)
    alone = judged(made, SOLVED)["solved"]
    assert alone.verdict is Verdict.FIRST
    others = [SolvedQuestion(**{**SOLVED.model_dump(), "name": f"{place}", "task": "parity"}) for place in range(4)]
    among = judged(made, SOLVED, *others)
    assert list(among) == ["solved"]  # the others have no rows
    assert among["solved"].verdict is Verdict.NOT_RESOLVED
    assert among["solved"].p_value == pytest.approx(min(1, 5 * alone.p_value))


def test_no_difference_needs_equivalence_and_few_seeds_cannot_show_it() -> None:
    ten = judged(rows(A, [True] * 10) + rows(B, [True] * 10), SolvedQuestion(**{**SOLVED.model_dump(), "margin": 0.2}))
    thirty = judged(rows(A, [True] * 30) + rows(B, [True] * 30), SOLVED)
    assert ten["solved"].verdict is Verdict.NOT_RESOLVED
    assert re.search(r"differences below 0\.\d\d would be missed", sentence(ten["solved"], "en"))
    assert thirty["solved"].verdict is Verdict.NO_DIFFERENCE
    assert "differ by less than 0.3" in sentence(thirty["solved"], "en")


def test_recall_alike_in_ten_seeds_is_not_called_no_difference() -> None:
    made = rows(A, [True] * 10) + rows(B, [True] * 10)
    assert judged(made, RECALL)["recall"].verdict is Verdict.NOT_RESOLVED


@pytest.mark.parametrize(
    ("solved", "verdict"),
    [
        ((10, 0), Prediction.CONFIRMED),
        ((0, 10), Prediction.CONTRADICTED),
        ((6, 4), Prediction.NOT_RESOLVED),
    ],
)
def test_predictions_are_judged_from_rows(solved: tuple[int, int], verdict: Prediction) -> None:
    predicted = SolvedQuestion(**{**SOLVED.model_dump(), "predicted": True})
    sides = [[seed < count for seed in range(10)] for count in solved]
    found = judged(rows(A, sides[0]) + rows(B, sides[1]), predicted)["solved"]
    assert found.prediction is verdict
    assert sentence(found, "en").endswith(f"is better: {verdict.value}.")
    assert judged(rows(A, sides[0]) + rows(B, sides[1]), SOLVED)["solved"].prediction is None


def test_no_difference_contradicts_a_prediction_only_if_it_excludes_the_predicted_effect() -> None:
    made = rows(A, [True] * 30) + rows(B, [True] * 30)
    for least, expected in ((0.3, Prediction.CONTRADICTED), (0.2, Prediction.NOT_RESOLVED)):
        asked = SolvedQuestion(**{**SOLVED.model_dump(), "minimum_effect": least, "predicted": True})
        assert judged(made, asked)["solved"].prediction is expected


def test_horizons_beyond_the_grid_on_both_sides_are_not_compared() -> None:
    made = [one for lag in LAGS for arm in (A, B) for one in rows(arm, [True] * 10, lag)]
    found = judged(made, TRAINED)["trained"]
    assert found.verdict is Verdict.NOT_RESOLVED
    assert "no difference could be seen here" in sentence(found, "en")
    assert ">= 256 steps" in sentence(found, "en")
    assert "ratio" not in sentence(found, "en")


def test_a_horizon_beyond_the_grid_on_one_side_is_a_bound() -> None:
    made = [one for lag in LAGS for one in rows(A, [True] * 10, lag) + rows(B, [lag <= 32] * 10, lag)]
    found = judged(made, TRAINED)["trained"]
    assert found.verdict is Verdict.FIRST
    assert "or further from 1 as a horizon lies beyond the lags tested" in sentence(found, "en")


def test_a_study_that_stopped_early_for_one_arm_is_compared() -> None:
    """B is skipped lag 256 after failing 64 and 128."""
    made = [one for one in clear_study() if not (one["arm"] == B and one["lag"] == 256)]
    found = judged(made, TRAINED)["trained"]
    assert found.verdict is Verdict.FIRST
    assert len(found.rows) == 90


def test_seeds_given_up_below_a_level_do_not_solve_it() -> None:
    question = SOLVED.model_copy(update={"levels": (256,)})
    known = [one for lag in (64, 128, 256) for one in rows(A, [True] * 10, lag)]
    known += [one for lag in (64, 128) for one in rows(B, [False] * 9, lag)]  # nine seeds skipped them
    known += [row(B, 9, 64), row(B, 9, 128, False), row(B, 9, 256, True)]
    claim = judged(known, question)["solved"]
    assert claim.verdict is Verdict.FIRST
    assert claim.units == (10, 10)
    assert claim.readings[1]["en"].startswith("1 of 10 seeds")
    assert "10 seeds, 9 of them skipped after two failures in a row below, counted as not solving" in sentence(
        claim, "en"
    )
    assert "其中 9 个此前连续两级失败" in sentence(claim, "zh")
    one_failure = [one for one in known if not (one["arm"] == B and one["lag"] == 64 and one["seed"] < 9)]
    assert judged(one_failure, question)["solved"].units == (10, 1)  # one failure does not end a known
    solved_once = [{**one, "solved": True} if one["arm"] == B and one["lag"] == 128 else one for one in known]
    assert judged(solved_once, question)["solved"].units == (10, 1)
    whole = judged(rows(A, [True] * 10, 256) + rows(B, [False] * 9 + [True], 256), question)["solved"]
    assert whole.p_value == claim.p_value
    assert "skipped after" not in sentence(whole, "en")


def test_runs_that_failed_count_as_not_solved_and_are_told() -> None:
    lost = {"error": "the loss became non-finite", "solved": False, "solved_step": None, "recall": None, "score": None}
    made = rows(A, [True] * 10) + [{**one, **lost} for one in rows(B, [True] * 10)]
    found = judged(made, SOLVED, RECALL, STEPS)
    assert {claim.verdict for claim in found.values()} == {Verdict.FIRST}
    for claim in found.values():
        assert "10 runs failed and count as not solving" in sentence(claim, "en")
        assert "10 次运行失败" in sentence(claim, "zh")
    failing = [{**lagged(B, seed, 32), **lost, "by_lag": []} for seed in range(10)]
    held = judged([lagged(A, seed, 64) for seed in range(10)] + failing, SEED)["seed"]
    assert held.verdict is Verdict.FIRST
    assert "median over seeds 0 steps" in sentence(held, "en")


def test_rows_of_tuning_are_passed_over() -> None:
    made = clear_study()
    tuned = [{**one, "stage": "tuning", "lr": 0.1, "seed": one["seed"] + 100} for one in swapped(made, A, B)]
    assert {name: sentence(claim, "en") for name, claim in judged(made + tuned).items()} == {
        name: sentence(claim, "en") for name, claim in judged(made).items()
    }


def test_runs_tested_on_few_sequences_claim_nothing() -> None:
    made = [{**one, "test_sequences": 256} for one in clear_study()]
    found = judged(made)
    assert {claim.verdict for claim in found.values()} == {Verdict.INDICATIVE}
    assert "fewer than 1,000 sequences" in sentence(found["solved"], "en")


def test_several_tasks_are_strata_and_several_levels_one_figure_per_seed() -> None:
    made = []
    for symbols, lag in itertools.product((4, 8), (16, 32)):
        task = {"name": "recall", "lag": lag, "symbols": symbols}
        for seed in range(10):
            made.append(row(A, seed, lag, recall=0.9 - 0.02 * seed, task=task))
            made.append(row(B, seed, lag, recall=0.3 + 0.01 * seed + (0.2 if lag == 16 else 0), task=task))
    found = judged(made, RECALL)["recall"]
    assert found.units == (10, 10)
    assert found.finding is not None
    assert found.finding.effect.value == pytest.approx(0.81 - (0.345 + 0.1))
    assert "recall(symbols=4); recall(symbols=8), lag 16-32" in sentence(found, "en")


def test_levels_that_one_arm_lacks_are_neither_compared_nor_named() -> None:
    made = rows(A, [True] * 10, 16) + rows(A, [True] * 10, 64) + rows(B, [False] * 10, 16)
    found = judged(made, RECALL)["recall"]
    assert "lag 16 (" in sentence(found, "en")
    assert len(found.rows) == 20


def test_the_p_value_of_shares_is_the_exact_one() -> None:
    found = judged(rows(A, [True] * 10) + rows(B, [False] * 10), SOLVED)["solved"]
    assert found.p_value == pytest.approx(2 * 0.5**20, rel=1e-6)  # one table of 2^20, at shares of one half
    fisher = stats.fisher_exact([[10, 0], [0, 10]]).pvalue
    assert found.p_value < fisher


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda made: [*made, made[0]], "occurs twice"),
        (lambda made: [*made, {**made[0], "lr": 0.1}], "several rows of .* for seed 0"),
        (lambda made: [{**made[0], "hidden_size": 80}, *made[1:]], "hidden_size 40, 80"),
        (lambda made: [{**made[0], "steps": 99}, *made[1:]], "steps 99, 1500"),
    ],
)
def test_rows_that_do_not_fit_are_refused_in_a_line(change: object, message: str) -> None:
    assert callable(change)
    with pytest.raises(InputError, match=message) as caught:
        judged(change(rows(A, [True] * 10) + rows(B, [False] * 10)), SOLVED)
    assert "\n" not in str(caught.value)


def test_rows_can_be_picked_by_any_field_or_column() -> None:
    other = [{**one, "hidden_size": 80} for one in swapped(clear_study(), A, B)]
    asked = SolvedQuestion(**{**SOLVED.model_dump(), "where": {"hidden_size": 40, "symbols": 8}})
    assert judged(clear_study() + other, asked)["solved"].verdict is Verdict.FIRST
    none = SolvedQuestion(**{**SOLVED.model_dump(), "where": {"symbols": 9}})
    assert judged(clear_study(), none) == {}


def test_families_and_questions_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InputError, match="two questions called 'solved'"):
        Family(questions=(SOLVED, SOLVED))
    with pytest.raises(InputError, match="expected two that differ"):
        SolvedQuestion(**{**SOLVED.model_dump(), "b": A})
    with pytest.raises(InputError, match="minimum_effect"):
        TrainedHorizonQuestion(**{**TRAINED.model_dump(), "minimum_effect": 0.5})
    several = rows(A, [True] * 10, 16) + rows(A, [True] * 10, 64) + rows(B, [True] * 10, 16)
    with pytest.raises(InputError, match="expected one level and one task"):
        judged(several, SolvedQuestion(**{**SOLVED.model_dump(), "levels": ()}))


def test_a_family_is_read_from_plain_values() -> None:
    family = Family(questions=ALL)
    assert Family(**family.model_dump(mode="json")) == family


def null_study(rng: np.random.Generator, arms: Sequence[str], seeds: int = 10) -> list[Row]:
    """All arms alike: bimodal recall, steps censored at the budget, shares falling with the lag at random."""
    made = []
    shares = np.sort(rng.random(3))[::-1]
    for lag, share in zip((16, 64, 256), shares, strict=True):
        for arm, seed in itertools.product(arms, range(seeds)):
            solved = bool(rng.random() < share)
            step = int(rng.integers(100, 1500))
            recall = float(rng.beta(60, 1) if solved else rng.beta(1, 30))
            done = {"solved_step": step, "steps_used": step} if solved else {"solved_step": None, "steps_used": 1500}
            made.append(row(arm, seed, lag, solved, recall, **done))
    return made


@pytest.mark.slow
def test_studies_in_which_nothing_differs_claim_a_difference_in_at_most_one_of_twenty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Studies of three arms (LONGHOLD_STUDIES=1000 for as many): all pairs by shares, recall, steps and horizons."""
    monkeypatch.setattr(gc, "collect", lambda: 0)  # statsmodels collects at every call, 0.2 s beside torch
    arms, rng, repeats = (
        ("rnn uniform", "gru uniform", "lstm uniform"),
        np.random.default_rng(0),
        int(os.environ.get("LONGHOLD_STUDIES", "400")),
    )
    questions = [
        type(asked)(**{**asked.model_dump(exclude={"name", "a", "b"}), "name": f"{asked.name} {a} {b}", "a": a, "b": b})
        for asked in (SOLVED, RECALL, STEPS, TRAINED)
        for a, b in itertools.combinations(arms, 2)
    ]
    family = Family(questions=tuple(questions), resamples=999)
    differing, significant = 0, 0
    for _ in range(repeats):
        found = claimed(null_study(rng, arms), family)
        differing += any(claim.verdict in (Verdict.FIRST, Verdict.SECOND) for claim in found)
        significant += any(claim.finding is not None and claim.finding.p_value < 0.05 for claim in found)
    assert differing / repeats <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / repeats)
    assert significant / repeats > 0.15  # what the family is for


@pytest.mark.slow
def test_the_simulation_finds_differences_that_are_there() -> None:
    """The same studies, but one arm solves everything: the level above is not that of a deaf test."""
    rng, heard = np.random.default_rng(1), 0
    for _ in range(20):
        made = [
            {**one, **({"solved": True, "recall": 0.99} if one["arm"] == A else {"solved": False, "recall": 0.01})}
            for one in null_study(rng, (A, B))
        ]
        heard += judged(made, SOLVED, RECALL)["solved"].verdict is Verdict.FIRST
    assert heard == 20
