"""Extras: each runs, or says why it is not there."""

import pytest
import torch
from benchmarks.cases import Case
from benchmarks.timing import QUICK

from benchmarks import extras

CASE = Case("LSTM", batch=2, hidden=8, steps=4)


@pytest.mark.parametrize("extra", extras.EXTRAS, ids=lambda extra: f"{extra.name}, {extra.cell}")
def test_an_extra_is_measured_or_missing(extra: extras.Extra) -> None:
    row = extras.measure(extra, Case(extra.cell, 2, 8, 4), QUICK)
    if "missing" in row:
        assert row["missing"]
        assert extras.line(row).endswith(f"not there: {row['missing']}")
    else:
        assert row["seconds"].keys() == {"plain", "longhold", "torch"}
        assert row["relative"] == pytest.approx(row["seconds"]["longhold"] / row["seconds"]["plain"])
        assert row["against_torch"] == pytest.approx(row["seconds"]["torch"] / row["seconds"]["longhold"])
    assert torch.get_num_threads() == 1


def test_what_must_be_there_is_there() -> None:
    for make in (extras.resets(0.5), extras.cell_states, extras.gates, extras.layer_norm, extras.zoneout):
        ours, theirs = make(CASE)
        ours()
        theirs()


@pytest.mark.parametrize("weights", ["bf16", "int8"])
def test_small_weights_are_a_step(weights: str) -> None:
    row = extras.small_weights(weights, 8, QUICK)
    assert "missing" in row or 0 < row["seconds"]["torch"] < 0.1


def test_the_summary_names_what_is_slower_than_torch() -> None:
    shared = {"cell": "LSTM", "batch": 1, "hidden": 2, "steps": 3, "relative": 1.0}
    rows = [
        {"extra": "fast", **shared, "against_torch": 2.0},
        {"extra": "slow", **shared, "against_torch": 0.5},
        {"extra": "none", **shared, "missing": "no"},
    ]
    lines = extras.summary(rows)
    assert lines[0] == "1 of 2 are slower than torch's own way, 1 are not there"
    assert len(lines) == 2
    assert "slow" in lines[1]
