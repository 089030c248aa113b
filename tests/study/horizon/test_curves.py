import math

import numpy as np
import pytest

from longhold.errors import InputError
from longhold.study.horizon import Curve, fit_curve

LAGS = [4, 8, 16, 32, 64, 128, 256]


def logistic(lag: float, middle: float, width: float, lapse: float) -> float:
    return (1 - lapse) / (1 + math.exp(-(math.log2(middle) - math.log2(lag)) / width))


def test_a_curve_is_its_formula() -> None:
    found = Curve(middle=32, width=0.7, lapse=0.1).at([8, 32, 100])
    assert found == pytest.approx([logistic(lag, 32, 0.7, 0.1) for lag in (8, 32, 100)])


@pytest.mark.parametrize(("middle", "width", "lapse"), [(40, 0.5, 0.0), (20, 1.0, 0.2), (90, 0.3, 0.05)])
def test_the_parameters_are_found_again(middle: float, width: float, lapse: float) -> None:
    found = fit_curve(LAGS, [logistic(lag, middle, width, lapse) for lag in LAGS])
    assert (found.middle, found.width, found.lapse) == pytest.approx((middle, width, lapse), rel=0.02, abs=0.01)


def test_a_cliff_gives_the_narrowest_curve_between_its_lags() -> None:
    found = fit_curve(LAGS, [1, 1, 1, 1, 0, 0, 0])
    assert 32 < found.middle < 64
    assert np.abs(found.at(LAGS) - [1, 1, 1, 1, 0, 0, 0]).max() < 0.05


def test_perfect_recall_puts_the_middle_off_the_grid() -> None:
    assert fit_curve(LAGS, [1.0] * 7).middle > 256


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="2 recalls at 2 lags"):
        fit_curve([1, 2], [1, 0])
    with pytest.raises(InputError, match="positive steps"):
        fit_curve([4, 2, 8], [1, 1, 0])
