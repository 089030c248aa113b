from __future__ import annotations

import ctypes
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from longhold.kernels.addresses import address, check_memory, hand_over, is_plain, lend, memory_of, overlap, with_memory


def read(place: int, shape: tuple[int, ...]) -> Tensor:
    """The float32 numbers at an address, by ctypes."""
    size = math.prod(shape)
    return torch.tensor((ctypes.c_float * size).from_address(place)[:]).view(shape)


LAZY: dict[str, Callable[[Tensor], Tensor]] = {
    "negative": lambda t: torch._neg_view(-t),
    "imaginary": lambda t: torch.complex(t, -t).conj().imag,
    "transposed": lambda t: t.T.contiguous().T,
    "spread": lambda t: torch.stack([t, t], -1)[..., 1],
    "flipped twice": lambda t: t.flip(0).flip(0),
    "negative part": lambda t: torch._neg_view(-torch.cat([t, t]))[3:],
}


@pytest.mark.parametrize("way", LAZY)
def test_what_is_lent_holds_the_tensor_s_numbers(way: str) -> None:
    numbers = torch.randn(3, 4)
    strange = LAZY[way](numbers.clone())
    assert torch.equal(strange, numbers)
    (place, none), copies = lend([strange, None])
    assert torch.equal(read(place, (3, 4)), numbers)
    assert none == 0
    assert len(copies) == (0 if way == "flipped twice" else 1)


def test_an_ordinary_tensor_is_lent_as_it_is() -> None:
    whole = torch.randn(5, 4)
    for tensor in (whole, whole[2:], torch.nn.Parameter(whole), whole[1]):
        (place,), copies = lend([tensor])
        assert place == address(tensor) == tensor.data_ptr() != 0
        assert not copies
    assert lend([torch.empty(0, 3)]) == ([0], [])


@pytest.mark.parametrize("part", [slice(None), slice(1, None)], ids=["whole", "a part"])
def test_zeros_that_lie_nowhere_are_written_down(part: slice) -> None:
    zeros = torch._efficientzerotensor((3, 4))[part]
    assert address(zeros) == 0
    (place,), copies = lend([zeros])
    assert torch.equal(read(place, tuple(zeros.shape)), torch.zeros(zeros.shape))
    assert len(copies) == 1
    with pytest.raises(RuntimeError, match="written into"):
        hand_over([zeros])


def released(tensor: Tensor, size: int = 0) -> Tensor:
    tensor.untyped_storage().resize_(size)
    return tensor


NOWHERE: dict[str, tuple[Callable[[], Tensor], str]] = {
    "meta": (lambda: torch.randn(3, 4, device="meta"), "is on meta"),
    "a part of meta": (lambda: torch.randn(3, 4, device="meta")[1:], "is on meta"),
    "released": (lambda: released(torch.randn(3, 4)), "too small for it, or was released"),
    "cut short": (lambda: released(torch.randn(3, 4), 47), "too small for it, or was released"),
    "transposed and cut short": (lambda: released(torch.randn(4, 3).T, 44), "too small for it, or was released"),
    "sparse": (lambda: torch.eye(3).to_sparse(), "layout torch.sparse_coo"),
}


@pytest.mark.parametrize("way", NOWHERE)
def test_what_is_not_in_memory_is_refused(way: str) -> None:
    make, message = NOWHERE[way]
    for take in (lend, hand_over):
        with pytest.raises(RuntimeError, match=message):
            take([make()])


@pytest.mark.parametrize("way", ["released", "cut short", "transposed and cut short"])
def test_torch_is_kept_from_reading_what_is_not_there(way: str) -> None:
    with pytest.raises(RuntimeError, match="too small for it, or was released"):
        check_memory([None, torch.randn(3), NOWHERE[way][0]()])
    check_memory([torch.randn(3, device="meta"), torch.eye(3).to_sparse(), torch._efficientzerotensor((2, 3))])


@pytest.mark.parametrize("way", ["negative", "imaginary", "transposed", "spread"])
def test_only_what_is_dense_and_as_it_lies_is_written(way: str) -> None:
    strange = LAZY[way](torch.randn(3, 4))
    assert not is_plain(strange)
    with pytest.raises(RuntimeError, match="written into"):
        hand_over([torch.randn(2), strange])
    assert is_plain(torch.randn(3, 4))
    assert not is_plain(torch.randn(3, 4)[:1].expand(3, 4))


def test_overlap() -> None:
    whole, other = torch.randn(10), torch.randn(10)
    assert not overlap([whole[:5], whole[5:]], [other])
    assert overlap([whole[:6], whole[5:]])
    assert overlap([whole], [whole[3:4]])
    assert overlap([whole[3:4]], [whole])
    assert not overlap([whole[:3]], [whole[3:], whole[4:]])
    assert not overlap([], [whole, whole])
    assert overlap([other, whole[8:]], [whole[:2], whole[:9]])


def test_memory_is_the_same_only_with_the_same_sign() -> None:
    whole = torch.randn(4)
    assert memory_of(whole) == memory_of(whole.detach())
    assert memory_of(whole) != memory_of(torch._neg_view(whole))
    assert memory_of(whole) != memory_of(whole[1:])


def test_zero_tensors_get_memory_and_stay_in_the_graph() -> None:
    zeros = torch._efficientzerotensor((3,)).requires_grad_()
    (given,) = with_memory([zeros])
    assert not given._is_zerotensor()
    (gradient,) = torch.autograd.grad(given.sum(), zeros)
    assert torch.equal(gradient, torch.ones(3))
