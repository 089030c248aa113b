import pytest

from longhold.study.execution.listing import outcome
from tests.study.tiny import row, spec


@pytest.mark.parametrize(
    ("changes", "values", "told"),
    [
        ({}, {}, "hold: lstm uniform, lag 3, seed 0: solved in 150 steps"),
        ({}, {"solved": False}, "hold: lstm uniform, lag 3, seed 0: not solved (recall 0.10)"),
        ({"stage": "tuning"}, {"error": "it broke"}, "hold: lstm uniform, lag 3, seed 0, tuning lr 0.02: it broke"),
        (
            {"stage": "timing", "truncation": 2},
            {"solved": False, "score": None, "recall": None, "step_seconds": 0.0123},
            "hold: lstm uniform, truncated at 2, lag 3, seed 0, timed: 12.30 ms a step",
        ),
    ],
)
def test_what_a_run_came_to_is_said_in_a_line(changes: dict, values: dict, told: str) -> None:
    assert outcome(row(spec(**changes), **values)) == told
