"""Norm and update rules written out with torch's operators, one tensor at a time, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from longhold.kernels.extension import loaded
from longhold.kernels.optimizer import Leaf, adamw, gradient_norm, sgd, takes
from tests.kernels.sequences import machine

SETS = loaded().instruction_sets()
SHAPES = [(1,), (7,), (16,), (5, 33), (0,), (130, 131), (3, 1)]
SGD_RATES = [(0.5, 0.0, 0.0), (0.3, 0.1, 0.0), (0.3, 0.1, 0.9)]  # lr, weight decay, momentum
ADAMW_RATES = [(0.01, 0.0, 0.9, 0.999, 1e-8, 1.0), (0.3, 0.2, 0.5, 0.8, 1e-3, 7.0)]


def leaves(rates: tuple[float, ...], dtype: torch.dtype = torch.float64, first: bool = True) -> list[Leaf]:
    """Leaves of several sizes: empty ones, shorter than a vector, and longer than what one thread takes at once."""
    found = []
    for shape in SHAPES:
        value, gradient, mean, square = torch.randn((4, *shape), dtype=torch.float64).to(dtype)
        found.append(Leaf(value.clone(), gradient.clone(), rates, mean.clone() if first else None, square.square()))
    return found


def copied(given: list[Leaf], dtype: torch.dtype) -> list[Leaf]:
    def copy(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.to(dtype, copy=True)

    return [Leaf(copy(a), copy(b), rates, copy(c), copy(d)) for a, b, rates, c, d in given]  # type: ignore[arg-type]


def slow_sgd(leaf: Leaf, scale: float) -> None:
    lr, decay, momentum = leaf.rates
    gradient = leaf.gradient * scale + decay * leaf.value
    if leaf.first is not None:
        gradient = leaf.first.copy_(momentum * leaf.first + gradient)
    leaf.value.sub_(lr * gradient)


def slow_adamw(leaf: Leaf, scale: float) -> None:
    lr, decay, b1, b2, eps, step = leaf.rates
    assert leaf.first is not None
    assert leaf.second is not None
    gradient = leaf.gradient * scale
    leaf.first.copy_(b1 * leaf.first + (1 - b1) * gradient)
    leaf.second.copy_(b2 * leaf.second + (1 - b2) * gradient.square())
    mean, square = leaf.first / (1 - b1**step), leaf.second / (1 - b2**step)
    leaf.value.copy_(leaf.value * (1 - lr * decay) - lr * mean / (square.sqrt() + eps))


CASES = [
    *((sgd, slow_sgd, rates) for rates in SGD_RATES),
    *((adamw, slow_adamw, rates) for rates in ADAMW_RATES),
]


@pytest.mark.parametrize(("fast", "slow", "rates"), CASES)
@pytest.mark.parametrize("scale", [1.0, 0.37])
@pytest.mark.parametrize(("dtype", "ulp"), [(torch.float64, 8), (torch.float32, 8)])
def test_updates(
    fast: object, slow: object, rates: tuple[float, ...], scale: float, dtype: torch.dtype, ulp: int
) -> None:
    given = leaves(rates, dtype, first=fast is adamw or rates[-1] != 0)
    expected = copied(given, torch.float64)
    for leaf in expected:
        slow(leaf, scale)  # type: ignore[operator]
    for name in SETS:
        for threads in (1, 2, 3):
            found = copied(given, dtype)
            with machine(threads, name):
                fast(found, scale)  # type: ignore[operator]
            for ours, theirs, before in zip(found, expected, given, strict=True):
                assert torch.equal(ours.gradient, before.gradient)
                for field in ("value", "first", "second"):
                    value, answer = getattr(ours, field), getattr(theirs, field)
                    if value is not None and value.numel():
                        error, largest = (value.double() - answer).abs().max(), answer.abs().max()
                        assert error <= ulp * torch.finfo(dtype).eps * max(1.0, largest), f"{field} {name} {threads}"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_norm(dtype: torch.dtype) -> None:
    given = leaves((0.0,), dtype)
    exact = math.sqrt(sum(leaf.gradient.double().square().sum().item() for leaf in given))
    found = []
    for name in SETS:
        for threads in (1, 2, 3):
            with machine(threads, name):
                found.append(gradient_norm(given))
    assert found == pytest.approx([exact] * len(found), rel=1e-13)
    per_set = [found[i : i + 3] for i in range(0, len(found), 3)]
    assert all(len(set(norms)) == 1 for norms in per_set), "it depends on the threads"


def test_the_norm_of_huge_tiny_and_broken_gradients() -> None:
    def norm(*numbers: float) -> float:
        gradient = torch.tensor(numbers)
        return gradient_norm([Leaf(torch.zeros_like(gradient), gradient, (0.0,))])

    assert norm(3e30, -4e30) == pytest.approx(5e30)
    assert norm(3e-30, 4e-30) == pytest.approx(5e-30)
    assert norm(0.0, 0.0) == 0
    assert math.isnan(norm(1.0, math.nan))
    assert norm(1.0, -math.inf) == math.inf


def test_the_bits_do_not_depend_on_the_threads() -> None:
    for update, rates in ((sgd, SGD_RATES[2]), (adamw, ADAMW_RATES[1])):
        given, found = leaves(rates, torch.float32), []
        for threads in (1, 2, 3, 1):
            mine = copied(given, torch.float32)
            with machine(threads):
                update(mine, 0.7)
            found.append(mine)
        for other in found[1:]:
            assert all(torch.equal(a.value, b.value) for a, b in zip(found[0], other, strict=True))


def test_what_it_takes() -> None:
    dense = leaves(SGD_RATES[2])
    assert takes(dense)
    value = torch.randn(4, 6)
    wrong = [
        Leaf(value.bfloat16(), value.bfloat16(), SGD_RATES[0]),
        Leaf(value.T, value.clone().T, SGD_RATES[0]),
        Leaf(value, value.T.contiguous().T, SGD_RATES[0]),
        Leaf(value, value.to_sparse(), SGD_RATES[0]),
        Leaf(value, value.double(), SGD_RATES[0]),
        Leaf(value, value.clone(), SGD_RATES[0], value.double()),
        Leaf(value.to("meta"), value.to("meta"), SGD_RATES[0]),
        Leaf(value, torch._neg_view(value.clone()), SGD_RATES[0]),
        Leaf(torch._neg_view(value.clone()), value, SGD_RATES[0]),
        Leaf(value, torch._efficientzerotensor((4, 6)), SGD_RATES[0]),
        Leaf(value, torch.zeros(6, 4), SGD_RATES[0]),
        Leaf(value, value.clone(), SGD_RATES[0], torch.zeros(4, 5)),
        Leaf(value, value.clone(), SGD_RATES[0], value),
        Leaf(value, value, SGD_RATES[0]),
        Leaf(value[:3], value[1:], SGD_RATES[0]),
        Leaf(value, _released(value.clone()), SGD_RATES[0]),
    ]
    for leaf in wrong:
        assert not takes([leaf]), leaf
    good = Leaf(value, value.clone(), SGD_RATES[0])
    assert takes([good])
    assert takes([Leaf(value[:2], value[2:].clone(), SGD_RATES[0]), Leaf(value[2:], value[2:].clone(), SGD_RATES[0])])
    assert not takes([Leaf(value[:3], value[1:].clone(), SGD_RATES[0]), good]), "one lies in the other"
    other = torch.float32 if dense[0].value.dtype == torch.float64 else torch.float64
    assert not takes([*dense, Leaf(value.to(other), value.clone().to(other), SGD_RATES[2])]), "two types"


def _released(tensor: Tensor) -> Tensor:
    tensor.untyped_storage().resize_(0)
    return tensor


def test_a_graph_that_saved_the_old_weights_is_not_used_with_the_new() -> None:
    weight = torch.randn(3, requires_grad=True)
    loss = (weight * weight).sum()
    sgd([Leaf(weight.detach(), torch.ones(3), SGD_RATES[0])], 1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
