from dataclasses import replace

from longhold.study import wording
from tests.study.made_up import comparison, recall_rows


def test_numbers_have_one_form():
    assert wording.bits(2.13888) == "2.139"
    assert wording.perplexity(4.126) == "4.13"
    assert wording.whole(1_515_520.4) == "1,515,520"
    assert wording.seconds(24.64) == "24.6 s"


def test_recall_has_no_negative_zero_and_names_failure():
    row = recall_rows()[0]
    assert wording.recall(replace(row, accuracy=0.1249)) == "0.00"
    assert wording.recall(replace(row, accuracy=1 / 16)) == "-0.07"
    assert wording.recall(replace(row, accuracy=1.0)) == "1.00"
    assert wording.recall(replace(row, accuracy=None, failure="broke")) == "failed"


def test_solved_counts_runs():
    row = recall_rows()[0]
    runs = [replace(row, accuracy=a) for a in (1.0, 0.95, 0.90, 0.2)]
    assert wording.solved(runs) == "2 of 4"  # an accuracy of 0.90 is a recall of 0.886
    assert wording.solved(run for run in [replace(row, accuracy=None)]) == "0 of 1"


def test_runs_are_grouped_by_arm_then_lag():
    groups = wording.by_arm_and_lag(recall_rows())
    assert len(groups) == 6
    for arm, by_lag in groups.items():
        assert list(by_lag) == [8, 32, 128]
        assert all([r.run.seed for r in runs] == [0, 1, 2] for runs in by_lag.values())
        assert {r.run.arm for runs in by_lag.values() for r in runs} == {arm}


def test_settings_name_what_all_runs_share():
    said = wording.recall_settings(recall_rows())
    for part in (
        "8 symbols, 8 distractors",
        "6,903 to 6,904 parameters",
        "at most 1,234 steps of 64",
        "0.003",
        "norm 1",
    ):
        assert part in said


def test_limits_speak_of_what_was_run():
    with_recall = dict(wording.limits(comparison()))
    without = dict(wording.limits(comparison(recall=())))
    assert "180 seconds" in without["Time decides, and here it was short."]
    assert set(with_recall) - set(without) == {
        "Protocol and initialisation decide.",
        "Chrono is a hint, not a discovery.",
        "Not solved means: not within these steps.",
    }
