"""What is lost when a model is converted to integers."""

import math
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from longhold.errors import InputError
from longhold.integer.fixed import TOTAL
from longhold.integer.model import IntegerModel
from longhold.integer.stepper import IntegerStepper
from longhold.models.contract import device_of, evaluation_mode
from longhold.models.language_model import LanguageModel

_CHUNK = 256


def integer_bits(model: IntegerModel, ids: NDArray[np.int64], *, columns: int = 32) -> float:
    """Mean bits per token, `-log2(frequency / 2^24)`, of the tokens after the first of each column.

    The stream is cut into `columns` pieces of equal length side by side (what is left over is dropped), each read from
    the initial state on.

    Raises:
        InputError: fewer than two tokens in a column.
    """
    rows = _side_by_side(ids, columns)
    stepper = IntegerStepper(model, columns)
    bits = 0.0
    for inputs, targets in pairwise(rows):
        frequencies = stepper.step(inputs)
        bits -= float(np.log2(frequencies[np.arange(columns), targets] / TOTAL).sum())
    return bits / (columns * (len(rows) - 1))


def float_bits(model: LanguageModel, ids: NDArray[np.int64], *, columns: int = 32) -> float:
    """The same of a model in floating point: mean bits per token, over the same pieces."""
    rows = torch.from_numpy(_side_by_side(ids, columns)).to(device_of(model))
    state, nats = None, 0.0
    with evaluation_mode(model), torch.no_grad():
        for begin in range(0, len(rows) - 1, _CHUNK):
            targets = rows[begin + 1 : begin + 1 + _CHUNK]
            mean, state = model.loss(rows[begin : begin + len(targets)], targets, state)
            nats += float(mean) * targets.numel()
    return nats / math.log(2) / (columns * (len(rows) - 1))


def quantization_loss(
    model: LanguageModel, integers: IntegerModel, ids: NDArray[np.int64], *, columns: int = 32
) -> float:
    """How many bits per token more the integer model needs than the one it was made from, on `ids` (N,).

    For bits per character multiply by tokens per character.
    """
    return integer_bits(integers, ids, columns=columns) - float_bits(model, ids, columns=columns)


def _side_by_side(ids: NDArray[np.int64], columns: int) -> NDArray[np.int64]:
    """(T, columns): column b is a stretch of the stream, what is left over is dropped."""
    if columns < 1 or len(ids) < 2 * columns:
        raise InputError(f"{len(ids)} tokens in {columns} columns: expected at least two in each")
    length = len(ids) // columns
    return np.ascontiguousarray(ids[: length * columns].reshape(columns, length).T)
