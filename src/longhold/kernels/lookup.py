"""Token ids as an input: what they stand for, and which ones there may be."""

import torch
import torch.nn.functional as F
from torch import Tensor


def is_ids(x: Tensor) -> bool:
    """Whether an input is token ids, which stand for one-hot vectors, and not features."""
    return x.dtype == torch.int64


def one_hot(ids: Tensor, size: int, like: Tensor) -> Tensor:
    """The vectors that ids stand for, (..., size) in the dtype of `like`; IndexError as `check_ids` raises it."""
    check_ids(ids, size)
    return F.one_hot(ids, size).to(like.dtype)


def check_ids(ids: Tensor, size: int) -> None:
    """IndexError unless each id is from 0 to `size` - 1.

    Only on the CPU and outside of traced programs: elsewhere looking at a value waits for the device or cannot be done,
    and torch's own operators find out.
    """
    traced = torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()
    if traced or ids.device.type != "cpu" or ids.numel() == 0:
        return
    smallest, largest = (int(value) for value in ids.aminmax())
    if smallest < 0 or largest >= size:
        wrong = next(value for value in ids.flatten().tolist() if not 0 <= value < size)
        raise IndexError(f"ids should be from 0 to {size - 1}, got {wrong}")
