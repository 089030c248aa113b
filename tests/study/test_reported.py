"""What `docs/results.md` states about the plans that were run follows from the rows that lie in the repository."""

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from longhold.study.claims.sentences import sentence
from longhold.study.plan.plan import load_plan
from longhold.study.report.judged import judged
from longhold.study.rows.row import Row
from longhold.study.rows.store import from_jsonl

ROOT = Path(__file__).parents[2]
PAGES = ("docs/results.md", "docs/zh/results.md")


@cache
def rows_of(plan: str) -> tuple[Row, ...]:
    return tuple(from_jsonl(ROOT / "docs" / "studies" / plan / "rows.jsonl"))


@cache
def claims_of(plan: str):
    return judged(load_plan(plan), rows_of(plan)).claims


def solved(plan: str) -> dict[tuple[str, int], tuple[int, int]]:
    """Of each arm and level the seeds that solve, and all that were run."""
    results = [row for row in rows_of(plan) if row.spec.stage == "result"]
    right = Counter((row.spec.arm, row.spec.level) for row in results if row.solved)
    return {at: (right[at], count) for at, count in Counter((row.spec.arm, row.spec.level) for row in results).items()}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("plan", ["rates", "mqar", "mqar-easier", "copy", "adding"])
def test_the_cost_is_that_of_the_rows(plan: str, page: str) -> None:
    told = re.sub(r"\s+", " ", (ROOT / page).read_text(encoding="utf-8"))
    cost = f"{sum(row.core_seconds for row in rows_of(plan)):,.0f}"
    assert re.search(rf"`{plan}`[^`]{{0,20}}{len(rows_of(plan))} ?(runs, |次运行，){cost} ?(core-seconds|核·秒)", told)


def test_the_lead_of_the_gru_is_confirmed_at_more_rates_and_with_more_steps() -> None:
    claims = claims_of("rates")
    assert [claim.prediction.value for claim in claims if claim.prediction is not None] == ["confirmed"] * 2
    found = [re.findall(r"(?:>=|<) \d+ steps \(95 % interval [^)]*\)", sentence(claim, "en")) for claim in claims]
    assert found == [
        [">= 512 steps (95 % interval 362 to >= 512)", "< 16 steps (95 % interval < 16 to < 16)"],
        [">= 512 steps (95 % interval 111 to >= 512)", "< 16 steps (95 % interval < 16 to < 16)"],
    ]
    assert all("p < 0.001" in sentence(claim, "en") for claim in claims)


def test_no_rate_lets_an_lstm_hold_over_32_steps() -> None:
    tried = [row for row in rows_of("rates") if row.spec.stage == "tuning"]
    rates = {row.spec.lr for row in tried if row.spec.arm == "gru uniform"}
    assert (min(rates), max(rates), len(rates)) == (0.001, 1.0, 7)
    for experiment in ("rates to 1", "four times the steps"):
        worked = {
            row.spec.lr
            for row in tried
            if row.solved and (row.spec.arm, row.spec.experiment) == ("gru uniform", experiment)
        }
        assert len(worked) == 5
    assert not any(row.solved for row in tried if row.spec.cell == "lstm")


def test_attention_recalls_sixteen_pairs_and_an_lstm_none_of_four() -> None:
    (claim,) = claims_of("mqar")
    assert claim.prediction is not None
    assert claim.prediction.value == "confirmed"
    assert solved("mqar") == {
        ("gru uniform", 4): (0, 10), ("gru uniform", 8): (0, 10),
        ("lstm uniform", 4): (0, 10), ("lstm uniform", 8): (0, 10),
        ("transformer uniform", 4): (10, 10), ("transformer uniform", 8): (9, 10),
        ("transformer uniform", 16): (10, 10),
    }  # fmt: skip
    results = [row for row in rows_of("mqar") if row.spec.stage == "result"]
    recall = [row.recall for row in results if row.spec.cell in ("gru", "lstm") and row.spec.level == 4]
    assert (f"{min(recall):.2f}", f"{max(recall):.2f}") == ("0.23", "0.24")


def test_fewer_pairs_are_kept_in_shorter_sequences() -> None:
    found = solved("mqar-easier")
    assert found == {
        ("gru uniform", 1): (10, 10), ("gru uniform", 2): (0, 10), ("gru uniform", 4): (0, 10),
        ("lstm uniform", 1): (10, 10), ("lstm uniform", 2): (3, 10), ("lstm uniform", 4): (0, 10),
    }  # fmt: skip
    (claim,) = claims_of("mqar-easier")
    assert claim.verdict.value == "not resolved"


def test_nobody_copies_over_fifty_blanks() -> None:
    (claim,) = claims_of("copy")
    assert claim.prediction is not None
    assert claim.prediction.value == "not resolved"
    found = solved("copy")
    assert {arm: right for (arm, blanks), (right, _) in found.items() if blanks == 5} == {
        "rnn orthogonal": 2, "gru uniform": 8, "lstm uniform": 0, "lstm chrono (told the lag)": 10,
    }  # fmt: skip
    assert not any(right for (_, blanks), (right, _) in found.items() if blanks > 5)
    assert solved("copy-easier") == {("lstm uniform", 5): (3, 3)}


def test_gated_cells_add_over_four_hundred_steps() -> None:
    found = solved("adding")
    of = {arm: [found.get((arm, steps), (0, 0)) for steps in (100, 200, 400)] for arm, _ in found}
    for arm in ("gru uniform", "lstm uniform"):
        assert of[arm] == [(10, 10)] * 3
    assert of["lstm chrono (told the lag)"] == [(10, 10)] * 3
    assert of["irnn identity"] == [(9, 10), (9, 10), (1, 10)]
    assert of["rnn uniform"] == of["rnn orthogonal"] == [(0, 10), (0, 10), (0, 0)]
    failed = [row for row in rows_of("adding") if row.spec.stage == "result" and row.error]
    assert {(row.spec.arm, row.spec.level) for row in failed} == {("irnn identity", 400)}
    assert len(failed) == 8
    assert {claim.verdict.value for claim in claims_of("adding")} == {"not resolved"}
    assert len({row.spec.lr for row in rows_of("adding") if row.spec.arm == "rnn uniform"}) == 7


def test_the_steps_to_add_are_those_of_the_rows() -> None:
    results = [row for row in rows_of("adding") if row.spec.stage == "result" and row.solved]
    steps = {
        arm: sorted(
            row.solved_step for row in results if (row.spec.arm, row.spec.level) == (arm, 400) and row.solved_step
        )
        for arm in ("gru uniform", "lstm chrono (told the lag)", "lstm uniform")
    }
    assert [(found[0], found[-1]) for found in steps.values()] == [(173, 217), (445, 927), (1248, 3660)]


def test_one_recipe_climbs_to_five_thousand_steps() -> None:
    climb = [row for row in rows_of("adding") if row.spec.experiment == "climb"]
    assert Counter(row.spec.level for row in climb if row.solved) == {750: 3, 1500: 3, 3000: 3, 5000: 3}
    took = sorted(row.solved_step for row in climb if row.solved_step)
    assert (len(climb), took[0], took[-1]) == (12, 1384, 2206)
