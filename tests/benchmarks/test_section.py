"""Bars: the target beside the result."""

from benchmarks.section import Bar


def test_a_bar_says_whether_it_is_reached() -> None:
    assert str(Bar("ratio", 1.5, 1.35)) == "reached       ratio: 1.50x, target >= 1.35x"
    assert str(Bar("ratio", 1.2, 1.35)) == "NOT REACHED   ratio: 1.20x, target >= 1.35x"
    assert str(Bar("ratio", None, 1.35)) == "not there     ratio: target >= 1.35x"
    assert Bar("ratio", 1.35, 1.35).reached


def test_less_may_be_better() -> None:
    assert Bar("step", 1.9, 2.0, "{:.1f} us", at_most=True).reached is True
    assert str(Bar("step", 2.1, 2.0, "{:.1f} us", at_most=True)) == "NOT REACHED   step: 2.1 us, target <= 2.0 us"
