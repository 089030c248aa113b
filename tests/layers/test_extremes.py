"""At the ends of the numbers' range: C++ gives NaN, infinity or a number where the cells and the loop over time do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import longhold
from longhold.kernels import use_backend

CONFIGURATIONS: list[tuple[str, dict[str, Any]]] = [
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu"}),
    ("GRU", {}),
    ("LSTM", {}),
    ("GRU", {"reset_after": False}),
    ("GRU", {"zoneout": 0.3}),
    ("LSTM", {"coupled_gates": True}),
    ("LSTM", {"peephole": True}),
    ("LSTM", {"proj_size": 1}),
    ("RNN", {"layer_norm": True}),
    ("RNN", {"layer_norm": True, "nonlinearity": "relu"}),
    ("GRU", {"layer_norm": True}),
    ("GRU", {"layer_norm": True, "reset_after": False}),
    ("LSTM", {"layer_norm": True}),
    ("LSTM", {"layer_norm": True, "peephole": True}),
]
LARGE = {torch.float32: 1e38, torch.float64: 1e300}
SMALL = {torch.float32: (1e-38, 1e-42), torch.float64: (1e-308, 1e-320)}


def extremes(dtype: torch.dtype) -> list[float]:
    big = LARGE[dtype]
    return [big, -big, big**0.55, float("inf"), -float("inf"), float("nan"), *SMALL[dtype], 0.0]


def run(layer: Any, x: Tensor, hx: tuple[Tensor, ...], backend: str, **keywords: Any) -> dict[str, Tensor]:
    """Outputs and all gradients."""
    leaves = {"x": x.clone().requires_grad_()} | {f"h{i}": h.clone().requires_grad_() for i, h in enumerate(hx)}
    states = list(leaves.values())[1:]
    with use_backend(backend):
        output, final = layer(leaves["x"], tuple(states) if len(hx) == 2 else states[0], **keywords)
    outputs = [output, *(final if isinstance(final, tuple) else (final,))]
    leaves |= dict(layer.named_parameters())
    above = [torch.linspace(0.5, 2, o.numel(), dtype=o.dtype).view_as(o) for o in outputs]
    gradients = torch.autograd.grad(outputs, list(leaves.values()), above)
    return {f"output {i}": o.detach() for i, o in enumerate(outputs)} | dict(zip(leaves, gradients, strict=True))


def assert_alike(case: object, actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """NaN and infinity in the same places, and numbers that are near each other as numbers of this size go."""
    for name, value in expected.items():
        found, finite = actual[name], value.isfinite()
        same = torch.equal(found.isnan(), value.isnan()) and torch.equal(
            found[~finite].nan_to_num(), value[~finite].nan_to_num()
        )
        assert same, f"{case} {name}: {found.flatten().tolist()}, expected {value.flatten().tolist()}"
        largest = value[finite].abs().max().item() if finite.any() else 0.0
        error = (found - value)[finite].abs().max().item() if finite.any() else 0.0
        assert error <= 1e-4 * max(largest, 1.0), f"{case} {name}: error {error:.3g}, largest {largest:.3g}"


def made(name: str, options: dict[str, Any], hidden: int, dtype: torch.dtype) -> tuple[Any, Tensor, tuple[Tensor, ...]]:
    torch.manual_seed(hidden)
    layer = getattr(longhold, name)(2, hidden, dtype=dtype, **options).eval()
    states = layer.initial_state(2)
    states = (states,) if isinstance(states, Tensor) else states
    return layer, torch.randn(3, 2, 2, dtype=dtype), tuple(torch.randn_like(state) for state in states)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("name", "options"), CONFIGURATIONS, ids=str)
def test_an_input_at_the_end_of_the_range(name: str, options: dict[str, Any], dtype: torch.dtype) -> None:
    for hidden in (1, 2, 3):
        if options.get("proj_size", 0) >= hidden:
            continue
        for value in extremes(dtype):
            for everywhere in (True, False):
                layer, x, hx = made(name, options, hidden, dtype)
                x[... if everywhere else (1, 1, 0)] = value
                case = f"{name} {options} H={hidden} {value} {everywhere=}"
                assert_alike(case, run(layer, x, hx, "cpu"), run(layer, x, hx, "reference"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("name", "options"), CONFIGURATIONS, ids=str)
def test_a_state_at_the_end_of_the_range(name: str, options: dict[str, Any], dtype: torch.dtype) -> None:
    for value in extremes(dtype):
        layer, x, hx = made(name, options, 1 if "layer_norm" in options else 2, dtype)
        hx[0][0, 1, 0] = value
        assert_alike(f"{name} {options} {value}", run(layer, x, hx, "cpu"), run(layer, x, hx, "reference"))


@pytest.mark.parametrize(("name", "options"), CONFIGURATIONS, ids=str)
def test_what_is_not_a_number_stays_in_its_row(name: str, options: dict[str, Any]) -> None:
    layer, x, hx = made(name, options, 3 if "proj_size" not in options else 2, torch.float32)
    spoilt = x.clone()
    spoilt[1, 1] = float("nan")
    clean, found = run(layer, x, hx, "cpu"), run(layer, spoilt, hx, "cpu")
    for key in ("output 0", "x", "h0"):
        assert torch.equal(found[key][:, 0], clean[key][:, 0]), key
    assert torch.equal(found["output 0"][0], clean["output 0"][0]), "before the step"
    assert found["output 0"][1:, 1].isnan().all()


@pytest.mark.parametrize(("name", "options"), CONFIGURATIONS, ids=str)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e38])
def test_padding_holds_anything(name: str, options: dict[str, Any], value: float) -> None:
    layer, x, hx = made(name, options, 3 if "proj_size" not in options else 2, torch.float32)
    spoilt, lengths = x.clone(), [3, 2]
    spoilt[2, 1] = value
    clean, found = (run(layer, given, hx, "cpu", lengths=lengths) for given in (x, spoilt))
    assert all(torch.equal(found[key], clean[key]) for key in clean)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_gates_far_from_zero_are_as_torch_has_them(dtype: torch.dtype) -> None:
    """A sigmoid's argument runs over all of the range, through an LSTM's input gate, g being 1."""
    steps = torch.cat([torch.linspace(-110, 110, 881), torch.tensor([-1e30, 1e30])]).to(dtype)
    layer = longhold.LSTM(1, 1, dtype=dtype)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.weight_ih_l0[0] = 1
        layer.bias_ih_l0[2:] = 200
    x = steps.view(1, -1, 1).requires_grad_()
    c = layer(x)[1][1].flatten()
    (gradient,) = torch.autograd.grad(c.sum(), x)
    expected = torch.sigmoid(steps)
    slope = expected * (1 - expected)
    # the smallest normal number of float32 is 1.2e-38: below it is 0
    assert ((c - expected).abs() <= 3e-7 * expected + 1.2e-38).all()
    assert ((gradient.flatten() - slope).abs() <= 3e-7 * slope + 3e-7 * expected * (steps.abs() > 15) + 1.2e-38).all()
    far = steps.abs() > 105 if dtype == torch.float32 else steps.abs() > 1e20
    assert torch.equal(c[far], (steps[far] > 0).to(dtype))
    assert (gradient.flatten()[far] == 0).all()
