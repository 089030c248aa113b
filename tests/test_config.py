"""Every configuration mistake is one line that names the field, the value and the expectation."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, model_validator

from longhold.config import Config
from longhold.errors import InputError


class Example(Config):
    size: int = Field(ge=1)
    rate: float = 0.5

    @model_validator(mode="after")
    def _not_seven(self) -> "Example":
        if self.size == 7:
            raise ValueError("size may not\nbe 7")
        return self


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({}, "size is missing"),
        ({"size": 0}, "size=0: should be greater than or equal to 1"),
        ({"size": 1, "sise": 2}, "unknown option 'sise'"),
        ({"size": 1, "rate": float("inf")}, "rate=inf: should be a finite number"),
        ({"size": 7}, "size may not be 7"),
        ({"size": 0, "x": 1}, "size=0: should be greater than or equal to 1; unknown option 'x'"),
    ],
)
def test_mistakes_are_told_in_one_line(values: dict, line: str) -> None:
    with pytest.raises(InputError) as caught:
        Example(**values)
    assert str(caught.value) == line


def test_a_mistake_in_a_configuration_inside_another_names_both() -> None:
    class Outer(Config):
        inner: Example

    with pytest.raises(InputError) as caught:
        Outer(inner={"size": 0, "x": 1})
    assert str(caught.value) == "inner: size=0: should be greater than or equal to 1; unknown option 'x'"


def test_what_follows_from_a_mistake_is_not_told_as_another() -> None:
    class Plan(Config):
        steps: tuple[Example, ...] = Field(min_length=1)

    with pytest.raises(InputError) as caught:
        Plan(steps=[{"size": 0}])
    assert str(caught.value) == "steps.0: size=0: should be greater than or equal to 1"
    with pytest.raises(InputError, match="at least 1 item"):
        Plan(steps=[])


def test_it_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Example(size=1).size = 2


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["size", "rate", "other"]), st.none() | st.text() | st.floats() | st.integers()))
def test_any_values_make_a_configuration_or_one_line(values: dict) -> None:
    try:
        made = Example(**values)
    except InputError as error:
        line = str(error)
    else:
        line, again = "", Example(**made.model_dump())
        assert again == made
    assert "\n" not in line
