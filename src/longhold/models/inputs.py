"""What may come into a model, token ids or feature vectors, never the one for the other, and its targets."""

import torch
from torch import Tensor

from longhold.errors import InputError
from longhold.kernels.exported import is_written

IGNORE_INDEX = -100
"""Marks a step without a target: torch's `ignore_index`."""

_WHOLE = (
    *(torch.int64, torch.int32, torch.int16, torch.int8),
    *(torch.uint8, torch.uint16, torch.uint32, torch.uint64),
)

_READ = (torch.int64, torch.int32)  # what embeddings and layers take


def read_inputs(inputs: Tensor, size: int, continuous: bool, dtype: torch.dtype) -> Tensor:
    """The inputs as a model takes them: ids `(T, B)` as int64 or int32, features `(T, B, size)` in the model's dtype.

    Raises:
        InputError: ids for a model of features, features for a model of ids, features of another width, or, where that
            can be looked at (on the CPU, outside of traced programs), an id that is not from 0 to `size` - 1.
    """
    shape = tuple(inputs.shape)
    if not continuous:
        require_ids(inputs)
        ids = inputs if inputs.dtype in _READ else inputs.long()
        _require_range("inputs", ids, size)
        return ids
    if not inputs.is_floating_point() or inputs.dim() != 3 or shape[-1] != size:
        raise InputError(f"inputs of shape {shape} and type {inputs.dtype}: expected features (T, B, {size})")
    return inputs.to(dtype)


def require_ids(inputs: Tensor) -> None:
    """InputError unless they are integers `(T, B)` with a step at least."""
    if inputs.dtype not in _WHOLE or inputs.dim() != 2 or inputs.shape[0] == 0:
        found = f"inputs of shape {tuple(inputs.shape)} and type {inputs.dtype}"
        raise InputError(f"{found}: expected token ids (T, B)")


def read_targets(targets: Tensor, steps_and_rows: tuple[int, ...], size: int) -> Tensor:
    """The targets as a cross-entropy takes them, `(T, B)` int64; integers of any type come in.

    Raises:
        InputError: there are none, they are no integers, not one for each step and row, or, where that can be looked at
            (on the CPU, outside of traced programs), one is neither from 0 to `size` - 1 nor `IGNORE_INDEX`.
    """
    if targets.dtype not in _WHOLE or targets.numel() == 0 or tuple(targets.shape) != tuple(steps_and_rows):
        expected = f"({', '.join(map(str, steps_and_rows))})"
        raise InputError(
            f"targets of shape {tuple(targets.shape)} and type {targets.dtype}: expected {expected} integers from 0 to "
            f"{size - 1}, or {IGNORE_INDEX} where there is no target"
        )
    found = targets.long()
    _require_range("targets", found.masked_fill(found == IGNORE_INDEX, 0), size)
    return found


def _require_range(what: str, ids: Tensor, size: int) -> None:
    traced = torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active() or is_written()
    if traced or ids.device.type != "cpu" or ids.numel() == 0:
        return
    smallest, largest = (int(value) for value in ids.aminmax())
    if smallest < 0 or largest >= size:
        raise InputError(f"{what} hold the id {smallest if smallest < 0 else largest}: expected 0 to {size - 1}")
