"""Each rule of stopping by sequences of figures whose answer is plain."""

from __future__ import annotations

import math

import pytest

from longhold.training.stopping import EVALUATIONS, FAR, WINDOW, FarFromChance, Patience, Solved


def test_patience_counts_evaluations_since_the_lowest() -> None:
    rule = Patience(2)
    figures = [3.0, 2.0, 2.0, 1.9, 2.5, math.inf, 1.0]
    assert [rule.observe(figure) for figure in figures] == [False, False, False, False, False, True, False]
    assert (rule.lowest, rule.since_lowest) == (1.0, 0)


def test_patience_resumes_where_it_was() -> None:
    rule = Patience(3, lowest=1.0, since_lowest=1)
    assert [rule.observe(figure) for figure in (1.0, 1.5)] == [False, True]


def test_without_patience_nothing_ends() -> None:
    rule = Patience(None)
    assert not any(rule.observe(float(figure)) for figure in range(50))
    assert rule.since_lowest == 49


def test_two_evaluations_in_a_row_far_above_chance() -> None:
    rule = FarFromChance(2.0)
    edge = FAR * 2.0
    assert [rule.observe(figure) for figure in (edge + 1, edge, edge + 1, edge + 1)] == [False, False, False, True]
    assert rule.in_a_row == EVALUATIONS
    assert not rule.is_far(edge)
    assert FarFromChance(2.0, in_a_row=1).observe(edge + 1)


def test_without_chance_nothing_is_far_from_it() -> None:
    rule = FarFromChance(None)
    assert not any(rule.observe(1e9) for _ in range(5))


def test_solved_looks_at_the_last_batches() -> None:
    rule = Solved(0.5, lambda recall: recall >= 0.25)
    ended = [rule.observe(0.0) for _ in range(WINDOW)] + [rule.observe(1.0) for _ in range(WINDOW)]
    assert ended.index(True) + 1 == WINDOW + WINDOW // 2
    assert rule.first == WINDOW + WINDOW // 4


def test_solved_waits_for_a_whole_window() -> None:
    rule = Solved(0.5, lambda recall: True)
    assert [rule.observe(1.0) for _ in range(WINDOW)] == [False] * (WINDOW - 1) + [True]
    assert rule.first == WINDOW


@pytest.mark.parametrize("solved", [True, False])
def test_without_a_level_it_only_notes(solved: bool) -> None:
    rule = Solved(None, lambda recall: solved)
    assert not any(rule.observe(1.0) for _ in range(2 * WINDOW))
    assert rule.first == (WINDOW if solved else None)
