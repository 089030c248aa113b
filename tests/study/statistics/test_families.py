import pytest

from longhold.errors import InputError
from longhold.study.statistics import holm


def test_holm_by_hand() -> None:
    """Times 4, 3, 2, 1 in rising order, never falling: 0.02, 0.03, 0.06, 0.06."""
    found = holm({"d": 0.04, "a": 0.005, "c": 0.03, "b": 0.01})
    assert found.p_values == pytest.approx({"a": 0.02, "b": 0.03, "c": 0.06, "d": 0.06})
    assert found.rejected == {"a", "b"}
    assert found.level == pytest.approx(0.025)  # what c would have had to be below


def test_a_family_of_one_is_not_adjusted() -> None:
    assert holm({"a": 0.04}).p_values == {"a": 0.04}


def test_all_rejected() -> None:
    assert holm({"a": 0.001, "b": 0.002}).rejected == {"a", "b"}


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="empty family"):
        holm({})
    with pytest.raises(InputError, match=r"p-value 1\.5 of 'a'"):
        holm({"a": 1.5})
    with pytest.raises(InputError, match="alpha=2"):
        holm({"a": 0.5}, alpha=2)
