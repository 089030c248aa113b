"""What may be decided about training: declared once, and the same wherever it is offered."""

import inspect
import re
from typing import get_args, get_type_hints

import pytest

import longhold
from longhold.options import INDIRECT, Cell, Recipe, RunOptions, TextOptions, Tokens, help_of

FIELDS = {**RunOptions.model_fields, **TextOptions.model_fields}
SHARED = sorted(FIELDS.keys() - {"budget_seconds"})
"""Options that `longhold.train` takes by the same name."""


def documented() -> dict[str, str]:
    """The entries of the docstring of `train` by their names, each on one line."""
    text = inspect.getdoc(longhold.train) or ""
    entries = re.findall(r"^    (\w+): (.*(?:\n        .*)*)", text.partition("Args:")[2].partition("\n\n")[0], re.M)
    return {name: " ".join(entry.split()) for name, entry in entries}


@pytest.mark.parametrize("name", SHARED)
def test_train_documents_an_option_as_it_is_declared(name: str) -> None:
    assert help_of(name)
    entry = documented()[name]
    assert entry.startswith(help_of(name)), entry
    assert entry[len(help_of(name)) :][:2] in ("", ".", ". ", " S"), entry  # nothing but further sentences follows


@pytest.mark.parametrize("name", sorted(set(SHARED) - set(INDIRECT)))
def test_train_takes_an_option_with_its_type_and_default(name: str) -> None:
    assert inspect.signature(longhold.train).parameters[name].default == FIELDS[name].default
    assert get_type_hints(longhold.train)[name] == FIELDS[name].annotation


def test_train_takes_every_option_and_documents_every_parameter() -> None:
    parameters = inspect.signature(longhold.train).parameters
    assert set(SHARED) <= parameters.keys()
    assert documented().keys() == parameters.keys()


@pytest.mark.parametrize(("name", "choices"), [("cell", Cell), ("tokenizer", Tokens), ("recipe", Recipe)])
def test_the_help_names_every_choice(name: str, choices: object) -> None:
    assert all(re.search(rf"\b{choice}\b", help_of(name)) for choice in get_args(choices))
