"""What may come into a model: token ids or feature vectors, never the one for the other."""

import torch
from torch import Tensor

from longhold.errors import InputError


def read_inputs(inputs: Tensor, size: int, continuous: bool, dtype: torch.dtype) -> Tensor:
    """The inputs as a model takes them: ids `(T, B)` as they are, features `(T, B, size)` in the model's dtype.

    Raises:
        InputError: ids for a model of features, features for a model of ids, or features of another width.
    """
    shape = tuple(inputs.shape)
    if not continuous:
        if inputs.is_floating_point() or inputs.dim() != 2:
            raise InputError(f"inputs of shape {shape} and type {inputs.dtype}: expected token ids (T, B)")
        return inputs
    if not inputs.is_floating_point() or inputs.dim() != 3 or shape[-1] != size:
        raise InputError(f"inputs of shape {shape} and type {inputs.dtype}: expected features (T, B, {size})")
    return inputs.to(dtype)
