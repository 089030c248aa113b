"""`checkpoint_every`: less memory, and the same bits where every product is the engine's own; or a refusal."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import longhold
from longhold.kernels.backends import BackendRefused
from longhold.kernels.operators import RECURRENCES
from tests.helpers import assert_all_close, assert_close
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
    lengths[3:4] = 0
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


@pytest.mark.parametrize(("kind", "kept"), [("rnn_tanh", 0), ("gru", 4), ("lstm", 4)])
def test_less_is_kept(kind: str, kept: int) -> None:
    """Beside h GRU's gates and q; the LSTM's gates and c but not h; each T * B * H. With checkpoints nearly h alone."""
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


OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "layer norm": ("gru", {"layer_norm": True}),
    "zoneout": ("rnn_tanh", {"zoneout": 0.3}),
    "gru of 2014": ("gru", {"reset_after": False, "recurrent_dropout": 0.2}),
    "everything": (
        "lstm",
        {"layer_norm": True, "peephole": True, "proj_size": 3, "zoneout": (0.1, 0.4), "learn_initial_state": True},
    ),
    "coupled": ("lstm", {"coupled_gates": True}),
}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("every", [1, 4, 5, 100])
@pytest.mark.parametrize("training", [True, False])
def test_options_in_chunks(option: str, backend: str, every: int, training: bool) -> None:
    kind, options = OPTIONS[option]
    layer = build(kind, 6, bidirectional=True, num_layers=2, dtype=torch.float64, **options).train(training)
    x, reset = torch.randn(13, 4, 6, dtype=torch.float64), torch.rand(13, 4) < 0.2
    lengths = torch.tensor([13, 3, 8, 0])
    for given in ({}, {"reset": reset}, {"lengths": lengths, "reset": reset}):
        with longhold.use_backend(backend):
            whole = everything(layer, x, **given)
            again = everything(layer, x, checkpoint_every=every, **given)
        assert_all_close(again, whole, f"{given.keys()}")
        if every > len(x):  # one chunk: each product has the same rows
            assert all(torch.equal(again[n], v) for n, v in whole.items() if n.startswith(("output", "end")))


def test_chunks_keep_little_and_have_second_derivatives() -> None:
    layer = longhold.LSTM(5, 7, layer_norm=True).double()
    x = torch.randn(400, 2, 5, dtype=torch.float64, requires_grad=True)

    def kept(**options: Any) -> int:
        sizes: list[int] = []
        hooks = torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t)
        with hooks:
            layer(x, **options)
        return sum(sizes)

    assert kept(checkpoint_every=20) < kept() / 4

    def penalty(**options: Any) -> Tensor:
        (first,) = torch.autograd.grad(layer(x, **options)[0].sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.pow(2).sum(), layer.weight_hh_l0)
        return second

    torch.testing.assert_close(penalty(checkpoint_every=70), penalty(), rtol=1e-9, atol=1e-9)


def test_torchs_operators_refuse() -> None:
    x = torch.randn(4, 2, 3)
    with longhold.use_backend("torch"), pytest.raises(BackendRefused, match="keep everything for the backward pass"):
        longhold.LSTM(3, 5)(x, checkpoint_every=2)
    half = longhold.GRU(3, 5, dtype=torch.bfloat16)
    assert_close("in bfloat16", half(x.bfloat16(), checkpoint_every=2)[0], half_by_reference(half, x))


def half_by_reference(layer: Any, x: Tensor) -> Tensor:
    """The whole sequence at once where no other backend keeps as little."""
    with longhold.use_backend("reference"):
        output: Tensor = layer(x.bfloat16())[0]
    return output


def test_a_transform_sees_through() -> None:
    layer, x = longhold.GRU(3, 5), torch.randn(4, 2, 3)
    found = torch.func.grad(lambda given: layer(given, checkpoint_every=2)[0].sum())(x)
    assert_all_close({"d_x": found}, {"d_x": torch.func.grad(lambda given: layer(given)[0].sum())(x)})


@pytest.mark.parametrize("wrong", [0, -3, 2.5, "8"])
def test_a_number_that_is_none(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"checkpoint_every should be an integer number of steps from 1, got"):
        longhold.LSTM(3, 5)(torch.randn(4, 2, 3), checkpoint_every=wrong)
