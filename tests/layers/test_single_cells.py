"""`RNNCell`, `GRUCell`, `LSTMCell` against torch.nn's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import longhold
from tests.helpers import assert_all_close, assert_no_worse, cotangent
from tests.layers.twins import as_hx, randn

BACKENDS = ("reference", "torch")
NAMES = ("RNNCell", "GRUCell", "LSTMCell")
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "RNNCell": [{}, {"bias": False}, {"nonlinearity": "relu"}],
    "GRUCell": [{}, {"bias": False}],
    "LSTMCell": [{}, {"bias": False}],
}
CASES = [(name, options) for name in NAMES for options in OPTIONS[name]]


def twin_cells(name: str, inputs: int, hidden: int, **options: Any) -> tuple[Any, Any]:
    arguments = {"dtype": torch.float64} | options
    theirs, ours = (getattr(home, name)(inputs, hidden, **arguments) for home in (nn, longhold))
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def state_of(name: str, hidden: int, batch: int | None, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    shape = (hidden,) if batch is None else (batch, hidden)
    return {field: randn(*shape, dtype=dtype) for field in (("h", "c") if name == "LSTMCell" else ("h",))}


def run(cell: Any, x: Tensor, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """New state and every gradient, through each part of the state alone and through both."""
    leaves = {"input": x} | state | dict(cell.named_parameters())
    result = cell(x, as_hx(state))
    fields = {"h": result} if isinstance(result, Tensor) else dict(zip("hc", result, strict=True))
    found = {name: value.detach() for name, value in fields.items()}
    for through in [*fields, "all"]:
        picked = fields if through == "all" else {through: fields[through]}
        gradients = torch.autograd.grad(
            list(picked.values()),
            list(leaves.values()),
            [cotangent(n, v) for n, v in picked.items()],
            retain_graph=True,
            allow_unused=True,
        )
        for (leaf, value), gradient in zip(leaves.items(), gradients, strict=True):
            found[f"d_{leaf} through {through}"] = torch.zeros_like(value) if gradient is None else gradient
    return found


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
@pytest.mark.parametrize(("batch", "inputs", "hidden"), [(None, 3, 4), (1, 1, 1), (3, 5, 5), (33, 2, 64)])
@pytest.mark.parametrize("with_hx", [False, True])
def test_equals_torchs_cell(
    backend: str, name: str, options: dict[str, Any], batch: int | None, inputs: int, hidden: int, with_hx: bool
) -> None:
    ours, theirs = twin_cells(name, inputs, hidden, **options)
    x = randn(inputs) if batch is None else randn(batch, inputs)
    state = state_of(name, hidden, batch) if with_hx else {}
    with longhold.use_backend(backend):
        actual = run(ours, x, state)
    assert_all_close(actual, run(theirs, x, state))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_below_float64_it_is_as_exact_as_torchs(backend: str, name: str, dtype: torch.dtype) -> None:
    ours, theirs = twin_cells(name, 5, 32, dtype=dtype)
    x, state = randn(7, 5, dtype=dtype), state_of(name, 32, 7, dtype)
    with longhold.use_backend(backend):
        actual = run(ours, x, state)
    torchs = run(theirs, x, state)
    doubled = {n: v.detach().double().requires_grad_() for n, v in state.items()}
    exact = run(theirs.double(), x.detach().double().requires_grad_(), doubled)
    for key, value in actual.items():
        assert_no_worse(key, value, torchs[key], exact[key])


def test_constructors_take_torchs_positions() -> None:
    assert longhold.RNNCell(2, 3, False, "relu", "meta", torch.float64).nonlinearity == "relu"
    for name in ("GRUCell", "LSTMCell"):
        cell = getattr(longhold, name)(2, 3, False, "meta", torch.float64)
        assert (cell.weight_ih.device.type, cell.weight_ih.dtype) == ("meta", torch.float64)


@pytest.mark.parametrize("name", NAMES)
def test_a_loop_over_the_cell_is_the_layer(name: str) -> None:
    layer = getattr(longhold, name.removesuffix("Cell"))(3, 4, dtype=torch.float64)
    cell = getattr(longhold, name)(3, 4, dtype=torch.float64)
    cell.load_state_dict({key.removesuffix("_l0"): value for key, value in layer.state_dict().items()})
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    state: Any = None
    outputs = []
    for x_t in x:
        state = cell(x_t, state)
        outputs.append(state if isinstance(state, Tensor) else state[0])
    assert_all_close({"output": torch.stack(outputs)}, {"output": layer(x)[0].detach()})


def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.zeros(shape, dtype=dtype)


def hx_of(name: str, *shape: int) -> Any:
    return (zeros(*shape), zeros(*shape)) if name == "LSTMCell" else zeros(*shape)


WRONG: dict[str, tuple[Callable[[Any, str], Any], str]] = {
    "3-D input": (lambda cell, n: cell(zeros(1, 2, 3)), "1-?D or 2-?D.*3-?D"),
    "3-D hx": (lambda cell, n: cell(zeros(2, 3), hx_of(n, 1, 2, 4)), "1-?D or 2-?D.*3-?D"),
    "features": (lambda cell, n: cell(zeros(2, 5)), "input_size"),
    "units": (lambda cell, n: cell(zeros(2, 3), hx_of(n, 2, 5)), "5"),
    "batch": (lambda cell, n: cell(zeros(2, 3), hx_of(n, 3, 4)), "2.*3|3.*2"),
    "1-D hx": (lambda cell, n: cell(zeros(2, 3), hx_of(n, 4)), "4"),
    "2-D hx unbatched": (lambda cell, n: cell(zeros(3), hx_of(n, 1, 4)), "1.*4|4.*1"),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_calls_raise_what_torch_raises(backend: str, name: str, wrong: str) -> None:
    call, about = WRONG[wrong]
    theirs, ours = (getattr(home, name)(3, 4) for home in (nn, longhold))
    with pytest.raises(Exception, match=about) as expected:
        call(theirs, name)
    with longhold.use_backend(backend), pytest.raises(Exception, match=about) as actual:
        call(ours, name)
    assert actual.type is expected.type


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_the_repr_says_what_torchs_says(name: str, options: dict[str, Any]) -> None:
    ours, theirs = twin_cells(name, 3, 4, **options)
    assert ours.extra_repr() == theirs.extra_repr()
