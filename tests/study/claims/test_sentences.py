import re

import pytest

from longhold.errors import InputError
from longhold.study.claims import Claim, Family, SolvedQuestion, TrainedHorizonQuestion, Tuning, sentence
from tests.study.claims.rows_made_up import claimed, rows, swapped
from tests.study.claims.test_evaluation import ALL, SOLVED, A, B, clear_study

FEW = [one for one in clear_study() if one["seed"] < 4]
SAME = rows(A, [True] * 30) + rows(B, [True] * 30)
OPEN = rows(A, [True] * 7 + [False] * 3) + rows(B, [True] * 5 + [False] * 5)


def told(family: Family | None = None) -> list[Claim]:
    """A claim of each verdict and each measure."""
    known = family or Family(questions=ALL, resamples=99)
    studies = (clear_study(), swapped(clear_study(), A, B), FEW, SAME, OPEN)
    return [claim for study in studies for claim in claimed(study, known)]


def test_every_verdict_and_measure_has_words_in_both_languages() -> None:
    known = told()
    assert len({claim.verdict for claim in known}) == 5
    assert len({claim.question.measure for claim in known}) == 5
    for claim in known:
        english, chinese = sentence(claim, "en"), sentence(claim, "zh")
        assert not re.search(r"[\u4e00-\u9fff]", english)
        assert re.search(r"[\u4e00-\u9fff]", chinese)
        assert "{" not in english + chinese


@pytest.mark.parametrize("claim", told(), ids=lambda claim: f"{claim.question.name}, {claim.verdict.value}")
def test_both_languages_name_the_same_figures(claim: Claim) -> None:
    figures = [sorted(re.findall(r"\d+(?:[.,]\d+)*", sentence(claim, language))) for language in ("en", "zh")]
    assert figures[0] == figures[1]
    for text in (sentence(claim, "en"), sentence(claim, "zh")):
        assert A in text
        assert B in text
        assert "recall(symbols=8)" in text
        assert claim.question.protocol in text


def test_no_sentence_speaks_of_memory_or_of_horizons_it_is_not_about() -> None:
    for claim in told():
        assert "memory" not in sentence(claim, "en")
        if claim.question.name in ("solved", "recall", "steps"):
            assert "horizon" not in sentence(claim, "en")


def test_the_tuning_is_named() -> None:
    fixed = claimed(SAME, Family(questions=(SOLVED,)))[0]
    assert "learning rates were fixed, not tuned" in sentence(fixed, "en")
    grid = Tuning(learning_rates=(1e-4, 1e-3, 1e-2), seeds=3)
    tuned = claimed(SAME, Family(questions=(SOLVED,), tuning=grid))[0]
    assert "chosen from 3 between 0.0001 and 0.01 on 3 other seeds; intervals are given this tuning" in sentence(
        tuned, "en"
    )
    assert "区间以此调优为前提" in sentence(tuned, "zh")
    search = Tuning(learning_rates=(1e-4, 1e-2), seeds=2, trials=16, dimensions=("lr", "clip_norm"))
    searched = claimed(SAME, Family(questions=(SOLVED,), tuning=search))[0]
    assert (
        "lr, clip_norm of each arm chosen by 16 trials of one search (learning rates 0.0001 to 0.01) on 2 other seeds"
    ) in sentence(searched, "en")
    assert "同一搜索的 16 次试验" in sentence(searched, "zh")


def test_a_budget_in_seconds_is_told_with_the_steps_that_it_came_to() -> None:
    """Steps then differ by lag, and the rows still have one budget."""
    timed = [
        {**one, "steps": 9600 // one["lag"], "spec": {"training_seconds": 12.0}}
        for lag in (32, 64)
        for one in rows(A, [True] * 10, lag) + rows(B, [lag == 32] * 10, lag)
    ]
    question = TrainedHorizonQuestion(
        name="longer", task="recall", protocol="trained", a=A, b=B, minimum_effect=2.0, margin=1.5
    )
    (claim,) = claimed(timed, Family(questions=(question,), resamples=99))
    assert "at most 150-300 steps of 12 core-seconds" in sentence(claim, "en")
    assert "至多 150-300 步（12 核·秒）" in sentence(claim, "zh")
    with pytest.raises(InputError, match="steps 150, 300"):
        claimed([{**one, "spec": {}} for one in timed], Family(questions=(question,), resamples=99))


def test_equal_settings_are_told_once() -> None:
    assert sentence(told()[0], "en").count("7,012 parameters") == 1
    other = rows(A, [True] * 10) + rows(B, [False] * 10, lr=0.01)
    assert sentence(claimed(other, Family(questions=(SOLVED,)))[0], "en").count("7,012 parameters") == 2


def test_the_equivalence_is_told_with_its_own_p_value() -> None:
    found = claimed(SAME, Family(questions=(SOLVED,)))[0]
    assert "equivalence p < 0.001" in sentence(found, "en")
    assert "after Holm over 1 question." in sentence(found, "en")


def test_a_hostile_label_is_only_text() -> None:
    """Escaping is the page's job; a sentence must not choke on it."""
    name = "</script> {0}%s"
    asked = SolvedQuestion(**{**SOLVED.model_dump(), "a": name})
    found = claimed(rows(name, [True] * 10) + rows(B, [False] * 10), Family(questions=(asked,)))
    assert f"more seeds of {name} than of {B} solve it" in sentence(found[0], "en")
