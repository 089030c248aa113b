"""With torch's seed: torch's initial weights, and torch's dropout, to the last bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import longhold
from tests.helpers import assert_all_close, flat
from tests.layers.twins import CELLS, on_each_backend, packed, randn, state_for, through, twins


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_the_same_initial_weights(cell: str, bias: bool, bidirectional: bool, dtype: torch.dtype) -> None:
    name, own = CELLS[cell]
    options: dict[str, Any] = own | {"num_layers": 2, "bias": bias, "bidirectional": bidirectional, "dtype": dtype}
    torch.manual_seed(7)
    theirs, after = getattr(nn, name)(3, 5, **options), torch.rand(1)
    torch.manual_seed(7)
    ours = getattr(longhold, name)(3, 5, **options)
    assert torch.equal(torch.rand(1), after), "the generator stands elsewhere than after torch.nn"
    expected = theirs.state_dict()
    assert list(ours.state_dict()) == list(expected)
    for key, value in ours.state_dict().items():
        assert torch.equal(value, expected[key]), key
    torch.manual_seed(11)
    theirs.reset_parameters()
    torch.manual_seed(11)
    ours.reset_parameters()
    for key, value in ours.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[key]), f"{key} after reset_parameters"


@pytest.mark.parametrize("name", ["RNNCell", "GRUCell", "LSTMCell"])
@pytest.mark.parametrize("bias", [True, False])
def test_the_same_initial_weights_of_single_cells(name: str, bias: bool) -> None:
    torch.manual_seed(7)
    theirs = getattr(nn, name)(3, 5, bias).state_dict()
    torch.manual_seed(7)
    ours = getattr(longhold, name)(3, 5, bias).state_dict()
    assert list(ours) == list(theirs)
    for key, value in theirs.items():
        assert torch.equal(ours[key], value), key


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(CELLS))
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("form", ["time first", "batch first", "packed", "unbatched"])
@pytest.mark.parametrize("num_layers", [2, 3])
def test_the_same_dropout(backend: str, cell: str, bidirectional: bool, form: str, num_layers: int) -> None:
    options: dict[str, Any] = {"num_layers": num_layers, "bidirectional": bidirectional, "dropout": 0.5}
    ours, theirs = twins(cell, 4, 6, batch_first=form == "batch first", **options)
    x = randn(5, 4) if form == "unbatched" else randn(5, 3, 4)
    batch = None if form == "unbatched" else 5 if form == "batch first" else 3
    prepare = (lambda x: packed(x, (2, 5, 3))) if form == "packed" else None
    state = state_for(theirs, batch)
    torch.manual_seed(5)
    expected, after = through(theirs, x, state, prepare=prepare), torch.rand(1)
    torch.manual_seed(5)
    with longhold.use_backend(backend):
        actual = through(ours, x, state, prepare=prepare)
    assert torch.equal(torch.rand(1), after), "the generator stands elsewhere than after torch.nn"
    assert_all_close(actual, expected)


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(CELLS))
def test_dropout_rests_in_eval_mode(backend: str, cell: str) -> None:
    ours, theirs = twins(cell, 4, 6, num_layers=2, dropout=0.5)
    ours.eval(), theirs.eval()
    x = randn(5, 3, 4)
    before = torch.get_rng_state()
    with longhold.use_backend(backend):
        assert_all_close(through(ours, x, {}), through(theirs, x, {}))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(CELLS))
def test_dropping_everything_is_allowed(backend: str, cell: str) -> None:
    ours, theirs = twins(cell, 4, 6, num_layers=2, dropout=1.0)
    x = torch.randn(5, 3, 4, dtype=torch.float64)
    with longhold.use_backend(backend):
        assert_all_close(flat(ours(x)), flat(theirs(x)))
