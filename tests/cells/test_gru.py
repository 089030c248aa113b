"""One step of the GRU, in both its forms, against torch.nn.GRUCell, hand-worked numbers and finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import jvp, vmap

from longhold.cells import GRUGates, GRUState, GRUWeights, gru_step
from tests.helpers import assert_all_close, assert_close


def step(
    x: Tensor, h: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor, reset_after: bool = True
) -> Tensor:
    return gru_step(x @ w_ih.T + b_ih, GRUState(h), GRUWeights(w_hh, b_hh), reset_after=reset_after)[0].h


def leaves(batch: int, inputs: int, hidden: int) -> dict[str, Tensor]:
    shapes = {
        "x": (batch, inputs),
        "h": (batch, hidden),
        "weight_ih": (3 * hidden, inputs),
        "weight_hh": (3 * hidden, hidden),
        "bias_ih": (3 * hidden,),
        "bias_hh": (3 * hidden,),
    }
    return {name: torch.randn(shape, dtype=torch.float64, requires_grad=True) for name, shape in shapes.items()}


def normed(v: Tensor) -> Tensor:
    centred = v - v.mean(1, keepdim=True)
    return centred / ((centred**2).mean(1, keepdim=True) + 1e-5).sqrt()


@pytest.mark.parametrize(("batch", "inputs", "hidden"), [(1, 1, 1), (3, 2, 5), (33, 7, 64)])
def test_values_and_gradients_equal_torchs_cell(batch: int, inputs: int, hidden: int) -> None:
    tensors = leaves(batch, inputs, hidden)
    x, h, *parameters = tensors.values()
    cell = nn.GRUCell(inputs, hidden, dtype=torch.float64)
    expected = torch.func.functional_call(cell, dict(zip(list(tensors)[2:], parameters, strict=True)), (x, h))
    actual = step(*tensors.values())
    weight = torch.randn_like(actual)
    found = [torch.autograd.grad(y, list(tensors.values()), weight) for y in (actual, expected)]
    ours, theirs = (dict(zip(tensors, gradients, strict=True)) for gradients in found)
    assert_close("h", actual, expected)
    assert_all_close(ours, theirs, "gradient")


def test_without_bias_equals_torchs_cell() -> None:
    cell = nn.GRUCell(4, 3, bias=False, dtype=torch.float64)
    x, h = torch.randn(2, 4, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    assert_close("h", gru_step(x @ cell.weight_ih.T, GRUState(h), GRUWeights(cell.weight_hh))[0].h, cell(x, h))


@pytest.mark.parametrize("reset_after", [True, False])
def test_numbers_worked_by_hand(reset_after: bool) -> None:
    # r = sigmoid(ln 3) = 3/4, z = sigmoid(-ln 4) = 1/5, W_hn = 2, b_hn = 1/2, h = 1, x_n = -1
    gates_x = torch.tensor([[math.log(3), -math.log(4), -1.0]], dtype=torch.float64)
    weights = GRUWeights(
        torch.tensor([[0.0], [0.0], [2.0]], dtype=torch.float64), torch.tensor([0.0, 0.0, 0.5], dtype=torch.float64)
    )
    state, gates = gru_step(gates_x, GRUState(torch.ones(1, 1).double()), weights, reset_after=reset_after)
    n = math.tanh(-1 + 0.75 * (2 + 0.5)) if reset_after else math.tanh(-1 + 2 * (0.75 * 1) + 0.5)
    assert isinstance(gates, GRUGates)
    assert_close("gates", torch.cat(gates, 1), torch.tensor([[0.75, 0.2, n]], dtype=torch.float64))
    assert_close("h", state.h, torch.tensor([[0.8 * n + 0.2]], dtype=torch.float64))


@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize("norm", [False, True])
def test_options_are_the_formula(reset_after: bool, norm: bool) -> None:
    x, h, w_ih, w_hh, b_ih, b_hh = leaves(3, 2, 4).values()
    mask = torch.tensor([0.0, 2.0, 2.0, 0.0], dtype=torch.float64).expand(3, 4)
    gain = torch.randn(12, dtype=torch.float64)
    (wr, wz, wn), (br, bz, bn) = w_hh.chunk(3), b_hh.chunk(3)
    xr, xz, xn = (x @ w_ih.T + b_ih).chunk(3, 1)
    masked = mask * h
    pair = torch.cat([masked @ wr.T, masked @ wz.T], 1)
    pair = normed(pair) * gain[:8] if norm else pair
    r = torch.sigmoid(xr + pair[:, :4] + br)
    z = torch.sigmoid(xz + pair[:, 4:] + bz)
    product = masked @ wn.T if reset_after else (r * masked) @ wn.T
    product = normed(product) * gain[8:] if norm else product
    n = torch.tanh(xn + r * (product + bn)) if reset_after else torch.tanh(xn + product + bn)
    weights = GRUWeights(w_hh, b_hh, gain if norm else None)
    state, gates = gru_step(x @ w_ih.T + b_ih, GRUState(h), weights, reset_after=reset_after, mask_h=mask)
    assert_close("h", state.h, (1 - z) * n + z * h)
    assert_all_close(gates._asdict(), {"r": r, "z": z, "n": n})


@pytest.mark.parametrize("reset_after", [True, False])
def test_first_and_second_derivatives_match_finite_differences(reset_after: bool) -> None:
    tensors = tuple(leaves(2, 1, 2).values())
    assert gradcheck(lambda *t: step(*t, reset_after=reset_after), tensors)
    assert gradgradcheck(lambda *t: step(*t, reset_after=reset_after), tensors)


def test_derivatives_of_a_normed_step_match_finite_differences() -> None:
    tensors = (*leaves(2, 1, 2).values(), torch.randn(6, dtype=torch.float64, requires_grad=True))

    def call(x: Tensor, h: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor, gain: Tensor) -> Tensor:
        return gru_step(x @ w_ih.T + b_ih, GRUState(h), GRUWeights(w_hh, b_hh, gain))[0].h

    assert gradcheck(call, tensors)


def test_vmap_and_jvp_through_a_step() -> None:
    x, h, *parameters = (t.detach() for t in leaves(4, 2, 3).values())
    each = torch.stack([step(x[k : k + 1], h[k : k + 1], *parameters)[0] for k in range(4)])
    assert_close("vmap", vmap(lambda a, b: step(a[None], b[None], *parameters)[0])(x, h), each)
    direction, epsilon = torch.randn_like(h), 1e-6
    _, tangent = jvp(lambda s: step(x, s, *parameters), (h,), (direction,))
    ahead, behind = (step(x, h + sign * epsilon * direction, *parameters) for sign in (1, -1))
    assert (tangent - (ahead - behind) / (2 * epsilon)).abs().max() < 1e-8
