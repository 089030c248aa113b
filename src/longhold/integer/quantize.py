"""From a language model in floating point to an integer model."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from longhold.errors import InputError
from longhold.integer.bounds import check_bounds
from longhold.integer.fixed import UNIT, make_tables
from longhold.integer.model import FIELDS, Bits, IntegerModel, Layer, Matrix
from longhold.models.language_model import LanguageModel, LanguageModelConfig

Real: TypeAlias = NDArray[np.float64]

_LARGEST_SHIFT = 40
_LARGEST_VOCABULARY = 2**20


def quantize(model: LanguageModel, bits: Bits) -> IntegerModel:
    """The model as integers: the matrices with `bits` bits a weight and a scale for each row.

    Only operations that IEEE 754 rounds correctly are used (`+ - * /` and rounding to integers), so the same weights
    give the same integers on every machine.

    Args:
        model: any cell, any number of layers, with an embedding (tied or not) or one-hot. Everything that only acts in
            training (dropout of every kind) is left out, as it is in evaluation; zoneout takes its expectation.
        bits: 8 or 16.

    Raises:
        InputError: the model has an option that has no integer form here (layer norm, peepholes, projection,
            relu), weights that are not finite or too large to be computed with exactly, or `bits` is neither 8 nor 16.
    """
    if not isinstance(model, LanguageModel):
        raise InputError(f"only a LanguageModel can be converted to integers, not a {type(model).__name__}")
    if bits not in (8, 16):
        raise InputError(f"bits={bits!r}: expected 8 or 16")
    _refuse(model.config)
    tensors = {name: _real(name, tensor) for name, tensor in model.state_dict().items()}
    output = _matrix(tensors["output.weight"], bits)
    embedding = tensors.get("embedding.weight")
    found = IntegerModel(
        cell=model.config.cell,
        bits=bits,
        reset_after=model.config.reset_after,
        coupled_gates=model.config.coupled_gates,
        embedding=output if model.config.tie_weights else None if embedding is None else _matrix(embedding, bits),
        layers=tuple(_layer(model, tensors, row, bits) for row in range(model.config.num_layers)),
        output=output,
        output_bias=_vector(tensors["output.bias"]),
        tables=make_tables(),
    )
    check_bounds(found)
    return found


def _refuse(config: LanguageModelConfig) -> None:
    options = {
        "layer_norm": config.layer_norm,
        "peephole": config.peephole,
        "proj_size": config.proj_size > 0,
        "nonlinearity='relu'": config.nonlinearity == "relu",
    }
    unsupported = [name for name, on in options.items() if on]
    if unsupported:
        raise InputError(f"a model with {', '.join(unsupported)} cannot be converted to integers here")
    if config.vocab_size > _LARGEST_VOCABULARY:
        raise InputError(f"the vocabulary has {config.vocab_size} tokens, expected at most {_LARGEST_VOCABULARY}")


def _real(name: str, tensor: Any) -> Real:
    values: Real = tensor.detach().cpu().double().numpy()
    if not np.isfinite(values).all():
        raise InputError(f"{name} holds values that are not finite (did the training diverge?)")
    return values


def _layer(model: LanguageModel, tensors: dict[str, Real], row: int, bits: Bits) -> Layer:
    def of(name: str) -> Real:
        return tensors[f"layer.{name}_l{row}"]

    fields = FIELDS[model.config.cell]
    zeros = np.zeros(model.config.hidden_size)
    return Layer(
        weight_ih=_matrix(of("weight_ih"), bits),
        weight_hh=_matrix(of("weight_hh"), bits),
        bias_ih=_vector(of("bias_ih")),
        bias_hh=_vector(of("bias_hh")),
        initial=tuple(_vector(tensors.get(f"layer.{name}_0_l{row}", zeros)) for name in fields),
        zoneout=tuple(round(rate * UNIT) for rate in model.layer.zoneout_rates),
    )


def _matrix(weight: Real, bits: Bits) -> Matrix:
    """Each row's scale is the least `m / 2^t` with `m <= 256` that brings its largest entry within the range."""
    limit = 2.0 ** (bits - 1) - 1
    least = np.abs(weight).max(1) / limit
    shift = np.minimum(8 - np.frexp(least)[1], _LARGEST_SHIFT)
    if (shift < 1).any():
        raise InputError(f"a weight of {np.abs(weight).max():.3g} is too large to be computed with exactly")
    multiplier = np.maximum(np.ceil(np.ldexp(least, shift)), 1.0)
    scale = np.ldexp(multiplier, -shift)[:, None]
    values = np.clip(np.rint(weight / scale), -limit, limit)
    return Matrix(values.astype(f"int{bits}"), multiplier.astype(np.int16), shift.astype(np.int8))


def _vector(values: Real) -> NDArray[np.int32]:
    scaled = np.rint(values * UNIT)
    if np.abs(scaled).max() >= 2**31:
        raise InputError(f"a bias or state of {np.abs(values).max():.3g} is too large, expected less than 32768")
    return scaled.astype(np.int32)
