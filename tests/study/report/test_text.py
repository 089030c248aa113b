"""The section on models of text."""

import math

import pytest
from scipy.stats import t as student

from longhold.study.report import render_page, study_document
from longhold.study.report.text import pair_accuracy
from tests.study.columns import row_of
from tests.study.report.pages import Page
from tests.study.tiny import row, spec

LENGTHS = (1, 2, 4, 8)


def reading(seed, *, right=700, far=0.0):
    segments = [[0.5 + 0.001 * seed, 0.2, far, 0.0]] * 8
    return {
        "window": 33, "full_bits": 2.0 + 0.01 * seed, "lengths": LENGTHS, "bits": [2.5, 2.2, 2.0, 2.0],
        "excess": segments[0], "excess_from_nothing": [1.0, 0.5, 0.1, 0.0], "segment_excess": segments, "targets": 512,
        "tolerance": 0.01, "horizon": 4, "censored": False, "ngram_bits": 2.25,
        "pairs": [{"paradigm": "distractors", "right": right + seed, "ngram_right": 550, "pairs": 1000}],
    }  # fmt: skip


def text_rows(seeds, **changes):
    made = [row(spec(seed=seed)).to_json() for seed in range(seeds)]
    return [{**one, "protocol": "text", "text": reading(seed, **changes)} for seed, one in enumerate(made)]


def words(rows):
    return Page(render_page(study_document(map(row_of, rows), None, "command"))).words()


def test_horizon_bits_and_truncation_stand_together():
    found = words(text_rows(10))
    assert "4 (4 to 4)" in found
    assert "2.045" in found
    assert "2.000–2.090" in found
    assert "2.250" in found
    assert "> 8" not in found


def test_a_horizon_beyond_the_longest_context_is_open():
    rows = text_rows(2)
    for one in rows:
        one["text"]["segment_excess"] = [[0.5, 0.5, 0.5, 0.5]] * 8
    assert "> 8 (> 8 to > 8)" in words(rows)


@pytest.mark.parametrize(
    ("seeds", "right", "sign"), [(10, 700, "↑ 0.70"), (9, 700, "0.70"), (10, 300, "↓ 0.30"), (10, 530, "0.53")]
)
def test_agreement_is_claimed_only_beyond_the_coin_and_the_n_gram(seeds, right, sign):
    found = words(text_rows(seeds, right=right))
    assert sign in found
    assert ("↑ 0." in found) == sign.startswith("↑")
    assert ("↓ 0." in found) == sign.startswith("↓")


def test_the_interval_of_a_share_counts_seeds_and_pairs():
    mean, interval = pair_accuracy([600, 700, 800], 1000)
    width = student.ppf(0.975, 2) * math.sqrt(0.1**2 / 3 + 0.7 * 0.3 / 1000)
    assert mean == pytest.approx(0.7)
    assert (interval.low, interval.high) == pytest.approx((0.7 - width, 0.7 + width))
    assert pair_accuracy([1000], 1000)[1].high == 1.0
