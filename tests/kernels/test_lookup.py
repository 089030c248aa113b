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
from longhold.kernels.lookup import check_ids, one_hot
from tests.helpers import assert_all_close, assert_no_worse
from tests.kernels.sequences import KINDS, Case, Sequence, by_operator, by_reference, draw, machine, to, with_gradients

SETS = loaded().instruction_sets()
RICH: dict[str, Any] = {"lengths": True, "reset": True, "mask": True}


@pytest.mark.parametrize("wrong", [-1, 5, 2**40, -(2**62)])
@pytest.mark.parametrize("place", [0, 11])
def test_an_id_that_is_none_is_named(wrong: int, place: int) -> None:
    ids = torch.randint(0, 5, (3, 4))
    ids.view(-1)[place] = wrong
    line = re.escape(f"ids should be from 0 to 4, got {wrong}")
    with pytest.raises(IndexError, match=f"^{line}$"):
        check_ids(ids, 5)
    with pytest.raises(IndexError, match=f"^{line}$"):
        one_hot(ids, 5, torch.ones(()))
    sequence = draw(Case("gru", T=3, B=4, I=5))._replace(input=ids)
    with pytest.raises(IndexError, match=f"^{line}$"):
        by_operator("gru", sequence)


@pytest.mark.parametrize("count", [9, 1500, 40_000])
def test_float32_sums_are_as_exact_as_torchs(count: int) -> None:
    case = Case("rnn_relu", T=count, B=1, H=20, I=3, dtype=torch.float32)
    ids = torch.randint(0, 3, (count, 1))
    weights = {"weight_ih": torch.ones(20, 3), "weight_hh": torch.zeros(20, 20)}
    sequence = draw(case)._replace(input=ids, bias_ih=None, bias_hh=None, **weights)
    weight = sequence.weight_ih.requires_grad_()
    upstream = torch.rand(count, 1, 20) + 1  # sums that grow
    (d_weight,) = torch.autograd.grad(by_operator("rnn_relu", sequence)["h"], weight, upstream)
    rows = F.one_hot(ids, 3).flatten(0, 1)
    torchs = upstream.flatten(0, 1).T @ rows.float()
    assert_no_worse("d_weight_ih", d_weight, torchs, upstream.double().flatten(0, 1).T @ rows.double())


@pytest.mark.parametrize("size", [3, 300, 5000])
@pytest.mark.parametrize("threads", [1, 3])
def test_few_ids_and_many(size: int, threads: int) -> None:
    ids, dense = with_ids(Case("gru", T=7, B=5, H=18, I=size, lengths=True, reset=True, reverse=True))
    with machine(threads):
        assert_all_close(gradients(by_operator, "gru", ids), gradients(by_reference, "gru", dense), str(size))


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
    opcheck(operator, (*sequence, 1))
    h, c, h_n, c_n, gates, extra, _ = operator(*sequence, 1)
    upstream = [torch.randn_like(v).requires_grad_() if v.numel() else None for v in (h, c, h_n, c_n)]
    arguments = (*upstream, *(v.detach() for v in (h, c, gates, extra)), False, *sequence, 1)
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
