"""One unit at one step: the shares add up to the gates, and the gates to the states, of the whole model."""

import math

import pytest
import torch

from longhold.errors import InputError
from longhold.inspection import gates, unit_step
from longhold.models import LanguageModelConfig
from longhold.models.language_model import LanguageModel

IDS = torch.tensor([[1], [4], [0], [2]])


def model_of(cell: str, **options: object) -> LanguageModel:
    return LanguageModelConfig(**{"cell": cell, "vocab_size": 5, "hidden_size": 3, "num_layers": 2, **options}).build()


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("options", [{}, {"embedding_size": 4}])
@pytest.mark.parametrize("layer", [0, 1])
def test_an_lstms_equations_hold_with_their_numbers(layer: int, options: dict[str, int]) -> None:
    model = model_of("lstm", **options)
    with torch.no_grad():
        _, state = model(IDS[:-1])
    whole = gates(model, IDS)
    for unit in range(3):
        found = unit_step(model, 2, state, layer, unit)
        sums = {gate.gate: gate for gate in found.gates}
        assert list(sums) == ["i", "f", "g", "o"]
        for letter, gate in sums.items():
            squash = math.tanh if letter == "g" else sigmoid
            assert gate.activation == squash.__name__
            assert squash(gate.by_input + gate.by_state + gate.bias) == pytest.approx(gate.value, abs=1e-12)
            assert gate.value == pytest.approx(float(whole.gates[letter][layer, -1, 0, unit]), abs=1e-5)
        kept, admitted = sums["f"].value * found.c_before, sums["i"].value * sums["g"].value
        assert found.c == pytest.approx(kept + admitted, abs=1e-12)
        assert found.h == pytest.approx(sums["o"].value * math.tanh(found.c), abs=1e-12)
        assert found.c_before == pytest.approx(float(whole.c[layer, -2, 0, unit]), abs=1e-5)
        assert found.h_before == pytest.approx(float(whole.h[layer, -2, 0, unit]), abs=1e-5)
        assert (found.cell, found.layer, found.unit) == ("lstm", layer, unit)


@pytest.mark.parametrize("layer", [0, 1])
def test_a_grus_equations_hold_with_their_numbers(layer: int) -> None:
    model = model_of("gru", init="forget:1")
    with torch.no_grad():
        for bias in (model.layer.bias_hh_l0, model.layer.bias_hh_l1):
            bias.uniform_(-1, 1)
        _, state = model(IDS[:-1])
    found = unit_step(model, 2, state, layer, 1)
    r, z, n = found.gates
    assert sigmoid(r.by_input + r.by_state + r.bias) == pytest.approx(r.value, abs=1e-12)
    assert sigmoid(z.by_input + z.by_state + z.bias) == pytest.approx(z.value, abs=1e-12)
    assert (r.activation, z.activation, n.activation) == ("sigmoid", "sigmoid", "tanh")
    assert math.tanh(n.by_input + n.by_state + n.bias) == pytest.approx(n.value, abs=1e-12)
    assert found.h == pytest.approx(z.value * found.h_before + (1 - z.value) * n.value, abs=1e-12)
    assert found.c is None
    assert found.c_before is None


@pytest.mark.parametrize(("nonlinearity", "squash"), [("tanh", math.tanh), ("relu", lambda x: max(x, 0.0))])
def test_an_rnns_equation_holds_with_its_numbers(nonlinearity: str, squash: object) -> None:
    model = model_of("rnn", nonlinearity=nonlinearity)
    with torch.no_grad():
        _, state = model(IDS[:-1])
    for unit in range(3):
        found = unit_step(model, 2, state, 1, unit)
        (h,) = found.gates
        assert (h.gate, h.activation) == ("h", nonlinearity)
        assert squash(h.by_input + h.by_state + h.bias) == pytest.approx(h.value, abs=1e-12)
        assert found.h == h.value


@pytest.mark.parametrize(("layer", "unit"), [(2, 0), (-1, 0), (0, 3), (0, -1)])
def test_a_unit_that_is_not_there_is_refused(layer: int, unit: int) -> None:
    model = model_of("lstm")
    with pytest.raises(InputError, match="layers 0 to 1 of units 0 to 2"):
        unit_step(model, 0, model.initial_state(1), layer, unit)


@pytest.mark.parametrize(
    ("cell", "options", "said"),
    [
        ("lstm", {"layer_norm": True}, "layer norm"),
        ("lstm", {"zoneout": 0.1}, "zoneout"),
        ("lstm", {"peephole": True}, "peepholes"),
        ("lstm", {"proj_size": 2}, "a projection"),
        ("lstm", {"coupled_gates": True}, "coupled gates"),
        ("gru", {"reset_after": False}, "the reset before the product"),
    ],
)
def test_a_cell_with_other_equations_is_refused(cell: str, options: dict[str, object], said: str) -> None:
    model = model_of(cell, **options)
    with pytest.raises(InputError, match=said):
        unit_step(model, 0, model.initial_state(1), 0, 0)
