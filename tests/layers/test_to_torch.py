"""What torch's tools find in a layer or cell: the torch.nn module that it equals, or one line."""

from __future__ import annotations

import copy
import warnings
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune

import longhold
from longhold.errors import InputError
from tests.helpers import assert_all_close, flat

LAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn": ("RNN", {"nonlinearity": "relu", "num_layers": 2}),
    "gru": ("GRU", {"bias": False, "batch_first": True}),
    "lstm": ("LSTM", {"num_layers": 2, "dropout": 0.5, "bidirectional": True, "proj_size": 3}),
}
CELLS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn": ("RNNCell", {"nonlinearity": "relu"}),
    "gru": ("GRUCell", {"bias": False}),
    "lstm": ("LSTMCell", {}),
}


@pytest.mark.parametrize(("case", "dtype"), list(product(LAYERS, (torch.float32, torch.float64))))
def test_a_layer_becomes_the_torch_layer_with_its_own_parameters(case: str, dtype: torch.dtype) -> None:
    name, options = LAYERS[case]
    layer = getattr(longhold, name)(4, 6, **options, dtype=dtype)
    twin = layer.to_torch()
    assert type(twin) is getattr(nn, name)
    assert repr(twin) == repr(getattr(nn, name)(4, 6, **options))
    own, theirs = dict(layer.named_parameters()), dict(twin.named_parameters())
    assert list(own) == list(theirs)
    assert all(own[name] is theirs[name] for name in own)
    assert all(a is b for a, b in zip(twin._flat_weights, twin.parameters(), strict=True))
    x = torch.randn(5, 3, 4, dtype=dtype)
    torch.manual_seed(1)
    expected = flat(layer(x))
    torch.manual_seed(1)
    assert_all_close(flat(twin(x)), expected)  # dropout is drawn alike
    assert not layer.eval().to_torch().training


@pytest.mark.parametrize("case", CELLS)
def test_a_cell_becomes_the_torch_cell(case: str) -> None:
    name, options = CELLS[case]
    cell = getattr(longhold, name)(4, 6, **options)
    twin, x = cell.to_torch(), torch.randn(3, 4)
    assert type(twin) is getattr(nn, name)
    assert twin.weight_hh is cell.weight_hh
    assert repr(twin) == repr(getattr(nn, name)(4, 6, **options))
    for actual, expected in zip(twin(x), cell(x), strict=True):
        torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: longhold.LSTM(4, 6, layer_norm=True), "longhold.LSTM cannot become torch.nn.LSTM.* layer_norm=True"),
        (lambda: longhold.RNN(4, 6, zoneout=0.1), "no zoneout"),
        (lambda: longhold.LSTM(4, 6, peephole=True), "no peephole=True"),
        (lambda: longhold.LSTM(4, 6, coupled_gates=True), "no coupled_gates=True"),
        (lambda: longhold.GRU(4, 6, reset_after=False), "no reset_after=False"),
        (lambda: longhold.GRU(4, 6, learn_initial_state=True), "no learn_initial_state=True"),
        (lambda: longhold.GRUCell(4, 6, reset_after=False), "cannot become torch.nn.GRUCell, which has no reset_after"),
        (lambda: longhold.LSTMCell(4, 6, peephole=True), "no peephole=True"),
    ],
)
def test_what_torch_has_not_is_named(make: Any, named: str) -> None:
    with pytest.raises(InputError, match=named) as refusal:
        make().eval().to_torch()
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("option", ["recurrent_dropout", "weight_dropout", "locked_dropout"])
def test_dropouts_that_torch_has_not_go_in_evaluation_only(option: str) -> None:
    value = True if option == "locked_dropout" else 0.3
    layer = longhold.LSTM(4, 6, 2, dropout=0.2, **{option: value})
    with pytest.raises(InputError, match=rf"no {option}={value} in training: call eval\(\) first"):
        layer.to_torch()
    x = torch.randn(5, 3, 4)
    assert_all_close(flat(layer.eval().to_torch()(x)), flat(layer(x)))


class Own(longhold.GRU):
    def forward(self, *given: Any, **named: Any) -> Any:
        return super().forward(*given, **named)


def test_parameters_and_calls_that_are_not_as_made_are_refused() -> None:
    with pytest.raises(InputError, match="Own has a forward of its own"):
        Own(4, 6).to_torch()
    pruned = longhold.GRU(4, 6)
    prune.l1_unstructured(pruned, "weight_hh_l0", 0.5)
    with pytest.raises(InputError, match="weight_hh_l0"):
        pruned.to_torch()
    normed = nn.utils.parametrizations.weight_norm(longhold.GRU(4, 6), "weight_ih_l0")
    with pytest.raises(InputError, match="weight_ih_l0"):
        normed.to_torch()
    parametrize.remove_parametrizations(normed, "weight_ih_l0")
    assert type(normed.to_torch()) is nn.GRU


def test_hooks_and_frozen_parameters_go_along() -> None:
    layer, seen = longhold.GRU(4, 6), []
    layer.register_forward_hook(lambda module, given, output: seen.append(type(module)))
    layer.weight_hh_l0.requires_grad_(False)
    twin = layer.to_torch()
    twin(torch.randn(5, 3, 4))
    assert seen == [nn.GRU]
    assert not twin.weight_hh_l0.requires_grad


class Model(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.inner = nn.ModuleList([layer])
        self.output = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.inner[0](x)
        return self.output(y)


class CellModel(Model):
    def forward(self, x: Tensor) -> Tensor:
        h, c = self.inner[0](x)
        return self.output(h + c)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("layer", [longhold.GRU(4, 6), longhold.LSTMCell(4, 6)], ids=lambda layer: type(layer).__name__)
def test_scripting_says_what_does_and_leaves_the_model_as_it_was(layer: nn.Module) -> None:
    model = Model(layer)
    for scripted in (model, layer):
        with pytest.raises(
            InputError, match=r"torch.jit.script cannot compile longhold\.\w+: script longhold.export.to_t"
        ):
            torch.jit.script(scripted)
    assert model.inner[0] is layer


@pytest.mark.parametrize("spec", [None, {nn.Linear}, {longhold.LSTM}, {nn.LSTM}], ids=str)
def test_quantization_says_what_it_leaves_out(spec: Any) -> None:
    model = Model(longhold.LSTM(4, 6))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quantized = torch.ao.quantization.quantize_dynamic(model, spec)
    (line,) = (str(each.message) for each in caught if "longhold" in str(each.message))
    assert "leaves longhold.LSTM in floating point: quantize longhold.export.to_torch(model)" in line
    assert type(quantized.inner[0]) is longhold.LSTM
    assert quantized(torch.randn(5, 3, 4)).shape == (5, 3, 2)
    assert not hasattr(model.inner[0], "qconfig")
    assert not hasattr(quantized.inner[0], "qconfig"), "torch takes it away at the end"


@pytest.mark.parametrize(
    ("model", "x"),
    [(Model(longhold.LSTM(4, 6)), torch.randn(5, 3, 4)), (CellModel(longhold.LSTMCell(4, 6)), torch.randn(3, 4))],
    ids=["layer", "cell"],
)
def test_fx_keeps_the_layer_whole(model: nn.Module, x: Tensor) -> None:
    traced = torch.fx.symbolic_trace(model)
    assert [node.target for node in traced.graph.nodes if node.op == "call_module"] == ["inner.0", "output"]
    assert torch.equal(traced(x), model(x))
    kept = copy.deepcopy(traced)
    kept.load_state_dict(model.state_dict())
    assert torch.equal(kept(x), model(x))


class Keywords(Model):
    def forward(self, x: Tensor, lengths: Tensor) -> Any:
        return self.inner[0](x, lengths=lengths)[0]


def test_fx_keeps_keywords_and_refuses_a_layer_alone() -> None:
    model, x, lengths = Keywords(longhold.GRU(4, 6)), torch.randn(5, 3, 4), torch.tensor([5, 2, 3])
    assert torch.equal(torch.fx.symbolic_trace(model)(x, lengths), model(x, lengths))
    for module in (longhold.GRU(4, 6), longhold.LSTMCell(4, 6)):
        with pytest.raises(
            InputError, match=r"torch\.fx cannot trace longhold\.\w+ itself: trace a model that holds it"
        ):
            torch.fx.symbolic_trace(module)
