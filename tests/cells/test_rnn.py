"""One step of the Elman network against torch.nn.RNNCell, hand-worked numbers and finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import jvp, vmap

from longhold.cells import RNNState, RNNWeights, rnn_step
from tests.helpers import assert_all_close, assert_close


def step(x: Tensor, h: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor, act: str = "tanh") -> Tensor:
    return rnn_step(x @ w_ih.T + b_ih, RNNState(h), RNNWeights(w_hh, b_hh), nonlinearity=act).h


def leaves(batch: int, inputs: int, hidden: int) -> dict[str, Tensor]:
    shapes = {
        "x": (batch, inputs),
        "h": (batch, hidden),
        "weight_ih": (hidden, inputs),
        "weight_hh": (hidden, hidden),
        "bias_ih": (hidden,),
        "bias_hh": (hidden,),
    }
    return {name: torch.randn(shape, dtype=torch.float64, requires_grad=True) for name, shape in shapes.items()}


@pytest.mark.parametrize("act", ["tanh", "relu"])
@pytest.mark.parametrize(("batch", "inputs", "hidden"), [(1, 1, 1), (3, 2, 5), (33, 7, 64)])
def test_values_and_gradients_equal_torchs_cell(act: str, batch: int, inputs: int, hidden: int) -> None:
    tensors = leaves(batch, inputs, hidden)
    x, h, *parameters = tensors.values()
    cell = nn.RNNCell(inputs, hidden, nonlinearity=act, dtype=torch.float64)
    expected = torch.func.functional_call(cell, dict(zip(list(tensors)[2:], parameters, strict=True)), (x, h))
    actual = step(*tensors.values(), act=act)
    weight = torch.randn_like(actual)
    found = [torch.autograd.grad(y, list(tensors.values()), weight) for y in (actual, expected)]
    ours, theirs = (dict(zip(tensors, gradients, strict=True)) for gradients in found)
    assert_close("h", actual, expected)
    assert_all_close(ours, theirs, "gradient")


def test_without_bias_equals_torchs_cell() -> None:
    cell = nn.RNNCell(4, 3, bias=False, dtype=torch.float64)
    x, h = torch.randn(2, 4, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    assert_close("h", rnn_step(x @ cell.weight_ih.T, RNNState(h), RNNWeights(cell.weight_hh)).h, cell(x, h))


def test_numbers_worked_by_hand() -> None:
    gates_x = torch.tensor([[0.25, -1.0]], dtype=torch.float64)
    weights = RNNWeights(
        torch.tensor([[0.5, 1.0], [2.0, 0.0]], dtype=torch.float64), torch.tensor([0.125, 0.5]).double()
    )
    h = RNNState(torch.tensor([[1.0, -0.375]], dtype=torch.float64))
    # 0.25 + 0.5 - 0.375 + 0.125 = 0.5 and -1 + 2 + 0.5 = 1.5
    expected = torch.tensor([[math.tanh(0.5), math.tanh(1.5)]], dtype=torch.float64)
    assert_close("tanh", rnn_step(gates_x, h, weights).h, expected)
    weights = weights._replace(bias_hh=torch.tensor([0.125, -1.5], dtype=torch.float64))
    assert_close("relu", rnn_step(gates_x, h, weights, nonlinearity="relu").h, torch.tensor([[0.5, 0.0]]).double())


def test_recurrent_mask_reaches_only_the_product() -> None:
    tensors = leaves(3, 2, 4)
    x, h, w_ih, w_hh, b_ih, b_hh = tensors.values()
    mask = torch.tensor([0.0, 2.0, 2.0, 0.0], dtype=torch.float64).expand(3, 4)
    actual = rnn_step(x @ w_ih.T + b_ih, RNNState(h), RNNWeights(w_hh, b_hh), mask_h=mask).h
    assert_close("masked", actual, torch.tanh(x @ w_ih.T + b_ih + (mask * h) @ w_hh.T + b_hh))


def test_layer_norm_is_the_formula() -> None:
    x, h, w_ih, w_hh, b_ih, b_hh = leaves(3, 2, 4).values()
    gain = torch.randn(4, dtype=torch.float64)
    product = h @ w_hh.T
    mean, variance = product.mean(1, keepdim=True), product.var(1, unbiased=False, keepdim=True)
    expected = torch.tanh(x @ w_ih.T + b_ih + (product - mean) / (variance + 1e-5).sqrt() * gain + b_hh)
    assert_close("normed", rnn_step(x @ w_ih.T + b_ih, RNNState(h), RNNWeights(w_hh, b_hh, gain)).h, expected)


def test_first_and_second_derivatives_match_finite_differences() -> None:
    tensors = tuple(leaves(2, 2, 3).values())
    assert gradcheck(step, tensors)
    assert gradgradcheck(step, tensors)


def test_vmap_and_jvp_through_a_step() -> None:
    x, h, *parameters = (t.detach() for t in leaves(4, 2, 3).values())
    each = torch.stack([step(x[k : k + 1], h[k : k + 1], *parameters)[0] for k in range(4)])
    mapped = vmap(lambda a, b: step(a[None], b[None], *parameters)[0])(x, h)
    assert_close("vmap", mapped, each)
    direction = torch.randn_like(h)
    value, tangent = jvp(lambda s: step(x, s, *parameters), (h,), (direction,))
    assert_close("jvp", tangent, (1 - value**2) * (direction @ parameters[1].T))
