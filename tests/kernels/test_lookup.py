"""Token ids in the operators: what one-hot vectors with the same weights give, and what torch asks of an operator."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.library import opcheck

from longhold.kernels.extension import loaded
from longhold.kernels.lookup import check_ids, input_gradients, input_share, one_hot
from tests.helpers import assert_all_close, assert_close, assert_no_worse
from tests.kernels.sequences import KINDS, Case, Sequence, by_operator, by_reference, draw, machine, to, with_gradients

SETS = loaded().instruction_sets()
RICH: dict[str, Any] = {"lengths": True, "reset": True, "mask": True}
SIZES = [(1, 1, 1, 1), (3, 5, 7, 9), (5, 2, 1, 17), (4, 3, 40, 16), (7, 9, 3, 100), (2, 2, 5000, 33)]  # T, B, I, width


def shares(size: tuple[int, ...], dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Ids, weight, bias and a gradient of the share."""
    steps, batch, inputs, width = size
    ids = torch.randint(0, inputs, (steps, batch))
    weight, bias = torch.randn(width, inputs, dtype=dtype), torch.randn(width, dtype=dtype)
    return ids, weight, bias, torch.randn(steps, batch, width, dtype=dtype)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_share_is_the_one_hot_product(
    size: tuple[int, ...], has_bias: bool, dtype: torch.dtype, nan_memory: None
) -> None:
    ids, weight, bias, _ = shares(size, dtype)
    given = bias if has_bias else None
    expected = F.linear(F.one_hot(ids, size[2]).to(dtype), weight, given)
    for name in SETS:
        for threads in (1, 2, 3):
            with machine(threads, name):
                assert torch.equal(input_share(ids, weight, given), expected), f"{name} {threads}"


@pytest.mark.parametrize("size", [*SIZES, (700, 3, 2, 40)], ids=str)  # the last one is summed in runs
@pytest.mark.parametrize("has_bias", [False, True])
def test_gradients_are_those_of_the_one_hot_product(size: tuple[int, ...], has_bias: bool, nan_memory: None) -> None:
    ids, weight, _, d_gates = shares(size)
    flat, rows = d_gates.flatten(0, 1), F.one_hot(ids, size[2]).double().flatten(0, 1)
    for name in SETS:
        for threads in (1, 2, 3):
            with machine(threads, name):
                found = input_gradients(ids, weight, d_gates, needs_input=False, has_bias=has_bias)
            assert found[0].numel() == 0
            assert_close(f"d_weight_ih {name} {threads}", found[1], flat.T @ rows)
            assert_close("d_bias_ih", found[2], flat.sum(0) if has_bias else flat.new_empty(0))


@pytest.mark.parametrize("count", [9, 1500, 40_000])
def test_float32_sums_are_as_exact_as_torchs(count: int) -> None:
    ids, weight, _, d_gates = shares((count, 1, 3, 40), torch.float32)
    d_gates = d_gates + 1  # sums that grow
    rows = F.one_hot(ids, 3).flatten(0, 1)
    torchs = d_gates.flatten(0, 1).T @ rows.float()
    exact = d_gates.double().flatten(0, 1).T @ rows.double()
    _, d_weight, d_bias = input_gradients(ids, weight, d_gates, needs_input=False, has_bias=True)
    assert_no_worse("d_weight_ih", d_weight, torchs, exact)
    assert_no_worse("d_bias_ih", d_bias, d_gates.sum((0, 1)), d_gates.double().sum((0, 1)))


def test_any_number_of_threads_gives_the_same_bits() -> None:
    ids, weight, bias, d_gates = shares((300, 7, 11, 250), torch.float32)
    found = []
    for threads in (1, 2, 3, 1):
        with machine(threads):
            gradients = input_gradients(ids, weight, d_gates, needs_input=False, has_bias=True)
            found.append((input_share(ids, weight, bias), *gradients))
    assert all(torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True))


def test_strided_ids_and_weights() -> None:
    ids, weight, bias, d_gates = shares((4, 6, 5, 12))
    turned = ids.T.contiguous().T, weight.T.contiguous().T, bias.repeat_interleave(2)[::2]
    assert not turned[0].is_contiguous()
    assert torch.equal(input_share(*turned), input_share(ids, weight, bias))
    strided = d_gates.transpose(0, 2).contiguous().transpose(0, 2)
    pairs = (
        input_gradients(i, w, d, needs_input=False, has_bias=True)
        for i, w, d in ((turned[0], turned[1], strided), (ids, weight, d_gates))
    )
    assert all(torch.equal(a, b) for a, b in zip(*pairs, strict=True))


@pytest.mark.parametrize("wrong", [-1, 5, 2**40, -(2**62)])
@pytest.mark.parametrize("place", [0, 11])
def test_an_id_that_is_none_is_named(wrong: int, place: int) -> None:
    ids, weight, bias, d_gates = shares((3, 4, 5, 8))
    ids.view(-1)[place] = wrong
    line = re.escape(f"ids should be from 0 to 4, got {wrong}")
    with pytest.raises(IndexError, match=f"^{line}$"):
        input_share(ids, weight, bias)
    with pytest.raises(IndexError, match=f"^{line}$"):
        input_gradients(ids, weight, d_gates, needs_input=False, has_bias=True)
    with pytest.raises(IndexError, match=f"^{line}$"):
        check_ids(ids, 5)
    with pytest.raises(IndexError, match=f"^{line}$"):
        one_hot(ids, 5, weight)


def with_ids(case: Case) -> tuple[Sequence, Sequence]:
    """The same sequence with ids and with their one-hot vectors."""
    sequence = draw(case)
    ids = torch.randint(0, case.I, (case.T, case.B))
    dense = F.one_hot(ids, case.I).to(case.dtype)
    return sequence._replace(input=ids), sequence._replace(input=dense)


def gradients(run: Any, kind: str, sequence: Sequence) -> dict[str, Tensor]:
    """As `with_gradients`, of everything but the input."""
    if sequence.input.is_floating_point():
        sequence = sequence._replace(input=sequence.input.detach().requires_grad_())
        found = with_gradients(run, kind, sequence)
        return {name: value for name, value in found.items() if not name.startswith("d_input")}
    return with_gradients(run, kind, Floating(*sequence))


class Floating(Sequence):
    """A sequence whose ids count as no leaf."""

    @property
    def leaves(self) -> dict[str, Tensor]:
        return {name: value for name, value in super().leaves.items() if value.is_floating_point()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [{}, RICH, {**RICH, "reverse": True, "bias": False}, {"T": 1, "B": 1, "H": 1, "I": 1}, {"strided": True}],
    ids=str,
)
def test_an_operator_on_ids_is_the_one_on_one_hot_vectors(kind: str, options: dict[str, Any], nan_memory: None) -> None:
    ids, dense = with_ids(Case(kind, **options))
    expected = gradients(by_reference, kind, dense)
    assert_all_close(gradients(by_operator, kind, ids), expected, kind)
    assert_all_close(gradients(by_reference, kind, ids), expected, f"{kind} reference")


@pytest.mark.parametrize("kind", KINDS)
def test_float32_is_at_most_twice_torchs_error(kind: str) -> None:
    ids, dense = with_ids(Case(kind, T=40, B=9, H=65, I=28, **RICH, dtype=torch.float32))
    exact = gradients(by_reference, kind, to(dense, torch.float64))
    torchs = gradients(by_reference, kind, dense)
    for name, value in gradients(by_operator, kind, ids).items():
        assert_no_worse(name, value, torchs[name], exact[name])


CHEAP_CHECKS = ("test_schema", "test_autograd_registration", "test_faketensor")


@pytest.mark.parametrize("kind", KINDS)
def test_opcheck(kind: str) -> None:
    sequence, _ = with_ids(Case(kind, **RICH))
    operator = getattr(torch.ops.longhold, f"{kind}_forward").default
    opcheck(operator, tuple(sequence))
    h, c, h_n, c_n, gates, extra = operator(*sequence)
    upstream = [torch.randn_like(v).requires_grad_() if v.numel() else None for v in (h, c, h_n, c_n)]
    arguments = (*upstream, *(v.detach() for v in (h, c, gates, extra)), False, *sequence)
    opcheck(getattr(torch.ops.longhold, f"{kind}_backward").default, arguments, test_utils=CHEAP_CHECKS)


@pytest.mark.parametrize("kind", KINDS)
def test_derivatives_match_finite_differences(kind: str) -> None:
    sequence, _ = with_ids(Case(kind, T=4, B=2, H=3, I=2, **RICH))
    names, leaves = zip(*Floating(*sequence).leaves.items(), strict=True)

    def call(*values: Tensor) -> tuple[Tensor, ...]:
        return tuple(by_operator(kind, sequence._replace(**dict(zip(names, values, strict=True)))).values())

    assert gradcheck(call, leaves)
    assert gradgradcheck(call, leaves, fast_mode=True, atol=1e-4)


@pytest.mark.parametrize("ids", [torch.zeros(5, 3, 1, dtype=torch.int64), torch.zeros(5, 3, dtype=torch.int32)])
def test_ids_of_another_form_are_refused(ids: Tensor) -> None:
    sequence = draw(Case("gru"))._replace(input=ids)
    with pytest.raises(RuntimeError, match="input should have dtype"):
        by_operator("gru", sequence)
