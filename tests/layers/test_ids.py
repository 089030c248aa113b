"""Layers that are given token ids, against the same layers on one-hot vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vmap

import longhold
from tests.helpers import assert_all_close, assert_close, flat, measured
from tests.layers.twins import CELLS, PLAIN, as_hx, fields_of, make, on_each_backend, packed, state_for

T, B, I = 5, 4, 6  # noqa: E741 the field's name
LENGTHS = torch.tensor([5, 2, 3, 1])
RESET = torch.zeros(T, B, dtype=torch.bool)
RESET[2, 0] = RESET[3, 0] = RESET[0, 1] = RESET[2, 2] = True
CALLS: list[dict[str, Any]] = [{}, {"lengths": LENGTHS}, {"reset": RESET}, {"lengths": LENGTHS, "reset": RESET}]


def deep(cell: str, **options: Any) -> Any:
    return make(cell, I, 4, **({"num_layers": 2, "bidirectional": True} | options))


def some_ids() -> Tensor:
    return torch.randint(0, I, (T, B))


def one_hot(ids: Tensor) -> Tensor:
    return F.one_hot(ids.long(), I).double()


def both(layer: Any, ids: Any, dense: Any, state: dict[str, Tensor], **call: Any) -> list[dict[str, Tensor]]:
    """Outputs and gradients of parameters and state, given ids and given vectors."""
    leaves = state | dict(layer.named_parameters())
    return [measured(lambda x=x: layer(x, as_hx(state), **call), leaves, alone=True) for x in (ids, dense)]


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(CELLS))
@pytest.mark.parametrize("call", CALLS, ids=lambda call: "+".join(call) or "plain")
def test_ids_are_one_hot_vectors(backend: str, cell: str, call: dict[str, Any]) -> None:
    layer, ids = deep(cell), some_ids()
    dense = one_hot(ids)
    if "lengths" in call:
        padding = torch.arange(T).unsqueeze(1) >= LENGTHS
        ids[padding] = torch.tensor([-7, 10**12, I, -1]).repeat(int(padding.sum()))[: int(padding.sum())]
    with longhold.use_backend(backend):
        assert longhold.explain(layer, ids, **call).backend == backend
        found = both(layer, ids, dense, state_for(layer, B), **call)
    assert_all_close(*found, f"{backend} {cell}")


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(PLAIN))
def test_every_layout(backend: str, cell: str) -> None:
    layer, first, ids = deep(cell), deep(cell, batch_first=True), some_ids()
    first.load_state_dict(layer.state_dict())
    state, alone = state_for(layer, B), state_for(layer, None)
    with longhold.use_backend(backend):
        assert_all_close(*both(layer, ids.int(), one_hot(ids), state), "int32")
        assert_all_close(*both(first, ids.T, one_hot(ids).transpose(0, 1), state), "batch_first")
        assert_all_close(*both(layer, ids[:, 0], one_hot(ids[:, 0]), alone), "unbatched")
        for number in (ids, ids.int()):
            given = packed(number, LENGTHS.tolist()), packed(one_hot(ids), LENGTHS.tolist())
            assert_all_close(*both(layer, *given, state), "packed")


OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn": ("rnn_tanh", {"layer_norm": True, "zoneout": 0.2}),
    "gru": ("gru", {"layer_norm": True, "reset_after": False, "learn_initial_state": True}),
    "lstm": ("lstm_projected", {"layer_norm": True, "peephole": True, "coupled_gates": True}),
    "noise": ("lstm", {"recurrent_dropout": 0.3, "weight_dropout": 0.3, "dropout": 0.3}),
    "no bias": ("gru", {"bias": False}),
}


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("call", [CALLS[0], CALLS[3]], ids=["plain", "ragged"])
def test_with_every_option_and_automatic_choice(name: str, call: dict[str, Any]) -> None:
    cell, options = OPTIONS[name]
    layer, ids = deep(cell, **options), some_ids()
    leaves, found = dict(layer.named_parameters()), []
    for x in (ids, one_hot(ids)):
        torch.manual_seed(1)
        found.append(measured(lambda x=x: layer(x, **call), leaves))
    assert_all_close(found[0], found[1], name)


@pytest.mark.parametrize("cell", PLAIN)
def test_a_trace_of_ids(cell: str) -> None:
    layer, ids = deep(cell), some_ids()
    found, expected = layer.trace(ids), layer.trace(one_hot(ids))
    assert_close("h", found.h, expected.h)
    assert_close("output", found.output, expected.output)


@pytest.mark.parametrize("backend", ["reference", "torch", "cpu"])
@pytest.mark.parametrize("wrong", [-1, I])
def test_an_id_out_of_range_is_named(backend: str, wrong: int) -> None:
    layer, ids = make("gru", I, 4), some_ids()
    ids[2, 1] = wrong
    with longhold.use_backend(backend), pytest.raises(IndexError, match=f"^ids should be from 0 to 5, got {wrong}$"):
        layer(ids)
    with longhold.use_backend(backend):
        layer(ids, lengths=[5, 2, 5, 5])  # behind the length it is not looked at


def test_what_is_not_ids_raises_as_before() -> None:
    layer = make("gru", I, 4)
    for x in (torch.zeros(T, B, I, dtype=torch.int64), torch.zeros(T, B, dtype=torch.int16), torch.zeros(T, B) > 0):
        with pytest.raises(ValueError, match="does not match weight dtype"):
            layer(x)
    with pytest.raises(ValueError, match="Expected ids to be 1-D or 2-D, got 0-D instead"):
        layer(torch.tensor(3))
    with pytest.raises(RuntimeError, match="sequence length to be larger than 0"):
        layer(torch.zeros(0, B, dtype=torch.int64))
    assert layer(torch.zeros(T, 0, dtype=torch.int64))[0].shape == (T, 0, 4)


@pytest.mark.parametrize("cell", PLAIN)
def test_autocast_computes_in_its_type(cell: str) -> None:
    layer, ids = make(cell, I, 4, dtype=torch.float32), some_ids()
    for backend in ("torch", "reference"):
        with longhold.use_backend(backend), torch.autocast("cpu", torch.bfloat16):
            found, expected = (flat(layer(x)) for x in (ids, one_hot(ids).float()))
        assert {n: v.dtype for n, v in found.items()} == {n: v.dtype for n, v in expected.items()}
        assert_all_close(found, expected, backend)


@pytest.mark.parametrize("cell", PLAIN)
def test_transforms(cell: str) -> None:
    layer = make(cell, I, 4, bidirectional=True)
    parameters = {name: value.detach() for name, value in layer.named_parameters()}
    many = torch.stack([some_ids() for _ in range(3)])

    def loss(p: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(layer, p, (x,))[0].square().sum()

    found = vmap(grad(loss), in_dims=(None, 0))(parameters, many)
    assert_all_close(found, vmap(grad(loss), in_dims=(None, 0))(parameters, one_hot(many)))
    tangents = {name: torch.randn_like(value) for name, value in parameters.items()}
    values = [jvp(lambda p, x=x: loss(p, x), (parameters,), (tangents,))[1] for x in (many[0], one_hot(many[0]))]
    assert_close("jvp", *values)


@pytest.mark.parametrize("cell", PLAIN)
def test_a_gradient_penalty_on_the_weights(cell: str) -> None:
    layer, ids = make(cell, I, 4), some_ids()
    found = []
    for x in (ids, one_hot(ids)):
        parameters = list(layer.parameters())
        first = torch.autograd.grad(layer(x)[0].square().sum(), parameters, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), parameters)
        found.append(dict(zip(dict(layer.named_parameters()), second, strict=True)))
    assert_all_close(found[0], found[1], cell)


@pytest.fixture
def fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("cell", PLAIN)
@pytest.mark.parametrize("call", [CALLS[0], CALLS[3]], ids=["plain", "ragged"])
def test_compiled_whole(cell: str, call: dict[str, Any], fresh_compiler: None) -> None:
    layer, ids = make(cell, I, 4, bidirectional=True), some_ids()
    leaves = dict(layer.named_parameters())
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    assert_all_close(
        measured(lambda: compiled(ids, **call), leaves), measured(lambda: layer(ids, **call), leaves), cell
    )


class Whole(nn.Module):
    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        output, state = self.layer(x)
        return output, *fields_of(state)


@pytest.mark.parametrize("cell", PLAIN)
def test_one_exported_program_serves_any_time_and_batch(cell: str) -> None:
    module = Whole(deep(cell))
    dims = {0: torch.export.Dim("T", min=2, max=4096), 1: torch.export.Dim("B", min=2, max=4096)}
    program = torch.export.export(module, (some_ids(),), dynamic_shapes=(dims,))
    for steps, batch in ((5, 4), (7, 2), (2, 9)):
        ids = torch.randint(0, I, (steps, batch))
        for actual, expected in zip(program.module()(ids), module(one_hot(ids)), strict=True):
            assert_close(f"T={steps} B={batch}", actual, expected)
    with pytest.raises(IndexError, match="ids should be from 0 to 5"):
        program.module()(torch.full((3, 3), I))
