"""What `docs/results.md` and the README state about the plan `standard` follows from the rows in the repository."""

import re
from pathlib import Path

import pytest

from longhold.study.horizon import outcomes, trained_horizon
from longhold.study.plan.plan import load_plan
from longhold.study.report.judged import judged
from longhold.study.representable import representable
from longhold.study.rows.store import from_jsonl
from longhold.tasks import Agreement, AnBn, Parity, Recall, Task

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results.md"
ARMS = {
    "RNN, torch's default": "rnn uniform",
    "RNN, orthogonal": "rnn orthogonal",
    "RNN with relu from the identity (IRNN)": "irnn identity",
    "GRU, torch's default": "gru uniform",
    "GRU, chrono set to the length": "gru chrono (told the lag)",
    "LSTM, torch's default": "lstm uniform",
    "LSTM, forget bias 0": "lstm forget:0",
    "LSTM, forget bias 1": "lstm forget:1",
    "LSTM, chrono set to the length": "lstm chrono (told the lag)",
}
LONGEST = "LSTM, chrono set to the length"


@pytest.fixture(scope="module")
def rows():
    return from_jsonl(ROOT / "docs" / "studies" / "standard" / "rows.jsonl")


def of_recall(rows, arm: str):
    """The outcomes of one arm of the one-symbol recall."""
    solved: dict[int, dict[int, bool]] = {}
    for row in rows:
        if row.spec.experiment == "one-symbol recall" and row.spec.stage == "result" and row.spec.arm == arm:
            solved.setdefault(row.spec.seed, {})[row.spec.level] = row.solved
    return outcomes(solved)


def test_the_table_is_that_of_the_rows(rows) -> None:
    stated = dict(
        re.findall(r"^\| ((?:RNN|GRU|LSTM)[^|]*) \| ([^|]*\) \| \d+ of 10) \|", RESULTS.read_text("utf-8"), re.M)
    )
    found = {}
    for name, arm in ARMS.items():
        group = of_recall(rows, arm)
        at = group.solved[:, group.lags.index(256)].sum() if 256 in group.lags else 0
        found[name] = f"{trained_horizon(group)} | {at} of 10"
    assert stated == found


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_what_one_argument_changes_is_that_of_the_rows(rows, page: str) -> None:
    text = re.sub(r"95 % (interval|区间) ", "", (ROOT / page).read_text("utf-8"))
    text = text.replace("（", " (").replace("）", ")").replace("至", "to")
    default, prior = (str(trained_horizon(of_recall(rows, arm))) for arm in ("lstm uniform", ARMS[LONGEST]))
    assert re.search(rf"(over|过) 16 (steps|步).*{re.escape(default)}.*Chrono.*512 .*{re.escape(prior)}", text)
    assert re.search(r"GRU[^.。|]*>= 512[,.。]", text)
    assert str(trained_horizon(of_recall(rows, "gru uniform"))).startswith(">= 512 ")


def test_predictions_came_out_as_told(rows) -> None:
    claims = judged(load_plan("standard"), rows).claims
    fates = [claim.prediction.value for claim in claims if claim.prediction is not None]
    assert sorted(fates) == ["confirmed"] * 3 + ["not resolved"] * 3
    assert len(claims) == 11
    assert len(rows) == 726


@pytest.mark.parametrize(
    ("task", "cells", "units"),
    [
        (Recall(512), ("rnn", "gru", "lstm"), "8 units for a symbol at lag 512"),
        (Parity(), ("rnn", "gru", "lstm"), "5 for parity"),
        (Agreement(), ("rnn", "gru", "lstm"), "10 for agreement"),
        (AnBn(50, 200), ("lstm",), "2 units of an LSTM"),
    ],
)
def test_weights_set_by_hand_are_as_few_as_told(task: Task, cells: tuple[str, ...], units: str) -> None:
    assert units in " ".join(RESULTS.read_text("utf-8").split())
    for cell in cells:
        found = representable(task, (task.examination,), cell)
        assert (found.hidden_size, found.score, found.solved) == (int(units.split()[0]), 1.0, True)
