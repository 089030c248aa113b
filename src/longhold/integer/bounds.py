"""That nothing a model computes can leave the integers that float64 holds."""

import numpy as np

from longhold.integer.fixed import REACH, TOTAL, UNIT, Integers, require_exact
from longhold.integer.frequencies import HUNDRED, LARGEST_TEMPERATURE
from longhold.integer.model import IntegerModel, Layer, Matrix

LARGEST_C = 2.0**31
"""Where the cell state is clamped, in units of 1 / UNIT: at 32768."""


def check_bounds(model: IntegerModel) -> None:
    """`InputError` unless every sum and product of a step stays below 2^53, whatever is read.

    The bounds follow from the shapes and the weights themselves: of a product with inputs up to `x`, row r reaches
    `multiplier[r] * x * sum_k |values[r, k]|` in units of 1 / (UNIT 2^shift[r]).
    """
    reach = _input_reach(model)
    for row, layer in enumerate(model.layers):
        reach = _layer_reach(layer, reach, f"layer {row}")
    logits = _product_reach(model.output, reach, "the output layer") + float(np.abs(model.output_bias).max())
    require_exact(2 * logits * HUNDRED + LARGEST_TEMPERATURE, "a difference of two logits over the temperature")
    require_exact(float(TOTAL) * (TOTAL + model.vocab_size), "a frequency before it is divided by the sum")
    require_exact(UNIT * REACH["exp"] * UNIT, "an entry between two of a table")


def _input_reach(model: IntegerModel) -> float:
    """The largest magnitude of what goes into the first layer."""
    if model.embedding is None:
        return UNIT
    table = model.embedding
    return float(np.max(np.abs(table.weights()))) * UNIT + 1


def _layer_reach(layer: Layer, reach: float, what: str) -> float:
    """Checks one layer and returns the largest magnitude of its h."""
    h = max(UNIT, float(np.abs(layer.initial[0]).max()))
    _product_reach(layer.weight_ih, reach, f"{what}, the product with its input,")
    recurrent = _product_reach(layer.weight_hh, h, f"{what}, the recurrent product,")
    recurrent += float(np.abs(layer.bias_hh).max())
    require_exact(UNIT * recurrent, f"{what}, a gate times the recurrent product,")
    require_exact(UNIT * (LARGEST_C + UNIT), f"{what}, a gate times the cell state,")
    require_exact(UNIT * 2 * h, f"{what}, a gate times the hidden state,")
    return h


def _product_reach(matrix: Matrix, reach: float, what: str) -> float:
    """Checks a product in its finest unit and returns how large its rounded result can be."""
    numerators: Integers = np.abs(matrix.values.astype(np.float64)).sum(1) * matrix.multiplier * reach
    halves = np.ldexp(np.ones_like(numerators), matrix.shift.astype(np.int32) - 1)
    require_exact(float((numerators + halves).max()), what)
    return float(np.ldexp(numerators, -matrix.shift.astype(np.int32)).max()) + 1
