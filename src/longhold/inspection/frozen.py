"""A model as instruments take it: a copy that does not learn, in the requested precision."""

import copy
from typing import TypeVar

import torch

from longhold.models import SequenceModel

ModelT = TypeVar("ModelT", bound=SequenceModel)


def frozen_copy(model: ModelT, dtype: torch.dtype | None) -> ModelT:
    """A copy in evaluation mode whose parameters need no gradient, in `dtype`; None keeps the model's own."""
    frozen = copy.deepcopy(model).requires_grad_(False).eval()
    return frozen if dtype is None else frozen.to(dtype)


def in_precision(inputs: torch.Tensor, dtype: torch.dtype | None) -> torch.Tensor:
    """Features in `dtype`; token ids, and features where it is None, as they are."""
    return inputs.to(dtype) if dtype is not None and inputs.is_floating_point() else inputs
