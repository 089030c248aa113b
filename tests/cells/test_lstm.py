"""One step of the LSTM with its options against torch.nn, hand-worked numbers, formulas and finite differences."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import jvp, vmap

from longhold.cells import LSTMGates, LSTMState, LSTMWeights, lstm_step
from tests.helpers import assert_all_close, assert_close


def step(
    x: Tensor, h: Tensor, c: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor
) -> tuple[Tensor, Tensor]:
    state, _ = lstm_step(x @ w_ih.T + b_ih, LSTMState(h, c), LSTMWeights(w_hh, b_hh))
    return state.h, state.c


def leaves(batch: int, inputs: int, hidden: int, gates: int = 4, projected: int = 0) -> dict[str, Tensor]:
    shapes = {
        "x": (batch, inputs),
        "h": (batch, projected or hidden),
        "c": (batch, hidden),
        "weight_ih": (gates * hidden, inputs),
        "weight_hh": (gates * hidden, projected or hidden),
        "bias_ih": (gates * hidden,),
        "bias_hh": (gates * hidden,),
    }
    return {name: torch.randn(shape, dtype=torch.float64, requires_grad=True) for name, shape in shapes.items()}


def normed(v: Tensor) -> Tensor:
    centred = v - v.mean(1, keepdim=True)
    return centred / ((centred**2).mean(1, keepdim=True) + 1e-5).sqrt()


@pytest.mark.parametrize(("batch", "inputs", "hidden"), [(1, 1, 1), (3, 2, 5), (33, 7, 64)])
@pytest.mark.parametrize("through", ["h", "c", "both"])
def test_values_and_gradients_equal_torchs_cell(batch: int, inputs: int, hidden: int, through: str) -> None:
    tensors = leaves(batch, inputs, hidden)
    x, h, c, *parameters = tensors.values()
    cell = nn.LSTMCell(inputs, hidden, dtype=torch.float64)
    named = dict(zip(list(tensors)[3:], parameters, strict=True))
    expected = dict(zip("hc", torch.func.functional_call(cell, named, (x, (h, c))), strict=True))
    actual = dict(zip("hc", step(*tensors.values()), strict=True))
    picked = "hc" if through == "both" else through
    weight = [torch.randn_like(h) for _ in picked]
    ours, theirs = (
        dict(zip(tensors, torch.autograd.grad([y[k] for k in picked], list(tensors.values()), weight), strict=True))
        for y in (actual, expected)
    )
    assert_all_close(actual, expected)
    assert_all_close(ours, theirs, f"gradient through {through}")


def test_without_bias_equals_torchs_cell() -> None:
    cell = nn.LSTMCell(4, 3, bias=False, dtype=torch.float64)
    x, h, c = (torch.randn(2, n, dtype=torch.float64) for n in (4, 3, 3))
    state, _ = lstm_step(x @ cell.weight_ih.T, LSTMState(h, c), LSTMWeights(cell.weight_hh))
    assert_all_close(state._asdict(), dict(zip("hc", cell(x, (h, c)), strict=True)))


def test_projection_equals_one_step_of_torchs_layer() -> None:
    layer = nn.LSTM(4, 5, proj_size=2, dtype=torch.float64)
    x, h, c = (torch.randn(3, n, dtype=torch.float64) for n in (4, 2, 5))
    _, (h_n, c_n) = layer(x[None], (h[None], c[None]))
    weights = LSTMWeights(layer.weight_hh_l0, layer.bias_hh_l0, weight_hr=layer.weight_hr_l0)
    state, _ = lstm_step(x @ layer.weight_ih_l0.T + layer.bias_ih_l0, LSTMState(h, c), weights)
    assert_all_close(state._asdict(), {"h": h_n[0], "c": c_n[0]})


def test_numbers_worked_by_hand() -> None:
    # i = sigmoid(ln 3) = 3/4, f = sigmoid(-ln 3) = 1/4, g = tanh(artanh 1/2) = 1/2, o = sigmoid(ln 4) = 4/5
    gates_x = torch.tensor([[math.log(3), -math.log(3), math.atanh(0.5), math.log(4)]], dtype=torch.float64)
    state = LSTMState(torch.zeros(1, 1).double(), torch.ones(1, 1).double())
    new, gates = lstm_step(gates_x, state, LSTMWeights(torch.ones(4, 1).double()))
    assert isinstance(gates, LSTMGates)
    assert_close("gates", torch.cat(gates, 1), torch.tensor([[0.75, 0.25, 0.5, 0.8]], dtype=torch.float64))
    assert_close("c", new.c, torch.tensor([[0.625]], dtype=torch.float64))
    assert_close("h", new.h, torch.tensor([[0.8 * math.tanh(0.625)]], dtype=torch.float64))


def test_coupled_numbers_worked_by_hand() -> None:
    gates_x = torch.tensor([[math.log(3), math.atanh(0.5), math.log(4)]], dtype=torch.float64)
    state = LSTMState(torch.zeros(1, 1).double(), torch.full((1, 1), 2.0).double())
    new, gates = lstm_step(gates_x, state, LSTMWeights(torch.ones(3, 1).double()), coupled=True)
    assert_close("f", gates.f, torch.tensor([[0.25]], dtype=torch.float64))
    assert_close("c", new.c, torch.tensor([[0.25 * 2 + 0.75 * 0.5]], dtype=torch.float64))
    assert_close("h", new.h, torch.tensor([[0.8 * math.tanh(0.875)]], dtype=torch.float64))


def test_peepholes_worked_by_hand() -> None:
    # c = 2, c' = f c + i g: the input and forget gates look at 2, the output gate at c'
    zeros = torch.zeros(1, 1, dtype=torch.float64)
    gates_x = torch.tensor([[0.0, 0.0, math.atanh(0.5), 0.0]], dtype=torch.float64)
    peephole = torch.tensor([math.log(3) / 2, -math.log(3) / 2, 1.0], dtype=torch.float64)
    weights = LSTMWeights(torch.zeros(4, 1).double(), weight_peephole=peephole)
    new, gates = lstm_step(gates_x, LSTMState(zeros, zeros + 2), weights)
    assert_close("i, f", torch.cat([gates.i, gates.f], 1), torch.tensor([[0.75, 0.25]], dtype=torch.float64))
    assert_close("c", new.c, zeros + 0.875)
    assert_close("o", gates.o, zeros + 1 / (1 + math.exp(-0.875)))


@pytest.mark.parametrize(("coupled", "norm", "peephole", "projection"), list(product([False, True], repeat=4)))
def test_options_together_are_the_formula(coupled: bool, norm: bool, peephole: bool, projection: bool) -> None:
    H, P, G = 4, 3 if projection else 4, 3 if coupled else 4
    x, h, c, w_ih, w_hh, b_ih, b_hh = leaves(3, 2, H, G, P).values()
    random = {n: torch.randn(n, dtype=torch.float64) for n in (G * H, H)}
    shift, mask = torch.randn(H, dtype=torch.float64), torch.tensor([0.0, 2.0, 2.0, 0.0], dtype=torch.float64)[:P]
    w_hr = torch.randn(P, H, dtype=torch.float64)
    p = torch.randn((2 if coupled else 3) * H, dtype=torch.float64)
    weights = LSTMWeights(
        w_hh,
        b_hh,
        weight_hr=w_hr if projection else None,
        weight_peephole=p if peephole else None,
        weight_norm_hh=random[G * H] if norm else None,
        weight_norm_c=random[H] if norm else None,
        bias_norm_c=shift if norm else None,
    )
    mask = mask.expand(3, P)
    new, gates = lstm_step(x @ w_ih.T + b_ih, LSTMState(h, c), weights, coupled=coupled, mask_h=mask)

    recurrent = (mask * h) @ w_hh.T
    recurrent = normed(recurrent) * random[G * H] if norm else recurrent
    a = dict(zip("igo" if coupled else "ifgo", (x @ w_ih.T + b_ih + recurrent + b_hh).chunk(G, 1), strict=True))
    look = dict(zip("io" if coupled else "ifo", p.chunk(2 if coupled else 3), strict=True)) if peephole else {}
    i = torch.sigmoid(a["i"] + look.get("i", 0.0) * c)
    f = 1 - i if coupled else torch.sigmoid(a["f"] + look.get("f", 0.0) * c)
    g = torch.tanh(a["g"])
    c_new = f * c + i * g
    o = torch.sigmoid(a["o"] + look.get("o", 0.0) * c_new)
    h_new = o * torch.tanh(normed(c_new) * random[H] + shift if norm else c_new)
    h_new = h_new @ w_hr.T if projection else h_new
    assert_all_close(new._asdict() | gates._asdict(), {"h": h_new, "c": c_new, "i": i, "f": f, "g": g, "o": o})


def test_first_and_second_derivatives_match_finite_differences() -> None:
    tensors = tuple(leaves(2, 1, 2).values())
    assert gradcheck(step, tensors)
    assert gradgradcheck(step, tensors)


@pytest.mark.parametrize("coupled", [False, True])
def test_derivatives_with_every_option_match_finite_differences(coupled: bool) -> None:
    H, P, G = 3, 2, 3 if coupled else 4
    sizes = [(P, H), ((2 if coupled else 3) * H,), (G * H,), (H,), (H,)]
    extra = [torch.randn(size, dtype=torch.float64, requires_grad=True) for size in sizes]

    def call(
        x: Tensor, h: Tensor, c: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor, *options: Tensor
    ) -> tuple[Tensor, ...]:
        weights = LSTMWeights(w_hh, b_hh, *options)
        state, gates = lstm_step(x @ w_ih.T + b_ih, LSTMState(h, c), weights, coupled=coupled)
        return (*state, *gates)

    tensors = (*leaves(1, 1, H, G, P).values(), *extra)
    assert gradcheck(call, tensors)
    assert gradgradcheck(call, tensors, atol=1e-4)


def test_vmap_and_jvp_through_a_step() -> None:
    x, h, c, *parameters = (t.detach() for t in leaves(4, 2, 3).values())
    rows = [step(x[k : k + 1], h[k : k + 1], c[k : k + 1], *parameters) for k in range(4)]
    mapped = vmap(lambda *row: step(*(r[None] for r in row), *parameters))(x, h, c)
    for name, value, each in zip("hc", mapped, zip(*rows, strict=True), strict=True):
        assert_close(f"vmap {name}", value[:, 0], torch.cat(each))
    direction, epsilon = torch.randn_like(c), 1e-6
    _, tangents = jvp(lambda s: step(x, h, s, *parameters), (c,), (direction,))
    ahead, behind = (step(x, h, c + sign * epsilon * direction, *parameters) for sign in (1, -1))
    for tangent, after, before in zip(tangents, ahead, behind, strict=True):
        assert (tangent - (after - before) / (2 * epsilon)).abs().max() < 1e-8
