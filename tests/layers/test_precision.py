"""Below float64: no further from the float64 answer than twice what torch.nn itself is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import longhold
from tests.helpers import assert_no_worse
from tests.layers.twins import CELLS, on_each_backend, packed, randn, state_for, through, twins

SIZES = [(1, 1, 1, 1), (2, 33, 3, 5), (63, 3, 64, 64), (63, 1, 5, 5), (2, 3, 65, 257), (31, 33, 8, 64)]


def compare(
    backend: str,
    cell: str,
    dtype: torch.dtype,
    size: tuple[int, int, int, int],
    prepare: Callable[[Tensor], Any] = lambda x: x,
    **options: Any,
) -> None:
    steps, batch, inputs, hidden = size
    ours, theirs = twins(cell, inputs, 3 if hidden == 1 else hidden, dtype=dtype, **options)
    x, state = randn(steps, batch, inputs, dtype=dtype), state_for(theirs, batch)
    with longhold.use_backend(backend):
        actual = through(ours, x, state, prepare=prepare)
    torchs = through(theirs, x, state, prepare=prepare)
    doubled = {name: value.detach().double().requires_grad_() for name, value in state.items()}
    exact = through(theirs.double(), x.detach().double().requires_grad_(), doubled, prepare=prepare)
    assert actual.keys() == torchs.keys() == exact.keys()
    for name, value in actual.items():
        assert_no_worse(name, value, torchs[name], exact[name])


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(CELLS))
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_float32_is_at_most_twice_torchs_error(
    backend: str, cell: str, size: tuple[int, int, int, int], nan_memory: None
) -> None:
    compare(backend, cell, torch.float32, size)


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(CELLS))
def test_float32_stacks_and_packs(backend: str, cell: str) -> None:
    compare(backend, cell, torch.float32, (9, 5, 3, 7), num_layers=3, bidirectional=True)
    compare(backend, cell, torch.float32, (9, 3, 3, 7), lambda x: packed(x, (4, 9, 1)), num_layers=2)


@pytest.mark.parametrize("backend", ["reference", "torch"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_wherever_torch_takes_it(backend: str, cell: str, dtype: torch.dtype) -> None:
    compare(backend, cell, dtype, (5, 3, 4, 6))
    compare(backend, cell, dtype, (5, 3, 4, 6), num_layers=2, bidirectional=True, bias=False)
    compare(backend, cell, dtype, (5, 3, 4, 6), lambda x: packed(x, (2, 5, 4)))


@pytest.mark.parametrize("backend", ["reference", "torch"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_takes_lengths_and_resets(backend: str, cell: str, dtype: torch.dtype) -> None:
    ours, theirs = twins(cell, 4, 6, dtype=dtype)
    x = randn(5, 2, 4, dtype=dtype)
    reset = torch.zeros(5, 2, dtype=torch.bool)
    reset[2, 0] = True
    with longhold.use_backend(backend):
        output, _ = ours(x, lengths=[5, 3], reset=reset)
    assert output.dtype == dtype
    assert not output[3:, 1].any()
    exact = theirs.double()
    for rows in (slice(0, 2), slice(2, 5)):
        alone, _ = exact(x[rows, :1].double())
        error = (output[rows, :1].double() - alone).abs().max()
        assert error <= 4 * torch.finfo(dtype).eps * alone.abs().max(), f"error {error:.3g}"


@pytest.mark.parametrize("cell", CELLS)
def test_autocast_gives_torchs_type_and_values(cell: str) -> None:
    ours, theirs = twins(cell, 4, 6, num_layers=2, dtype=torch.float32)
    x = torch.randn(5, 3, 4)
    exact, _ = theirs(x)
    with torch.autocast("cpu", torch.bfloat16):
        (actual, _), (torchs, _) = ours(x), theirs(x)
    assert actual.dtype == torchs.dtype
    ours_error, theirs_error = ((v.double() - exact.double()).abs().max() for v in (actual, torchs))
    assert ours_error <= max(2 * theirs_error, 2 * torch.finfo(torch.bfloat16).eps)
