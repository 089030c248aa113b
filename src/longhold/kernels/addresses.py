"""Addresses of tensors for C++: the one place that takes them, and asks first whose memory it is.

C++ reads and writes numbers from an address on. So they have to lie in this process's memory, in full and one after
another, and as they are meant: a tensor can be on another device, its storage can have been given back, and a view can
stand for the negatives of what lies there (`is_neg`) or for zeros that lie nowhere.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

Tensors = Sequence[Tensor | None]

ORDINARY = (Tensor, torch.nn.Parameter)
"""Types of tensors that are nothing but their numbers; a subclass may have them elsewhere, or none."""

address_of_new = Tensor.data_ptr
"""Where the numbers of a tensor lie that has just been made here, on the CPU."""


def address(tensor: Tensor) -> int:
    """Where a tensor's numbers lie, if C++ may read and write them there as they are; else 0."""
    if not (tensor.is_cpu and tensor.is_contiguous()) or tensor.is_neg():
        return 0
    offset, bytes_held = tensor.storage_offset(), tensor.untyped_storage().nbytes()
    if offset == 0:
        return tensor.data_ptr() if bytes_held >= tensor.nbytes else 0
    before, found = offset * tensor.itemsize, tensor.data_ptr()
    return (
        found if bytes_held >= before + tensor.nbytes and found != before else 0
    )  # a part of what lies nowhere has one


def lend(tensors: Tensors) -> tuple[list[int], list[Tensor]]:
    """Where C++ reads each tensor's numbers, 0 for None; and copies of those whose numbers do not lie there as meant.

    The tensors and the copies have to be held until C++ has read them.

    Raises:
        RuntimeError: a tensor is on another device, or its memory is not there.
    """
    copies: list[Tensor] = []
    return [0 if t is None else address(t) or _copied(t, copies) for t in tensors], copies


def hand_over(tensors: Tensors) -> list[int]:
    """Where C++ writes each tensor's numbers, 0 for None. The tensors have to be held until it has.

    Raises:
        RuntimeError: what is written there would not be the tensor's numbers.
    """
    addresses, copies = lend(tensors)
    if copies:
        raise RuntimeError(f"a tensor of shape {tuple(copies[0].shape)} is written into, but its memory is not its own")
    return addresses


def of_new(tensors: Tensors) -> list[int]:
    """`address_of_new` of each, 0 for None."""
    return [0 if t is None else t.data_ptr() for t in tensors]


def check_memory(tensors: Tensors) -> None:
    """RuntimeError where the storage of a tensor on the CPU was released or cut short: torch would read beyond it."""
    if torch.compiler.is_compiling():
        return
    for tensor in tensors:
        if tensor is None or type(tensor) not in ORDINARY:
            continue
        if tensor.is_cpu and torch._C._has_storage(tensor) and not address(tensor):
            _check(tensor)


def seem_somewhere(tensors: Tensors) -> bool:
    """Whether tensors have addresses, on whatever device: a quick look where torch's operators will read them."""
    try:
        return 0 not in [1 if tensor is None else tensor.data_ptr() for tensor in tensors]
    except RuntimeError:  # no storage at all
        return False


def with_memory(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The same numbers, those of zero tensors in memory, which torch's oneDNN operators read without asking."""
    if torch.compiler.is_compiling():
        return list(tensors)
    return [tensor.clone() if tensor._is_zerotensor() else tensor for tensor in tensors]


def is_plain(tensor: Tensor) -> bool:
    """Whether a tensor is an ordinary one whose numbers C++ may read and write in place."""
    return (
        type(tensor) in ORDINARY
        and tensor.layout == torch.strided
        and not tensor.is_nested
        and (address(tensor) != 0 or tensor.numel() == 0)
    )


def lies_in_memory(tensor: Tensor | None) -> bool:
    """Whether a tensor has a storage; one that stands for a batch of gradients has none."""
    return tensor is None or torch._C._has_storage(tensor)


def overlap(written: Sequence[Tensor], read: Sequence[Tensor] = ()) -> bool:
    """Whether something that is written lies in the memory of something else, of plain tensors."""
    spans = [(t.data_ptr(), t.data_ptr() + t.nbytes, True) for t in written]
    spans += [(t.data_ptr(), t.data_ptr() + t.nbytes, False) for t in read]
    spans.sort()
    end, end_of_written = 0, 0
    for begin, stop, is_written in spans:
        if begin < (end if is_written else end_of_written):
            return True
        end = max(end, stop)
        end_of_written = max(end_of_written, stop) if is_written else end_of_written
    return False


def memory_of(tensor: Tensor) -> tuple[object, ...]:
    """What two tensors have in common exactly if they are the same numbers in the same memory."""
    lazily = (tensor.is_neg(), tensor.is_conj())
    return tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride(), lazily


def _copied(tensor: Tensor, copies: list[Tensor]) -> int:
    """The address of the numbers that a tensor stands for, in a copy that is added to `copies`; 0 where it has none."""
    _check(tensor)
    if tensor.numel() == 0:
        return 0
    copy = tensor.new_zeros(tensor.shape) if tensor._is_zerotensor() else tensor.resolve_neg().contiguous()
    copies.append(copy)
    place = address(copy)
    if place == 0:
        raise RuntimeError(
            f"a {type(tensor).__name__} of shape {tuple(tensor.shape)} has no memory that C++ could read"
        )
    return place


def _check(tensor: Tensor) -> None:
    of_shape = f"a tensor of shape {tuple(tensor.shape)}"
    if not tensor.is_cpu:
        raise RuntimeError(f"{of_shape} is on {tensor.device}, and C++ reads the CPU's memory")
    if tensor.layout != torch.strided:
        raise RuntimeError(f"{of_shape} has layout {tensor.layout}, and C++ reads numbers that lie one after another")
    if not _is_whole(tensor):
        raise RuntimeError(f"the storage of {of_shape} is too small for it, or was released")


def _is_whole(tensor: Tensor) -> bool:
    """Whether a strided tensor's storage reaches to its last number."""
    if tensor.numel() == 0:
        return True
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.untyped_storage().nbytes() >= (tensor.storage_offset() + last + 1) * tensor.itemsize
