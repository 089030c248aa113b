"""What the README says of the plan `mqar` follows from the rows that lie in the repository."""

import re
from pathlib import Path

import pytest

from longhold.study.judged import judged
from longhold.study.plan import load_plan
from longhold.study.store import from_jsonl

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def rows():
    return from_jsonl(ROOT / "docs" / "studies" / "mqar" / "rows.jsonl")


def test_the_prediction_came_out_as_told(rows) -> None:
    (claim,) = judged(load_plan("mqar"), [row.to_json() for row in rows]).claims
    assert claim.prediction is not None
    assert claim.prediction.value == "confirmed"


def test_who_solves_what(rows) -> None:
    results = [row for row in rows if row.stage == "result"]
    found = {
        (cell, level): (sum(row.solved for row in results if (row.cell, row.level) == (cell, level)), count)
        for cell in ("gru", "lstm", "transformer")
        for level in (4, 8, 16)
        if (count := sum((row.cell, row.level) == (cell, level) for row in results))
    }
    assert found == {
        ("gru", 4): (0, 10), ("gru", 8): (0, 10), ("lstm", 4): (0, 10), ("lstm", 8): (0, 10),
        ("transformer", 4): (10, 10), ("transformer", 8): (9, 10), ("transformer", 16): (10, 10),
    }  # fmt: skip
    recall = [row.recall for row in results if row.cell in ("gru", "lstm") and row.level == 4]
    assert (f"{min(recall):.2f}", f"{max(recall):.2f}") == ("0.23", "0.24")


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_cost_is_that_of_the_rows(rows, page) -> None:
    told = re.sub(r"\s+", " ", (ROOT / page).read_text(encoding="utf-8"))
    assert re.search(rf"{len(rows)} (runs, |次运行，){sum(row.core_seconds for row in rows):,.0f} ", told)
