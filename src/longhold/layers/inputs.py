"""From what a caller passes to what a backend takes, and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from longhold.kernels.addresses import check_memory
from longhold.kernels.call import packed_rows
from longhold.kernels.exported import check_packed

ID_DTYPES = (torch.int64, torch.int32)
"""What token ids may be: an input of these types without a dimension for features."""


@dataclass(frozen=True)
class Prepared:
    """An input in the backends' layout."""

    input: Tensor | PackedSequence
    """(T, B, I), or (T, B) int64 ids, or either packed"""
    steps: int
    batch: int
    batched: bool
    batch_first: bool
    lengths: Tensor | None
    """(B,) int64"""
    reset: Tensor | None
    """(T, B) bool, false beyond the lengths"""

    @property
    def data(self) -> Tensor:
        """The tensor inside."""
        return self.input.data if isinstance(self.input, PackedSequence) else self.input


def prepare(
    layer: Any, source: Tensor | PackedSequence, lengths: Tensor | Sequence[int] | int | None, reset: Tensor | None
) -> Prepared:
    """Check an input as torch.nn does and bring it to (T, B, I), or ids to (T, B)."""
    if isinstance(source, PackedSequence):
        return _prepare_packed(layer, source, lengths, reset)
    ids = source.dtype in ID_DTYPES and source.dim() != 3
    if source.dim() not in ((1, 2) if ids else (2, 3)):
        expected = "ids to be 1-D or 2-D" if ids else "input to be 2-D or 3-D"
        raise ValueError(f"{type(layer).__name__}: Expected {expected}, got {source.dim()}-D instead")
    if not ids:
        check_features(source, layer.input_size, layer.weight_ih_l0.dtype)
    batched = source.dim() == (2 if ids else 3)
    source = source.long() if ids else source
    x = source if batched else source.unsqueeze(1)
    x = x.transpose(0, 1) if batched and layer.batch_first else x
    steps, batch = x.shape[:2]
    if steps == 0:
        raise RuntimeError("Expected sequence length to be larger than 0")
    if lengths is not None or reset is not None:
        check_memory([each for each in (lengths, reset) if isinstance(each, Tensor)])
    checked_lengths = None if lengths is None else check_lengths(lengths, steps, batch)
    if checked_lengths is not None and x.is_cpu:
        checked_lengths = checked_lengths.cpu()
    checked_reset = None
    if reset is not None:
        checked_reset = _check_reset(reset, x, batched, layer.batch_first)
        if checked_lengths is None:
            checked_reset = checked_reset.clone()  # the caller's may be filled anew before the backward pass
        else:
            at = torch.arange(steps, device=reset.device).unsqueeze(1)
            checked_reset = checked_reset & (at < checked_lengths.to(reset.device))
    return Prepared(x, steps, batch, batched, layer.batch_first, checked_lengths, checked_reset)


def _prepare_packed(layer: Any, packed: PackedSequence, lengths: Any, reset: Tensor | None) -> Prepared:
    for name, value in (("lengths", lengths), ("reset", reset)):
        if value is not None:
            raise ValueError(f"a PackedSequence cannot be combined with {name}=; pass a padded input with lengths=")
    if packed.data.dtype in ID_DTYPES and packed.data.dim() == 1:
        packed = packed._replace(data=packed.data.long())
    elif packed.data.dim() != 2:
        raise RuntimeError(f"Expected packed data to be 2-D, got {packed.data.dim()}-D")
    else:
        check_features(packed.data, layer.input_size, layer.weight_ih_l0.dtype)
    check_packed()
    steps, batch = len(packed.batch_sizes), packed_rows(packed)
    return Prepared(packed, steps, batch, True, layer.batch_first, None, None)


def check_features(data: Tensor, input_size: int, dtype: torch.dtype) -> None:
    """Raise what torch.nn raises for a wrong dtype or feature width."""
    if data.dtype != dtype and not torch._C._is_any_autocast_enabled():
        raise ValueError(f"RNN input dtype ({data.dtype}) does not match weight dtype ({dtype})")
    if data.shape[-1] != input_size:
        raise RuntimeError(f"input.size(-1) must be equal to input_size. Expected {input_size}, got {data.size(-1)}")


def check_lengths(lengths: Tensor | Sequence[int] | int, steps: int, batch: int) -> Tensor:
    """The lengths as (B,) int64; ValueError unless each is from 0 to `steps`."""
    tensor = lengths if isinstance(lengths, Tensor) else torch.as_tensor(lengths, device="cpu")
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise TypeError(f"lengths should be integers, got {tensor.dtype}")
    tensor = tensor.to(torch.int64, copy=True)  # the caller's may be filled anew before the backward pass
    tensor = tensor.reshape(1) if tensor.dim() == 0 and batch == 1 else tensor
    if tuple(tensor.shape) != (batch,):
        raise ValueError(f"lengths should have shape ({batch},), one per row, got {list(tensor.shape)}")
    if torch.compiler.is_compiling():
        return tensor  # their values cannot be looked at in a traced program
    values = tensor.tolist()
    if batch and (min(values) < 0 or max(values) > steps):
        wrong = next(length for length in values if not 0 <= length <= steps)
        raise ValueError(f"lengths should be from 0 to {steps}, the number of steps, got {wrong}")
    return tensor


def _check_reset(reset: Tensor, x: Tensor, batched: bool, batch_first: bool) -> Tensor:
    if reset.dtype != torch.bool:
        raise TypeError(f"reset should be a bool tensor, got {reset.dtype}")
    steps, batch = x.shape[:2]
    expected = (steps,) if not batched else (batch, steps) if batch_first else (steps, batch)
    if tuple(reset.shape) != expected:
        raise ValueError(f"reset should have shape {expected}, as the input without features, got {list(reset.shape)}")
    if not batched:
        return reset.unsqueeze(1)
    return reset.transpose(0, 1) if batch_first else reset


def restore(prepared: Prepared, value: Any, time_dim: int) -> Any:
    """Bring a stack whose dimensions `time_dim`, `time_dim + 1` are time and batch to the caller's layout."""
    if isinstance(value, PackedSequence):
        return value
    if not prepared.batched:
        return value.squeeze(time_dim + 1)
    return value.transpose(time_dim, time_dim + 1) if prepared.batch_first else value
