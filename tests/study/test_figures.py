import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longhold.study.figures import Mark, curves, lags, nice_axis, strip


@given(st.lists(st.floats(-1e4, 1e4, allow_nan=False), min_size=1, max_size=9), st.booleans())
def test_an_axis_holds_its_values_between_even_ticks(values, from_zero):
    axis = nice_axis(values, from_zero=from_zero)
    assert all(-1e-6 <= axis.share(v) <= 1 + 1e-6 for v in values)
    assert not from_zero or axis.low <= 0 <= axis.high
    gaps = [b - a for a, b in zip(axis.ticks, axis.ticks[1:], strict=False)]
    assert 2 <= len(axis.ticks) <= 12
    assert max(gaps) - min(gaps) < 1e-6 * max(1, abs(axis.high), abs(axis.low))


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ((0, 4.4), (0, 1, 2, 3, 4, 5)),
        ((2.1, 2.6), (2.1, 2.2, 2.3, 2.4, 2.5, 2.6)),
        ((3, 3), (2.4, 2.6, 2.8, 3, 3.2, 3.4, 3.6)),
    ],
)
def test_ticks_are_round_numbers(values, ticks):
    assert nice_axis(values).ticks == pytest.approx(ticks)


def test_a_strip_puts_its_mark_where_the_value_is():
    axis = nice_axis([4.4], from_zero=True)
    assert '<svg class="free" x="50.00%" y="50%">' in strip(2.5, axis, "gru", "GRU")
    assert "a &#34;b&#34; &lt;c&gt;" in strip(2.5, axis, "gru", 'a "b" <c>')


def test_curves_go_down_the_page_as_values_fall():
    svg = curves([("lstm", [(0.0, 3.0), (10.0, 2.0)])], "t", "seconds")
    assert 'points="0.0,0.0 1000.0,260.0"' in svg
    assert re.findall(r'class="free" x="([\d.]+)%" y="([\d.]+)"', svg) == [("0.00", "0.0"), ("100.00", "260.0")]


def test_dots_stand_over_their_lag_at_their_recall():
    marks = [Mark("rnn", 0, 1.05, "a"), Mark("rnn", 1, -0.1, "b", filled=False), Mark("rnn", 1, -9.0, "c", failed=True)]
    svg = lags(marks, (8, 32), ((0.9, "threshold"),), "t")
    places = re.findall(r'class="free" x="([\d.]+)%" y="([\d.]+)"><path class="mark ([\w ]+)"', svg)
    assert places == [("25.00", "0.0", "rnn"), ("75.00", "150.0", "rnn hollow"), ("75.00", "150.0", "rnn failed")]
    assert '<line class="threshold" x1="0%" x2="100%" y1="19.6" y2="19.6"/>' in svg
