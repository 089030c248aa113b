"""Higher derivatives and torch.func: double backward by finite differences, vmap, jvp and jacrev by loops."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, stack_module_state, vmap

import longhold
from tests.helpers import assert_all_close, assert_close, flat
from tests.layers.twins import CELLS, as_hx, make, randn, state_for, twins

OPTIONS: list[tuple[str, dict[str, Any]]] = [
    *((cell, {}) for cell in CELLS if cell != "rnn_relu"),
    ("rnn_tanh", {"layer_norm": True}),
    ("gru", {"reset_after": False, "layer_norm": True, "learn_initial_state": True}),
    ("lstm_projected", {"peephole": True, "coupled_gates": True, "layer_norm": True}),
    ("lstm", {"recurrent_dropout": 0.3, "zoneout": 0.3, "weight_dropout": 0.3, "learn_initial_state": True}),
]


@pytest.mark.parametrize(("cell", "options"), OPTIONS, ids=str)
def test_derivatives_on_the_reference_path_match_finite_differences(cell: str, options: dict[str, Any]) -> None:
    layer = make(cell, 2, 3, bidirectional=True, **options)
    masks = layer.draw_masks(3, 2)
    names = [name for name, _ in layer.named_parameters()]
    state = state_for(layer, 2)
    reset = torch.tensor([[False, False], [False, True], [False, False]])

    def call(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        hx, parameters = as_hx(rest[: len(state)]), dict(zip(names, rest[len(state) :], strict=True))
        keywords = {"lengths": [2, 3], "reset": reset, "masks": masks}
        return tuple(flat(functional_call(layer, parameters, (x, hx), keywords)).values())

    leaves = (randn(3, 2, 2), *state.values(), *layer.parameters())
    with longhold.use_backend("reference"):
        assert gradcheck(call, leaves, fast_mode=True)
        assert gradgradcheck(call, leaves, fast_mode=True, atol=1e-4)


@pytest.mark.parametrize("cell", CELLS)
def test_a_gradient_penalty_can_be_trained_on(cell: str) -> None:
    layer, theirs = twins(cell, 2, 3, num_layers=2)
    x = randn(4, 2, 2)
    found = []
    for module in (layer, theirs):
        (inner,) = torch.autograd.grad(module(x)[0].square().sum(), x, create_graph=True)
        names, parameters = zip(*module.named_parameters(), strict=True)
        outer = torch.autograd.grad(inner.square().sum(), parameters, allow_unused=True)
        found.append(
            {n: torch.zeros_like(p) if g is None else g for n, p, g in zip(names, parameters, outer, strict=True)}
        )
    assert_all_close(found[0], found[1])


@pytest.mark.parametrize("cell", CELLS)
def test_vmap_over_inputs_is_a_loop(cell: str) -> None:
    layer, theirs = twins(cell, 3, 4, num_layers=2, bidirectional=True)
    inputs = torch.randn(6, 5, 2, 3, dtype=torch.float64)
    mapped = vmap(lambda x: layer(x)[0])(inputs)
    assert_close("vmap", mapped, torch.stack([theirs(x)[0] for x in inputs]))
    rows = inputs[:, :, 0]
    mapped = vmap(lambda x: layer(x)[0], in_dims=1, out_dims=1)(rows)
    assert_close("vmap of unbatched rows", mapped, theirs(rows)[0])


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_vmap_over_an_ensemble_is_a_loop(cell: str) -> None:
    layers = [make(cell, 3, 4) for _ in range(3)]
    parameters, buffers = stack_module_state(layers)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    mapped = vmap(lambda p: functional_call(layers[0], (p, buffers), (x,))[0])(parameters)
    assert_close("ensemble", mapped, torch.stack([layer(x)[0] for layer in layers]))


@pytest.mark.parametrize("cell", ["rnn_tanh", "gru", "lstm"])
def test_per_sample_gradients_are_those_of_rows_alone(cell: str) -> None:
    layer, theirs = twins(cell, 3, 4)
    x = torch.randn(5, 6, 3, dtype=torch.float64)
    parameters = {name: value.detach() for name, value in layer.named_parameters()}

    def loss(p: dict[str, Tensor], row: Tensor) -> Tensor:
        return functional_call(layer, p, (row.unsqueeze(1),))[0].square().sum()

    mapped = vmap(grad(loss), in_dims=(None, 1))(parameters, x)
    for b in range(6):
        theirs.zero_grad()
        theirs(x[:, b : b + 1])[0].square().sum().backward()
        for name, value in theirs.named_parameters():
            assert_close(f"row {b} {name}", mapped[name][b], value.grad)


@pytest.mark.parametrize("cell", CELLS)
def test_jvp_is_the_product_with_torchs_jacobian(cell: str) -> None:
    layer, theirs = twins(cell, 2, 3, num_layers=2, bidirectional=True)
    x, direction = torch.randn(4, 2, 2, dtype=torch.float64), torch.randn(4, 2, 2, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: theirs(x)[0], x)
    value, tangent = jvp(lambda x: layer(x)[0], (x,), (direction,))
    assert_close("value", value, theirs(x)[0])
    assert_close("jvp", tangent, (jacobian * direction).sum((-1, -2, -3)))
    assert_close("jacrev", jacrev(lambda x: layer(x)[0])(x), jacobian)
    assert_close("jacfwd", jacfwd(lambda x: layer(x)[0])(x), jacobian)


def test_forward_mode_without_torch_func() -> None:
    layer, theirs = twins("lstm", 2, 3)
    x, direction = torch.randn(4, 2, 2, dtype=torch.float64), torch.randn(4, 2, 2, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: theirs(x)[0], x)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, direction)
        tangent = torch.autograd.forward_ad.unpack_dual(layer(dual)[0]).tangent
    assert_close("tangent", tangent, (jacobian * direction).sum((-1, -2, -3)))


def test_a_hessian_is_that_of_a_loop_over_gradients() -> None:
    layer, theirs = twins("gru", 2, 3)
    x = torch.randn(3, 1, 2, dtype=torch.float64)
    expected = torch.autograd.functional.hessian(lambda x: theirs(x)[0].square().sum(), x)
    assert_close("hessian", hessian(lambda x: layer(x)[0].square().sum())(x), expected)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("call", ["lengths", "reset", "both"])
def test_transforms_with_lengths_and_resets(cell: str, call: str) -> None:
    layer = make(cell, 3, 4, bidirectional=True)
    inputs = torch.randn(3, 5, 2, 3, dtype=torch.float64)
    given: dict[str, Any] = {} if call == "reset" else {"lengths": [5, 2]}
    if call != "lengths":
        given["reset"] = torch.zeros(5, 2, dtype=torch.bool)
        given["reset"][2, 0] = True
    mapped = vmap(lambda x: layer(x, **given)[0])(inputs)
    assert_close("vmap", mapped, torch.stack([layer(x, **given)[0] for x in inputs]))


@pytest.mark.parametrize("noise", ["recurrent_dropout", "zoneout", "weight_dropout", "dropout"])
def test_vmap_may_draw_different_masks(noise: str) -> None:
    layer = make("lstm", 3, 20, num_layers=2, **{noise: 0.5})
    same = torch.randn(5, 2, 3, dtype=torch.float64).expand(3, 5, 2, 3)
    different = vmap(lambda x: layer(x)[0], randomness="different")(same)
    assert not torch.equal(different[0], different[1])
    shared = vmap(lambda x: layer(x)[0], randomness="same")(same)
    assert_close("shared", shared[0], shared[1])


def test_the_choice_under_a_transform_is_explained() -> None:
    layer, seen = make("lstm", 3, 4), []

    def look(x: Tensor) -> Tensor:
        seen.append(longhold.explain(layer, x))
        return layer(x)[0]

    vmap(look)(torch.randn(2, 5, 1, 3, dtype=torch.float64))
    assert seen[0].backend == "reference"
    assert "torch.func" in str(seen[0])


@pytest.mark.parametrize(("cell", "options"), [*OPTIONS, ("rnn_relu", {})], ids=str)
def test_many_gradients_at_once_are_those_taken_one_by_one(cell: str, options: dict[str, Any]) -> None:
    layer = make(cell, 2, 3, bidirectional=True, **options).train(mode=False)
    x = randn(4, 2, 2).requires_grad_()
    leaves = [x, *(p for p in layer.parameters())]
    output, _ = layer(x, lengths=[4, 3])
    above = torch.randn(3, *output.shape, dtype=output.dtype)

    def pulled(d: Tensor, **keywords: Any) -> tuple[Tensor, ...]:
        found = torch.autograd.grad(output, leaves, d, retain_graph=True, allow_unused=True, **keywords)
        return tuple(torch.zeros(()) if g is None else g for g in found)

    expected = [torch.stack(each) for each in zip(*map(pulled, above), strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batched, mapped = pulled(above, is_grads_batched=True), vmap(pulled)(above)
        twice = pulled(above, is_grads_batched=True, create_graph=True)
    for name, found in {"batched": batched, "vmap": mapped, "with a graph": twice}.items():
        for i, (a, b) in enumerate(zip(found, expected, strict=True)):
            assert_close(f"{name} {i}", a.expand_as(b), b)
