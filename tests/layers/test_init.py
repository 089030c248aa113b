"""Initializations: what each leaves in the parameters, and which cells refuse it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import longhold
from longhold import init
from tests.layers.twins import CELLS, make

H = 64
SUFFIXES = ("_l0", "_l0_reverse", "_l1", "_l1_reverse")


def stack(cell: str, how: Any, **options: Any) -> Any:
    """Two layers, both directions: an initialization must reach all of them."""
    return make(
        cell, 8, H, num_layers=2, bidirectional=True, init=how, **({"proj_size": 16} if "_p" in cell else {}), **options
    )


def total_bias(layer: Any, suffix: str, gate: int) -> Tensor:
    """b_ih + b_hh of one gate, (H,)."""
    both = getattr(layer, "bias_ih" + suffix) + getattr(layer, "bias_hh" + suffix)
    return both.detach()[gate * H : (gate + 1) * H]


@pytest.mark.parametrize("cell", CELLS)
def test_uniform_is_torchs_to_the_last_bit(cell: str) -> None:
    name, own = CELLS[cell]
    torch.manual_seed(3)
    layer = make(cell, 8, H, init=init.Uniform())
    torch.manual_seed(3)
    expected = getattr(nn, name)(8, H, dtype=torch.float64, **own).state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in layer.state_dict().items())


@pytest.mark.parametrize("cell", CELLS)
def test_tutorial_draws_small_weights_and_clears_the_biases(cell: str) -> None:
    layer = stack(cell, init.Tutorial())
    for name, value in layer.named_parameters():
        if name.startswith("bias"):
            assert not value.any(), name
        else:
            count = value.numel()
            assert abs(value.mean()) < 5 * 0.01 / math.sqrt(count), name
            assert abs(value.std() / 0.01 - 1) < 5 / math.sqrt(2 * count), name
            # a normal distribution, not a uniform one of the same width: its fourth moment is 3, not 1.8
            assert ((value / 0.01) ** 4).mean() > 2.4 or count < 1000, name


@pytest.mark.parametrize("bias", [0.0, 1.0, -2.5])
def test_forget_bias_of_the_lstm_is_what_both_biases_add_up_to(bias: float) -> None:
    torch.manual_seed(3)
    layer = stack("lstm", init.ForgetBias(bias))
    torch.manual_seed(3)
    plain = stack("lstm", None)
    for suffix in SUFFIXES:
        assert torch.equal(total_bias(layer, suffix, 1), torch.full((H,), bias, dtype=torch.float64))
        for gate in (0, 2, 3):
            assert torch.equal(total_bias(layer, suffix, gate), total_bias(plain, suffix, gate)), gate


def test_forget_bias_of_the_gru_is_the_update_gates() -> None:
    layer = stack("gru", init.ForgetBias(2.0))
    for suffix in SUFFIXES:
        assert torch.equal(total_bias(layer, suffix, 1), torch.full((H,), 2.0, dtype=torch.float64))
        assert total_bias(layer, suffix, 0).abs().max() <= 2 / math.sqrt(H)


def test_forget_bias_of_coupled_gates_closes_the_input_gate() -> None:
    layer = make("lstm", 8, H, coupled_gates=True, init=init.ForgetBias(2.0))
    assert torch.equal(total_bias(layer, "_l0", 0), torch.full((H,), -2.0, dtype=torch.float64))
    zeros = torch.zeros(1, 1, 8, dtype=torch.float64)
    forget = layer.trace(zeros).gates.f
    torch.testing.assert_close(forget, torch.full_like(forget, 2.0).sigmoid())


@pytest.mark.parametrize(("cell", "gate"), [("lstm", 1), ("lstm_projected", 1), ("gru", 1)])
@pytest.mark.parametrize("max_lag", [3, 32, 512])
def test_chrono_spreads_time_constants_up_to_the_longest_lag(cell: str, gate: int, max_lag: int) -> None:
    layer = stack(cell, init.Chrono(max_lag))
    scales = []
    for suffix in SUFFIXES:
        keep = total_bias(layer, suffix, gate)
        assert not getattr(layer, "bias_hh" + suffix)[gate * H : (gate + 1) * H].any()
        scales.append(keep.exp())
        constants = 1 / (1 - keep.sigmoid())
        assert constants.min() >= 1
        assert constants.max() <= max_lag + 1e-9
        if "lstm" in cell:
            assert torch.equal(total_bias(layer, suffix, 0), -keep)
            assert not getattr(layer, "bias_hh" + suffix)[:H].any()
    u = torch.cat(scales)
    assert len(u.unique()) == len(u), "one draw per unit, layer and direction"
    # u is uniform on (1, max_lag - 1)
    place = (u - 1) / (max_lag - 2)
    assert abs(place.mean() - 0.5) < 5 / math.sqrt(12 * len(u))
    expected = (torch.arange(len(u)) + 0.5) / len(u)
    assert (place.sort().values - expected).abs().max() < 2 / math.sqrt(len(u))


def test_chrono_with_coupled_gates_sets_the_input_gate() -> None:
    layer = make("lstm", 8, H, coupled_gates=True, init=init.Chrono(100))
    u = (-total_bias(layer, "_l0", 0)).exp()
    assert u.min() >= 1
    assert u.max() <= 99
    assert u.std() > 10


def test_chrono_forgets_with_the_time_constant_it_promises() -> None:
    # with no other weight than the biases, a state decays by sigmoid(log u) = 1 - 1 / (u + 1) a step
    layer = make("gru", 1, H, init=init.Chrono(50))
    with torch.no_grad():
        layer.weight_ih_l0.zero_(), layer.weight_hh_l0.zero_()
        layer.bias_ih_l0[2 * H :].zero_(), layer.bias_hh_l0[2 * H :].zero_()
    u = total_bias(layer, "_l0", 1).exp()
    output, _ = layer(torch.zeros(20, 1, 1, dtype=torch.float64), torch.ones(1, 1, H, dtype=torch.float64))
    torch.testing.assert_close(output[-1, 0], (1 - 1 / (u + 1)) ** 20)


@pytest.mark.parametrize("cell", CELLS)
def test_orthogonal_makes_each_gates_recurrent_block_orthogonal(cell: str) -> None:
    layer = stack(cell, init.Orthogonal(), dtype=torch.float64)
    for suffix in SUFFIXES:
        weight = getattr(layer, "weight_hh" + suffix).detach()
        blocks = weight.split(H)
        for block in blocks:
            # orthonormal columns: with a projection the block is tall
            product = block.T @ block
            assert (product - torch.eye(block.shape[1], dtype=torch.float64)).abs().max() < 1e-5
        assert len(blocks) == 1 or not torch.equal(blocks[0], blocks[1])
        assert getattr(layer, "weight_ih" + suffix).abs().max() <= 1 / math.sqrt(H)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("how", [init.Tutorial(), init.ForgetBias(), init.Chrono(20), init.Orthogonal()], ids=str)
def test_every_type_of_number_can_be_initialised(how: Any, dtype: torch.dtype) -> None:
    for name in ("GRU", "LSTM"):
        layer = getattr(longhold, name)(3, 4, init=how, dtype=dtype)
        assert all(value.isfinite().all() and value.dtype == dtype for value in layer.parameters())


@pytest.mark.parametrize("cell", ["rnn_tanh", "rnn_relu"])
@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_identity_makes_the_rnn_an_integrator(cell: str, scale: float) -> None:
    layer = stack(cell, init.Identity(scale))
    for suffix in SUFFIXES:
        weight = getattr(layer, "weight_hh" + suffix)
        assert torch.equal(weight, scale * torch.eye(H, dtype=torch.float64))
        assert not total_bias(layer, suffix, 0).any()
    if cell == "rnn_relu" and scale == 1.0:
        single = make(cell, H, H, init=init.Identity())
        with torch.no_grad():
            single.weight_ih_l0.copy_(torch.eye(H))
        x = torch.rand(9, 2, H, dtype=torch.float64)
        torch.testing.assert_close(single(x)[0], x.cumsum(0))


@pytest.mark.parametrize("how", [init.ForgetBias(), init.Chrono(20)], ids=str)
def test_an_rnn_has_no_gate_to_bias(how: Any) -> None:
    with pytest.raises(ValueError, match="RNN"):
        longhold.RNN(3, 4, init=how)


@pytest.mark.parametrize("how", [init.ForgetBias(), init.Chrono(20)], ids=str)
@pytest.mark.parametrize("name", ["GRU", "LSTM"])
def test_without_biases_there_is_nothing_to_set(name: str, how: Any) -> None:
    with pytest.raises(ValueError, match="bias"):
        getattr(longhold, name)(3, 4, bias=False, init=how)


@pytest.mark.parametrize("name", ["GRU", "LSTM"])
def test_identity_is_for_the_rnn(name: str) -> None:
    with pytest.raises(ValueError, match="RNN"):
        getattr(longhold, name)(3, 4, init=init.Identity())


@pytest.mark.parametrize("max_lag", [2, 1, 0, -5, float("nan"), float("inf")])
def test_chrono_needs_a_lag_to_spread_over(max_lag: float) -> None:
    with pytest.raises(ValueError, match="max_lag"):
        init.Chrono(max_lag)


def test_reset_parameters_draws_the_same_kind_anew() -> None:
    layer = make("lstm", 8, H, init=init.Chrono(100), layer_norm=True, learn_initial_state=True)
    before = {name: value.detach().clone() for name, value in layer.named_parameters()}
    with torch.no_grad():
        for value in layer.parameters():
            value.fill_(9.0)
    layer.reset_parameters()
    for name, value in layer.named_parameters():
        kept = name.startswith(("weight_norm", "bias_norm", "h_0", "c_0"))
        assert torch.equal(value, before[name]) == kept, name
    assert torch.equal(total_bias(layer, "_l0", 0), -total_bias(layer, "_l0", 1))


def test_single_cells_take_an_initialization_too() -> None:
    cell = longhold.LSTMCell(8, H, init=init.ForgetBias(3.0))
    assert torch.equal((cell.bias_ih + cell.bias_hh)[H : 2 * H], torch.full((H,), 3.0))


@pytest.mark.parametrize("wrong", ["chrono:20", 1.0, init.Chrono])
def test_what_is_no_initialization_is_refused(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="init"):
        longhold.LSTM(3, 4, init=wrong)


NAMED = {
    "uniform": init.Uniform(),
    "tutorial": init.Tutorial(),
    "forget": init.ForgetBias(),
    "forget:2": init.ForgetBias(2.0),
    "forget:-0.5": init.ForgetBias(-0.5),
    "chrono:512": init.Chrono(512),
    "orthogonal": init.Orthogonal(),
    "identity": init.Identity(),
    "identity:0.5": init.Identity(0.5),
}


@pytest.mark.parametrize("text", NAMED)
def test_by_name(text: str) -> None:
    assert init.by_name(text) == NAMED[text]


@pytest.mark.parametrize(
    "text", ["", "xavier", "chrono", "chrono:", "chrono:long", "chrono:1", "forget:much", "Uniform"]
)
def test_names_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=repr(text)):
        init.by_name(text)


def test_initializations_are_frozen_values() -> None:
    for how in NAMED.values():
        assert dataclasses.is_dataclass(how)
        assert hash(how) == hash(dataclasses.replace(how))
        for field in dataclasses.fields(how):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(how, field.name, 1.0)
