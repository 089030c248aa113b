import math
import re

import pytest

from longhold.study.report.plots import (
    Column,
    Dot,
    decades,
    horizon_strip,
    learning_curves,
    recall_panel,
    seed_strip,
    solving_steps,
    track,
)
from longhold.study.report.series import Series
from longhold.study.statistics import Interval

LAGS = (16, 32, 64, 128, 256)


SIGN = r'class="free" x="([\d.]+%)" y="([\d.]+%?)">(?:<title>[^<]*</title>)?(?:<g [^>]*>)?<path class="mark \w+ (\w+)"'


def marks(svg):
    return re.findall(SIGN, svg)


def test_dots_stand_over_their_level_at_their_recall():
    dots = (Dot(1.05, "solved", "a"), Dot(-0.1, "failed", "b"), Dot(9.0, "unsolved", "c"))
    svg = recall_panel([Column("8", dots[:1], None, None), Column("16", dots[1:], None, None)], "rnn", 0.9)
    assert marks(svg) == [("25.00%", "8.0", "solved"), ("75.00%", "112.0", "failed"), ("75.00%", "8.0", "unsolved")]
    assert '<line class="threshold" x1="0%" x2="100%" y1="21.6" y2="21.6"/>' in svg


def test_the_share_stands_within_its_interval():
    svg = recall_panel([Column("8", (), 0.5, Interval(0.25, 1.0))], "rnn", None)
    assert '<line class="whisker" x1="50.00%" x2="50.00%" y1="162.5" y2="128.0"/>' in svg
    assert 'y="151.0"><path class="share"' in svg
    assert "threshold" not in svg


def test_lines_join_the_tests_of_one_model():
    svg = recall_panel(
        [Column("1", (), None, None), Column("2", (), None, None)], "gru", None, [("solved", (1.05, -0.1))]
    )
    assert '<polyline class="thin gru solved" points="250.0,8.0 750.0,112.0"/>' in svg


@pytest.mark.parametrize(
    ("lag", "place"),
    [(16, "10.00%"), (64, "50.00%"), (256, "90.00%"), (math.inf, "97.00%"), (0, "3.00%"), (3, "3.00%")],
)
def test_lags_lie_on_a_logarithmic_track(lag, place):
    assert track(lag, LAGS) == place


def test_a_track_of_one_lag_has_it_in_the_middle():
    assert track(16, (16,)) == "50.00%"


def test_a_censored_horizon_has_an_arrow_and_a_hollow_sign():
    svg = horizon_strip(math.inf, Interval(64, math.inf), LAGS, "lstm")
    assert svg.count('class="arrow lstm"') == 1
    assert marks(svg) == [("93.00%", "50%", "unsolved")]
    assert 'x1="50.00%" x2="97.00%"' in svg


def test_a_horizon_on_the_grid_has_none_and_shows_every_seed():
    svg = horizon_strip(64, Interval(32, 128), LAGS, "lstm", (32, 64, 128))
    assert "arrow" not in svg
    assert svg.count('class="tick lstm"') == 3
    assert marks(svg) == [("50.00%", "50%", "solved")]


def test_every_seed_has_its_sign_on_a_strip():
    svg = seed_strip([Dot(0.0, "unsolved", "a"), Dot(1.0, "solved", "<b>")], "rnn", 0.9)
    assert [kind for _, _, kind in marks(svg)] == ["unsolved", "solved"]
    assert "&lt;b&gt;" in svg


def test_a_learning_curve_goes_up_as_recall_does():
    svg = learning_curves([[(0, 0.0), (50, 1.0)], [(100, -0.2)]], 100, "gru")
    assert re.findall(r'points="([^"]*)"', svg) == ["0,100 500,0", "1000,100"]


def test_the_staircase_rises_where_seeds_solve_and_is_cut_where_they_are_censored():
    svg = solving_steps([10.0, 20.0, 100.0], [0.75, 0.5, 0.5], [100.0, 100.0], 100, "gru")
    (points,) = re.findall(r'points="([^"]*)"', svg)
    assert points == "0,100 100,100 100,75 200,75 200,50 1000,50 1000,50 1000,50"
    assert (
        re.findall(r'class="cut gru" x1="([\d.]+)" x2="[\d.]+" y1="([\d.]+)" y2="([\d.]+)"', svg)
        == [("1000.0", "41.0", "59.0")] * 2
    )


def test_a_staircase_goes_on_to_the_budget():
    svg = solving_steps([10.0], [0.0], [], 100, "gru")
    assert re.findall(r'points="([^"]*)"', svg) == ["0,100 100,100 100,0 1000,0"]


def test_decades_lie_equally_apart():
    svg = decades([("thin", [(0, 1.0), (1, 0.1), (2, 0.01), (3, 0.0)])], "rnn")
    assert re.findall(r'points="([^"]*)"', svg) == ["0.0,8.0 500.0,60.0 1000.0,112.0"]
    assert re.findall(r">(1e-?\d+)<", svg) == ["1e-2", "1e-1", "1e0"]


def test_architectures_keep_their_style_and_six_others_differ():
    series = Series()
    assert [series.style(name) for name in ("lstm", "echo", "mamba2", "echo")] == ["lstm", "other0", "other1", "other0"]
    assert len({series.style(f"cell {n}") for n in range(4)} | {"other0", "other1"}) == 6
