"""What `longhold` exports is what it says it exports."""

import pytest

import longhold


def test_every_public_name_resolves() -> None:
    for name in longhold.__all__:
        assert getattr(longhold, name) is not None, name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = longhold.nothing_of_the_kind
