"""The output layer with its loss, against torch's linear layer and cross-entropy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.func import grad, jvp, vmap
from torch.utils._python_dispatch import TorchDispatchMode

import longhold.kernels.loss as module
from longhold.kernels.extension import loaded
from longhold.kernels.loss import linear_cross_entropy
from tests.helpers import assert_all_close, assert_close, assert_no_worse
from tests.kernels.sequences import machine

SETS = loaded().instruction_sets()
SIZES = [(1, 1, 1), (3, 2, 5), (7, 5, 16), (40, 9, 28), (33, 4, 33), (300, 3, 1000), (129, 2, 7)]  # N, H, V
Loss = Callable[..., Tensor]


def by_torch(
    features: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, ignore_index: int = -100
) -> Tensor:
    return F.cross_entropy(F.linear(features, weight, bias), targets, ignore_index=ignore_index)


def drawn(size: tuple[int, int, int], dtype: torch.dtype = torch.float64, ignored: bool = True) -> dict[str, Tensor]:
    rows, width, vocabulary = size
    targets = torch.randint(0, vocabulary, (rows,))
    if ignored and rows > 1:
        targets[torch.rand(rows) < 0.3] = -100
        targets[0], targets[-1] = 0, -100
    values = {"features": (rows, width), "weight": (vocabulary, width), "bias": (vocabulary,)}
    leaves = {name: torch.randn(shape, dtype=dtype, requires_grad=True) for name, shape in values.items()}
    return leaves | {"targets": targets}


def with_gradients(loss: Loss, given: dict[str, Tensor], scale: float = 1.0) -> dict[str, Tensor]:
    nats = loss(**given)
    leaves = {name: value for name, value in given.items() if value is not None and value.requires_grad}
    gradients = torch.autograd.grad(nats * scale, list(leaves.values()))
    return {"nats": nats.detach()} | {f"d_{name}": g for name, g in zip(leaves, gradients, strict=True)}


@pytest.fixture(autouse=True)
def blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small cases go to the kernel too."""
    monkeypatch.setattr(module, "BLOCK_BYTES", 0)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_ROWS", 13)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("scale", [1.0, -2.5])
def test_loss_and_gradients_are_torchs(size: tuple[int, int, int], scale: float, nan_memory: None) -> None:
    given = drawn(size)
    expected = with_gradients(by_torch, given, scale)
    for name in SETS:
        for threads in (1, 2, 3):
            with machine(threads, name):
                assert_all_close(with_gradients(linear_cross_entropy, given, scale), expected, f"{name} {threads}")


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_in_many_blocks_and_without_a_bias(size: tuple[int, int, int], small_blocks: None, nan_memory: None) -> None:
    given: dict[str, Any] = drawn(size)
    assert_all_close(with_gradients(linear_cross_entropy, given), with_gradients(by_torch, given))
    given["bias"] = None
    assert_all_close(with_gradients(linear_cross_entropy, given), with_gradients(by_torch, given))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_float32_is_at_most_twice_torchs_error(size: tuple[int, int, int]) -> None:
    single = drawn(size, torch.float32)
    double = {n: v.detach().double().requires_grad_() if v.is_floating_point() else v for n, v in single.items()}
    exact, torchs = with_gradients(by_torch, double), with_gradients(by_torch, single)
    for name in SETS:
        with machine(1, name):
            for key, value in with_gradients(linear_cross_entropy, single).items():
                assert_no_worse(f"{key} {name}", value, torchs[key], exact[key])


def test_only_the_gradients_that_are_needed() -> None:
    given = drawn((20, 4, 9))
    expected = with_gradients(by_torch, given)
    for name in ("features", "weight", "bias"):
        only = {n: v.detach() for n, v in given.items()} | {name: given[name]}
        found = with_gradients(linear_cross_entropy, only)
        assert_all_close(found, {"nats": expected["nats"], f"d_{name}": expected[f"d_{name}"]})
    frozen = {n: v.detach() for n, v in given.items()}
    assert not linear_cross_entropy(**frozen).requires_grad
    with torch.no_grad():
        nats = linear_cross_entropy(**given)
    assert not nats.requires_grad
    assert_close("nats", nats, expected["nats"])


def test_strided_arguments_and_another_ignored_target() -> None:
    given = drawn((20, 4, 9), ignored=False)
    given["targets"][3] = given["targets"][7] = 5
    strided = {
        n: v.detach().repeat_interleave(2, 0)[::2].requires_grad_(v.requires_grad)
        if v.dim() == 1
        else v.detach().T.contiguous().T
        for n, v in given.items()
    }
    strided = {n: v.requires_grad_(given[n].requires_grad) for n, v in strided.items()}
    assert not any(v.is_contiguous() for v in strided.values())
    expected = with_gradients(lambda **g: by_torch(**g, ignore_index=5), given)
    assert_all_close(with_gradients(lambda **g: linear_cross_entropy(**g, ignore_index=5), strided), expected)


def test_a_second_backward_pass_over_a_kept_graph() -> None:
    given = drawn((20, 4, 9))
    leaves = [given[name] for name in ("features", "weight", "bias")]
    nats = linear_cross_entropy(**given)
    nats.backward(retain_graph=True)
    first = [leaf.grad.clone() for leaf in leaves]  # type: ignore[union-attr]
    for leaf in leaves:
        leaf.grad.mul_(3)  # type: ignore[union-attr]
    nats.backward()
    for leaf, gradient in zip(leaves, first, strict=True):
        assert_close("3 + 1 times", leaf.grad, 4 * gradient)  # type: ignore[arg-type]


def test_derivatives_match_finite_differences(small_blocks: None) -> None:
    given = drawn((15, 3, 4))
    targets = given.pop("targets")

    def call(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return linear_cross_entropy(features, weight, bias, targets)

    assert gradcheck(call, tuple(given.values()))
    assert gradgradcheck(call, tuple(given.values()))


def test_a_third_derivative_is_torchs() -> None:
    given = drawn((6, 3, 4))

    def third(loss: Loss) -> Tensor:
        total = loss(**given)
        for _ in range(3):
            (gradient,) = torch.autograd.grad(total, given["weight"], create_graph=True)
            total = gradient.square().sum()
        return gradient.detach()

    assert_close("third", third(linear_cross_entropy), third(by_torch))


@pytest.mark.parametrize("wrong", [-1, 9, 2**40])
def test_a_target_out_of_bounds(wrong: int) -> None:
    given = drawn((20, 4, 9))
    given["targets"][4] = wrong
    for loss in (linear_cross_entropy, by_torch):
        with pytest.raises(IndexError, match=f"^Target {wrong} is out of bounds.$"):
            loss(**given)


def test_no_target_at_all_gives_nan_and_zero_gradients() -> None:
    given = drawn((5, 3, 4))
    given["targets"][:] = -100
    found, expected = with_gradients(linear_cross_entropy, given), with_gradients(by_torch, given)
    assert found["nats"].isnan()
    assert expected["nats"].isnan()
    for name in ("d_features", "d_weight", "d_bias"):
        assert torch.equal(found[name], expected[name])


@pytest.mark.parametrize("size", [(3, 1, 5), (3, 1, 16), (3, 1, 37)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_logits_far_out(size: tuple[int, int, int], dtype: torch.dtype) -> None:
    given = drawn(size, dtype, ignored=False)
    for values in ([1e4, -1e4], [-1e30, 1.0], [88.0, -104.0], [math.inf, 0.0], [math.nan, 0.0], [-math.inf, 2.0]):
        given["weight"] = torch.zeros(size[2], 1, dtype=dtype)
        given["weight"][:2, 0] = torch.tensor(values, dtype=dtype)
        given["features"] = torch.ones(3, 1, dtype=dtype)
        given["targets"] = torch.tensor([0, 1, 2])
        found, expected = (with_gradients(loss, given) for loss in (linear_cross_entropy, by_torch))
        for name, value in found.items():
            torch.testing.assert_close(
                value, expected[name], equal_nan=True, rtol=1e-5, atol=1e-7, msg=f"{values} {name}"
            )


class Largest(TorchDispatchMode):
    """Notes the most numbers that any operator's result holds."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple) else (result,):
            self.numbers = max(self.numbers, value.numel() if isinstance(value, Tensor) else 0)
        return result


def test_the_logits_of_all_rows_never_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", 4096)
    monkeypatch.setattr(module, "LEAST_ROWS", 8)
    rows, width, vocabulary = 400, 3, 50
    given = drawn((rows, width, vocabulary), torch.float32)
    found = []
    for loss in (linear_cross_entropy, by_torch):
        with Largest() as largest:
            loss(**given).backward()
        found.append(largest.numbers)
    assert found[0] == max(4096 // (4 * vocabulary) * vocabulary, rows * width)
    assert found[1] == rows * vocabulary


def test_the_same_bits_every_time() -> None:
    """The product is torch's, which may round differently on another number of threads; not on the same."""
    given = drawn((500, 20, 300), torch.float32)
    for threads in (1, 2, 3):
        with machine(threads):
            once, again = (with_gradients(linear_cross_entropy, given) for _ in range(2))
        assert all(torch.equal(again[name], value) for name, value in once.items())


@pytest.mark.parametrize("name", SETS)
def test_what_is_made_of_the_logits_has_the_same_bits_on_any_number_of_threads(name: str) -> None:
    rows, size = 500, 300
    drawn_logits, targets = torch.randn(rows, size), torch.randint(size, (rows,))
    found = []
    for threads in (1, 2, 3, 1):
        logits, nats = drawn_logits.clone(), torch.empty(rows, dtype=torch.float64)
        at = (targets.data_ptr(), -100, logits.data_ptr(), nats.data_ptr())
        with machine(threads, name):
            loaded().loss_block_float(rows, size, *at, 1 / rows, threads)
        found.append((logits, nats))
    assert_close("nats", found[0][1].float(), F.cross_entropy(drawn_logits, targets, reduction="none"))
    assert all(torch.equal(a, b) for other in found[1:] for a, b in zip(other, found[0], strict=True))


def test_logits_that_fit_in_a_block_are_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    given = drawn((20, 4, 9))
    monkeypatch.setattr(module, "BLOCK_BYTES", 20 * 9 * 8)
    assert linear_cross_entropy(**given).grad_fn.name().startswith("NllLoss")  # type: ignore[union-attr]
    monkeypatch.setattr(module, "BLOCK_BYTES", 20 * 9 * 8 - 1)
    assert linear_cross_entropy(**given).grad_fn.name().startswith("_LinearCrossEntropy")  # type: ignore[union-attr]


def test_elsewhere_it_is_torchs() -> None:
    given = drawn((20, 4, 9), torch.float32)
    half = {n: v.detach().bfloat16().requires_grad_() if v.is_floating_point() else v for n, v in given.items()}
    assert_all_close(with_gradients(linear_cross_entropy, half), with_gradients(by_torch, half))
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = linear_cross_entropy(**given), by_torch(**given)
    assert torch.equal(found, expected)
    meta = {n: v.detach().to("meta") for n, v in given.items()}
    assert linear_cross_entropy(**meta).is_meta
    features, weight, bias, targets = (v.detach() for v in given.values())
    many = torch.stack([features, 2 * features])
    found, expected = (vmap(lambda x, f=f: f(x, weight, bias, targets))(many) for f in (linear_cross_entropy, by_torch))
    assert_close("vmap", found, expected)
    found, expected = (
        grad(lambda w, f=f: f(features, w, bias, targets))(weight) for f in (linear_cross_entropy, by_torch)
    )
    assert_close("grad", found, expected)
    tangent = torch.randn_like(weight)
    found, expected = (
        jvp(lambda w, f=f: f(features, w, bias, targets), (weight,), (tangent,))[1]
        for f in (linear_cross_entropy, by_torch)
    )
    assert_close("jvp", found, expected)


def test_compiled_whole() -> None:
    given = drawn((20, 4, 9))
    torch._dynamo.reset()
    compiled = torch.compile(linear_cross_entropy, fullgraph=True, backend="aot_eager")
    assert_all_close(with_gradients(compiled, given), with_gradients(by_torch, given))
    torch._dynamo.reset()
