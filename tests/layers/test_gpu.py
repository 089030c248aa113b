"""The layers on a CUDA device against the same layers on the CPU, in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import longhold
from tests.helpers import assert_all_close
from tests.layers.twins import CELLS, make, packed, randn, state_for, through

pytestmark = pytest.mark.gpu

DEVICE = "cuda"
T, B = 7, 4
LENGTHS = [3, 7, 1, 6]
CALLS = ("plain", "packed", "lengths", "reset", "both")


def pair(cell: str, **options: Any) -> tuple[Any, Any]:
    """The same layer on the CPU and on the device."""
    here, there = make(cell, 3, 5, **options), make(cell, 3, 5, device=DEVICE, **options)
    there.load_state_dict(here.state_dict())
    return here, there


def compare(here: Any, there: Any, call: str, backend: str | None, masks: tuple[Any, Any] = (None, None)) -> None:
    x, state = randn(T, B, 3), state_for(here, B)
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[2, 1] = reset[4, 1] = reset[0, 3] = True
    results = []
    for layer, device, drawn in ((here, "cpu", masks[0]), (there, DEVICE, masks[1])):
        given: dict[str, Any] = {"masks": drawn}
        if call in ("lengths", "both"):
            given["lengths"] = LENGTHS
        if call in ("reset", "both"):
            given["reset"] = reset.to(device)
        prepare = (lambda value: packed(value, LENGTHS)) if call == "packed" else None
        leaves = {name: value.detach().to(device).requires_grad_() for name, value in state.items()}
        with longhold.use_backend(backend if device == DEVICE and backend else "reference"):
            found = through(layer, x.detach().to(device).requires_grad_(), leaves, prepare=prepare, **given)
        results.append({name: value.cpu() for name, value in found.items()})
    assert_all_close(results[1], results[0], f"{call} {backend}")


@pytest.mark.parametrize("backend", ["reference", "torch"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("call", CALLS)
def test_the_device_computes_what_the_cpu_computes(backend: str, cell: str, call: str) -> None:
    here, there = pair(cell, num_layers=2, bidirectional=True)
    compare(here, there, call, backend)


@pytest.mark.parametrize("call", ["plain", "both"])
@pytest.mark.parametrize("backend", ["reference", "torch"])
def test_dropped_weights_make_no_warning(backend: str, call: str) -> None:
    here, there = pair("lstm", num_layers=2, weight_dropout=0.5)
    drawn = there.draw_masks(T, B)
    layers = [type(m)(weight_dropout=m.weight_dropout.cpu()) for m in drawn.layers]
    compare(here, there, call, backend, (type(drawn)(tuple(layers)), drawn))


def test_a_layer_moves_to_the_device_and_back() -> None:
    layer = make("gru", 3, 5, num_layers=2, layer_norm=True, learn_initial_state=True)
    x = torch.randn(T, B, 3, dtype=torch.float64)
    before, _ = layer(x, lengths=LENGTHS)
    there, _ = layer.to(DEVICE)(x.to(DEVICE), lengths=LENGTHS)
    back, _ = layer.cpu()(x, lengths=LENGTHS)
    assert_all_close({"there": there.cpu(), "back": back}, {"there": before, "back": before})


def test_explaining_draws_nothing_on_the_device() -> None:
    layer = make("lstm", 3, 5, device=DEVICE, zoneout=0.5, weight_dropout=0.5)
    x = torch.zeros(T, B, 3, dtype=torch.float64, device=DEVICE)
    torch.manual_seed(1)
    longhold.explain(layer, x)
    after = torch.rand(3, device=DEVICE)
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(3, device=DEVICE))
