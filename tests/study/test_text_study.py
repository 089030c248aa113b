"""What `docs/results.md` states about the plan `text` follows from the rows that lie in the repository."""

import os
import re
from pathlib import Path
from statistics import fmean

import pytest

from longhold.study.plan.plan import load_plan
from longhold.study.report.judged import judged
from longhold.study.rows.store import from_jsonl

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def rows():
    return from_jsonl(ROOT / "docs" / "studies" / "text" / "rows.jsonl")


@pytest.mark.parametrize("page", ["docs/results.md", "docs/zh/results.md"])
def test_the_bits_are_those_of_the_rows(rows, page) -> None:
    told = re.sub(r"\s+", " ", (ROOT / page).read_text(encoding="utf-8"))
    for cell in ("rnn", "gru", "lstm"):
        bits = [row.score for row in rows if row.spec.stage == "result" and row.spec.cell == cell]
        assert len(bits) == 10
        figures = rf"{cell.upper()} {fmean(bits):.3f} ?[(（][^)）]*{min(bits):.3f} (?:to|至) ?{max(bits):.3f}"
        assert re.search(figures, told), figures
    assert re.search(rf"60 (runs, |次运行，){sum(row.core_seconds for row in rows):,.0f} ", told)


@pytest.mark.skipif(not os.environ.get("LONGHOLD_DATA"), reason="the plan reads the Penn Treebank in LONGHOLD_DATA")
def test_the_comparison_came_out_as_told(rows) -> None:
    claims = judged(load_plan("text"), rows).claims
    assert [claim.verdict.value for claim in claims] == ["not resolved"]
