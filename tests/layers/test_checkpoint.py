"""`checkpoint_every`: the same bits from less memory, or a refusal."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import longhold
from longhold.kernels.backends import BackendRefused
from longhold.kernels.operators import RECURRENCES
from tests.kernels.sequences import machine

KINDS = tuple(RECURRENCES)


def build(kind: str, size: int, **options: Any) -> Any:
    """A layer of a kind."""
    if kind.startswith("rnn"):
        return longhold.RNN(size, size, nonlinearity=kind[4:], **options)
    return {"gru": longhold.GRU, "lstm": longhold.LSTM}[kind](size, size, **options)


def everything(layer: Any, x: Tensor, **options: Any) -> dict[str, Tensor]:
    """Outputs and all gradients."""
    layer.zero_grad()
    x = x.detach().requires_grad_()
    torch.manual_seed(1)  # of dropped units
    output, state = layer(x, **options)
    ends = [state] if isinstance(state, Tensor) else list(state)
    torch.autograd.backward([output, *ends], [torch.sin(torch.arange(v.numel())).view_as(v) for v in (output, *ends)])
    assert x.grad is not None
    found = {name: parameter.grad.clone() for name, parameter in layer.named_parameters()}
    return found | {"d_x": x.grad, "output": output.detach(), **{f"end{i}": e.detach() for i, e in enumerate(ends)}}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1100, 1, 17), (70, 33, 40), (40, 5, 150)], ids=str)
@pytest.mark.parametrize("every", [1, 2, 40, 600, 5000])
def test_checkpoints_change_no_bit(kind: str, size: tuple[int, int, int], every: int) -> None:
    steps, batch, hidden = size
    layer = build(kind, hidden, bidirectional=True, num_layers=2, recurrent_dropout=0.3)
    x = torch.randn(steps, batch, hidden)
    lengths = torch.randint(steps // 2, steps, (batch,))
    reset = torch.rand(steps, batch) < 0.05
    for threads in (1, 3):
        with machine(threads):
            whole = everything(layer, x, lengths=lengths, reset=reset)
            again = everything(layer, x, lengths=lengths, reset=reset, checkpoint_every=every)
        for name, value in whole.items():
            assert torch.equal(again[name], value), f"{threads} threads: {name}"


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_ids_are_looked_up_again(kind: str) -> None:
    layer = build(kind, 24).double()
    ids = torch.randint(0, 24, (600, 2))
    found = []
    for every in (None, 300):
        layer.zero_grad()
        layer(ids, checkpoint_every=every)[0].pow(2).sum().backward()
        found.append([parameter.grad.clone() for parameter in layer.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize(("kind", "kept"), [("rnn_tanh", 0), ("gru", 4), ("lstm", 5)])
def test_less_is_kept(kind: str, kept: int) -> None:
    """Beside h GRU's gates and q, the LSTM's gates and c, of T * B * H each; with checkpoints nearly nothing."""
    steps, hidden = 2048, 16
    layer, x = build(kind, hidden), torch.randn(steps, 1, hidden)

    def saved(**options: Any) -> int:
        sizes: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            sizes[tensor.data_ptr()] = tensor.numel()
            return tensor

        hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
        with hooks, longhold.use_backend("cpu"):
            layer(x, **options)
        return sum(sizes.values())

    assert saved() - saved(checkpoint_every=512) == (kept * steps - (4 if kind == "lstm" else 0)) * hidden


def test_second_derivatives_do_not_notice() -> None:
    layer, x = longhold.LSTM(5, 7).double(), torch.randn(9, 2, 5, dtype=torch.float64, requires_grad=True)

    def penalty(**options: Any) -> Tensor:
        (first,) = torch.autograd.grad(layer(x, **options)[0].sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.pow(2).sum(), layer.weight_hh_l0)
        return second

    torch.testing.assert_close(penalty(checkpoint_every=3), penalty(), rtol=1e-12, atol=1e-12)


def test_refused_where_nothing_is_computed_again() -> None:
    x = torch.randn(4, 2, 3)
    for layer in (longhold.LSTM(3, 5, layer_norm=True), longhold.GRU(3, 5, dtype=torch.bfloat16)):
        with pytest.raises(BackendRefused, match="checkpoint_every needs backend 'cpu'"):
            layer(x.to(layer.weight_ih_l0.dtype), checkpoint_every=2)
    for backend in ("torch", "reference"):
        with longhold.use_backend(backend), pytest.raises(BackendRefused, match="checkpoint_every"):
            longhold.LSTM(3, 5)(x, checkpoint_every=2)


@pytest.mark.parametrize("wrong", [0, -3, 2.5, "8"])
def test_a_number_that_is_none(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"checkpoint_every should be a whole number of steps from 1, got"):
        longhold.LSTM(3, 5)(torch.randn(4, 2, 3), checkpoint_every=wrong)
