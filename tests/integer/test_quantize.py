"""From floating point to integers: scales, values, what is refused."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from longhold.errors import InputError
from longhold.integer import quantize
from longhold.integer.bounds import _product_reach, check_bounds
from longhold.integer.fixed import UNIT
from longhold.models.language_model import LanguageModel, LanguageModelConfig
from tests.integer.models import KINDS, model_of


@pytest.mark.parametrize("bits", [8, 16])
def test_a_weight_is_off_by_half_a_scale_at_most_and_the_scale_is_nearly_the_least(bits: Any) -> None:
    model = model_of({"cell": "gru", "vocab_size": 33, "hidden_size": 17})
    with torch.no_grad():
        model.output.weight[3] = 0.0
        model.output.weight[4] *= 1e-9
        model.output.weight[5] *= 300.0
        model.output.weight[6] = 0.0
        model.output.weight[6, 2] = 0.5
    matrix, weight = quantize(model, bits).output, model.output.weight.detach().double().numpy()
    limit = 2 ** (bits - 1) - 1
    scales = matrix.multiplier.astype(np.float64) / 2.0**matrix.shift
    assert (np.abs(matrix.weights() - weight) <= scales[:, None] / 2 * (1 + 1e-12)).all()
    assert np.abs(matrix.values).max() <= limit
    assert (matrix.multiplier >= 1).all()
    assert (matrix.multiplier <= 256).all()
    assert ((matrix.shift >= 1) & (matrix.shift <= 40)).all()
    usual = [row for row in range(33) if row not in (3, 4)]
    least = np.abs(weight[usual]).max(1) / limit
    assert (scales[usual] >= least * (1 - 1e-15)).all()
    assert (scales[usual] <= least * (1 + 1 / 128)).all()
    assert (matrix.values[3] == 0).all()
    assert matrix.values.dtype == np.dtype(f"int{bits}")


def test_biases_and_learned_states_are_rounded_to_the_unit() -> None:
    model = model_of(KINDS["lstm, coupled, zoneout, learned start"])
    layer = quantize(model, 8).layers[0]
    for name, found in (("bias_ih", layer.bias_ih), ("bias_hh", layer.bias_hh)):
        expected = getattr(model.layer, f"{name}_l0").detach().double().numpy() * UNIT
        assert np.abs(found - expected).max() <= 0.5
    for name, found in zip(("h_0", "c_0"), layer.initial, strict=True):
        assert np.abs(found - getattr(model.layer, f"{name}_l0").detach().double().numpy() * UNIT).max() <= 0.5
    assert layer.zoneout == (6554, 26214)


def test_a_tied_model_has_one_matrix() -> None:
    assert quantize(model_of(KINDS["lstm, tied"]), 8).tied
    assert not quantize(model_of(KINDS["lstm, three layers, embedded"]), 8).tied


def test_the_type_of_the_weights_does_not_matter_where_they_are_equal() -> None:
    model = model_of(KINDS["gru"])
    double = LanguageModel(model.config, dtype=torch.float64)
    double.load_state_dict(model.state_dict())
    first, second = quantize(model, 16), quantize(double.train(), 16)
    assert (first.layers[0].weight_hh.values == second.layers[0].weight_hh.values).all()
    assert (first.output.multiplier == second.output.multiplier).all()


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ({"layer_norm": True}, "layer_norm"),
        ({"peephole": True}, "peephole"),
        ({"proj_size": 2}, "proj_size"),
        ({"cell": "rnn", "nonlinearity": "relu"}, "nonlinearity='relu'"),
    ],
)
def test_an_option_without_a_form_in_integers_is_refused(option: dict[str, Any], name: str) -> None:
    config = LanguageModelConfig(**{"cell": "lstm", "vocab_size": 3, "hidden_size": 4, **option})
    with pytest.raises(InputError, match=f"a model with {name} cannot be converted to integers here"):
        quantize(config.build(), 8)


def test_what_is_no_model_or_no_width_is_refused() -> None:
    anything: Any = torch.nn.Linear(2, 2)
    with pytest.raises(InputError, match="only a LanguageModel can be converted to integers, not a Linear"):
        quantize(anything, 8)
    width: Any = 4
    with pytest.raises(InputError, match="bits=4: expected 8 or 16"):
        quantize(model_of(KINDS["rnn"]), width)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float) -> None:
    model = model_of(KINDS["rnn"])
    with torch.no_grad():
        model.output.bias[0] = value
    with pytest.raises(InputError, match=r"output.bias holds values that are not finite"):
        quantize(model, 8)


@pytest.mark.parametrize("name", ["output.weight", "output.bias"])
def test_numbers_too_large_for_the_format_are_refused(name: str) -> None:
    model = model_of(KINDS["rnn"])
    with torch.no_grad():
        model.get_parameter(name).view(-1)[0] = 1e8
    with pytest.raises(InputError, match=r"of 1e\+08 is too large"):
        quantize(model, 8)


def test_a_model_whose_sums_could_leave_float64_is_refused() -> None:
    model = model_of({"cell": "gru", "vocab_size": 3, "hidden_size": 4, "embedding_size": 2})
    with torch.no_grad():
        model.embedding.weight[1] = 16_000.0  # type: ignore[union-attr]
    check_bounds(quantize(model, 8))
    with pytest.raises(InputError, match=r"layer 0, the product with its input, can reach .* less than 2\^53"):
        quantize(model, 16)
    model = model_of(KINDS["gru, zoneout"])
    with torch.no_grad():
        model.layer.h_0_l0[0] = 30_000.0
    with pytest.raises(InputError, match=r"layer 0, the recurrent product, can reach .* less than 2\^53"):
        quantize(model, 16)


def test_the_bound_of_a_product_is_reached_by_the_worst_input() -> None:
    matrix = quantize(model_of({"cell": "rnn", "vocab_size": 3, "hidden_size": 40}), 16).output
    reached = [
        Fraction(int(m) * sum(abs(int(q)) for q in row) * int(UNIT), 2 ** int(t))
        for m, t, row in zip(matrix.multiplier, matrix.shift, matrix.values, strict=True)
    ]
    assert _product_reach(matrix, UNIT, "the product") == float(max(reached)) + 1
    with pytest.raises(InputError, match="the product can reach"):
        _product_reach(matrix, 2.0**40, "the product")
