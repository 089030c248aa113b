"""Strange tensors, at random: equal to torch.nn's or refused in one line, and no process ends."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import longhold
from longhold.kernels import use_backend
from tests.kernels.sequences import random_cases

CASES = random_cases(2000)


def test_strange_tensors_are_read_as_meant_or_refused() -> None:
    """`LONGHOLD_RANDOM_CASES` of them, in a process of their own, which says what it does before it does it."""
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.layers.strange", "0", str(CASES)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = run.stdout.splitlines()
    assert run.returncode == 0, f"ended in {[line for line in lines if line.startswith('case')][-1]}\n{run.stderr}"
    failures = [f"{lines[i - 1]}\n{line}" for i, line in enumerate(lines) if line.startswith("FAILED")]
    assert not failures, "\n".join(failures)
    assert lines[-1] == f"{CASES} cases, 0 failed"


def test_the_issue_s_examples() -> None:
    z = torch.fft.rfft(torch.randn(16)).conj()[3:4].imag.reshape(1, 1, 1)
    layer = longhold.GRU(1, 4)
    assert z.is_neg()
    assert torch.equal(layer(z)[0], layer(z.resolve_neg())[0])
    x = torch.randn(5, 2, 3)
    for options in ({}, {"layer_norm": True}):
        with pytest.raises(RuntimeError, match="found input tensor at cpu and parameter tensor at meta"):
            longhold.GRU(3, 4, device="meta", **options)(x)
        with pytest.raises(RuntimeError, match="found input tensor at cpu and hidden tensor at meta"):
            longhold.GRU(3, 4, **options)(x, torch.ones(1, 2, 4, device="meta"))
    with pytest.raises(RuntimeError, match="is on meta"):
        longhold.GRU(3, 4).stream(batch=2).step(x[0].to("meta"))


@pytest.mark.parametrize("name", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("options", [{}, {"layer_norm": True}], ids=str)
@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_on_meta_there_are_shapes(name: str, options: dict[str, bool], mode: type) -> None:
    layer = getattr(longhold, name)(3, 4, 2, bidirectional=True, device="meta", **options)
    twin = getattr(torch.nn, name)(3, 4, 2, bidirectional=True, device="meta")
    x = torch.randn(5, 2, 3, device="meta")
    with mode():
        (output, state), (expected, expected_state) = layer(x), twin(x)
    assert (output.shape, output.device) == (expected.shape, expected.device)
    pairs = zip(state, expected_state, strict=True) if name == "LSTM" else [(state, expected_state)]
    assert all((a.shape, a.device) == (b.shape, b.device) for a, b in pairs)


@pytest.mark.parametrize("name", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("options", [{}, {"layer_norm": True}], ids=str)
def test_another_default_device_changes_nothing(name: str, options: dict[str, bool]) -> None:
    layer = getattr(longhold, name)(3, 4, bidirectional=True, **options)
    x, lengths, reset = torch.randn(5, 2, 3, requires_grad=True), [5, 2], torch.rand(5, 2) < 0.3
    leaves = [x, *layer.parameters()]

    def run() -> list[torch.Tensor]:
        output, _ = layer(x, lengths=lengths, reset=reset)
        return [output, *torch.autograd.grad(output.square().sum(), leaves)]

    expected = run()
    with torch.device("meta"):
        found = run()
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_weights_that_moved_between_the_passes_are_refused() -> None:
    layer = longhold.GRU(3, 4)
    output = layer(torch.randn(5, 2, 3))[0]
    layer.weight_hh_l0.untyped_storage().resize_(0)
    with pytest.raises(RuntimeError, match="too small for it, or was released"):
        output.sum().backward()


@pytest.mark.parametrize("backend", ["cpu", "reference", "torch"])
@pytest.mark.parametrize("name", ["RNN", "GRU", "LSTM"])
def test_each_backend_names_both_devices(backend: str, name: str) -> None:
    layer, x, state = getattr(longhold, name)(3, 4), torch.randn(5, 2, 3), torch.zeros(1, 2, 4, device="meta")
    hx = (state, state) if name == "LSTM" else state
    with use_backend(backend), pytest.raises(RuntimeError, match="found input tensor at cpu and hidden tensor at meta"):
        layer(x, hx)
