"""What people do with a torch.nn layer besides calling it."""

from __future__ import annotations

import copy
import io
import pickle
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils import parametrizations, parametrize, prune

import longhold
from tests.helpers import assert_all_close, assert_close, flat
from tests.layers.twins import BACKENDS, CELLS, PLAIN, as_hx, make, randn, state_for, through, twins

EVERYTHING: dict[str, dict[str, Any]] = {
    "rnn_tanh": {"layer_norm": True, "recurrent_dropout": 0.1, "zoneout": 0.1, "weight_dropout": 0.1},
    "gru": {"reset_after": False, "layer_norm": True, "learn_initial_state": True, "init": longhold.init.Chrono(9)},
    "lstm_projected": {
        "peephole": True,
        "coupled_gates": True,
        "layer_norm": True,
        "zoneout": (0.1, 0.2),
        "learn_initial_state": True,
        "init": longhold.init.ForgetBias(1.5),
    },
}


def rich(cell: str) -> Any:
    return make(cell, 3, 4, num_layers=2, bidirectional=True, **EVERYTHING[cell])


@pytest.mark.parametrize("name", ["RNN", "GRU", "LSTM", "RNNCell", "GRUCell", "LSTMCell"])
def test_it_is_a_module_but_none_of_torchs_recurrent_ones(name: str) -> None:
    layer = getattr(longhold, name)(3, 4)
    assert isinstance(layer, nn.Module)
    assert not isinstance(layer, (nn.RNNBase, nn.RNNCellBase))


def test_constructors_take_torchs_positions() -> None:
    positions: dict[str, tuple[Any, ...]] = {
        "RNN": (3, 4, 2, "relu", False, True, 0.5, True, "meta", torch.float64),
        "GRU": (3, 4, 2, False, True, 0.5, True, "meta", torch.float64),
        "LSTM": (3, 4, 2, False, True, 0.5, True, 2, "meta", torch.float64),
    }
    fields = ("mode", "input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")
    for name, arguments in positions.items():
        # torch documents this order; its GRU and RNN really have proj_size, which they refuse, before the device
        theirs = getattr(nn, name)(*arguments[:-2], device=arguments[-2], dtype=arguments[-1])
        ours = getattr(longhold, name)(*arguments)
        for field in (*fields, "proj_size", *(("nonlinearity",) if name == "RNN" else ())):
            assert getattr(ours, field) == getattr(theirs, field), f"{name}.{field}"
        with pytest.raises(TypeError):
            getattr(longhold, name)(*arguments, True)


@pytest.mark.parametrize("cell", CELLS)
def test_all_weights_has_torchs_structure(cell: str) -> None:
    for options in ({}, {"bias": False}, {"num_layers": 2, "bidirectional": True}):
        ours, theirs = twins(cell, 3, 4, **options)
        actual, expected = ours.all_weights, theirs.all_weights
        assert [[w.shape for w in row] for row in actual] == [[w.shape for w in row] for row in expected]
        for row, expected_row in zip(actual, expected, strict=True):
            assert all(torch.equal(value, wanted) for value, wanted in zip(row, expected_row, strict=True))
        assert {id(w) for row in actual for w in row} == {id(w) for w in ours.parameters()}


@pytest.mark.parametrize("cell", CELLS)
def test_flatten_parameters_changes_nothing(cell: str) -> None:
    layer = make(cell, 3, 4, num_layers=2)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    before = flat(layer(x))
    assert layer.flatten_parameters() is None
    assert all(torch.equal(value, before[name]) for name, value in flat(layer(x)).items())


OPTIONS: list[dict[str, Any]] = [
    {},
    {"num_layers": 3, "bias": False, "batch_first": True, "dropout": 0.25, "bidirectional": True},
    {"bias": False},
    {"num_layers": 2, "bidirectional": True},
]


@pytest.mark.parametrize("cell", ["rnn_tanh", "gru", "lstm", "lstm_projected"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_repr_says_what_torchs_says(cell: str, options: dict[str, Any]) -> None:
    ours, theirs = twins(cell, 3, 4, **options)
    assert ours.extra_repr() == theirs.extra_repr()
    assert repr(ours) == repr(theirs)


def test_the_repr_tells_every_option_that_is_on() -> None:
    for cell, options in EVERYTHING.items():
        text = repr(rich(cell))
        for name, value in options.items():
            assert f"{name}={value}" in text or (name == "zoneout" and "zoneout=" in text), name
        assert not any(f"{name}=" in repr(make(cell, 3, 4)) for name in options)


@pytest.mark.parametrize("cell", CELLS)
def test_dropout_with_one_layer_warns_as_torch_does(cell: str) -> None:
    name, own = CELLS[cell]
    with pytest.warns(UserWarning, match="dropout") as theirs:
        getattr(nn, name)(3, 4, dropout=0.5, **own)
    with pytest.warns(UserWarning, match="dropout") as ours:
        getattr(longhold, name)(3, 4, dropout=0.5, **own)
    assert [str(w.message) for w in ours] == [str(w.message) for w in theirs]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        getattr(longhold, name)(3, 4, num_layers=2, dropout=0.5, **own)


@pytest.mark.parametrize("cell", CELLS)
def test_meta_device_gives_shapes_without_numbers(cell: str) -> None:
    for options in ({}, {"num_layers": 2, "bidirectional": True, "batch_first": True}):
        ours, theirs = twins(cell, 3, 4, **options)
        ours, theirs = ours.to("meta"), theirs.to("meta")
        made = make(cell, 3, 4, device="meta", **options)
        x = torch.empty(5, 2, 3, dtype=torch.float64, device="meta")
        for layer in (ours, made):
            for name, value in flat(layer(x)).items():
                expected = flat(theirs(x))[name]
                assert (value.shape, value.dtype, value.device) == (expected.shape, expected.dtype, expected.device)
        alive = made.to_empty(device="cpu")
        alive.load_state_dict(make(cell, 3, 4, **options).state_dict())
        assert alive(torch.zeros(5, 2, 3, dtype=torch.float64))[0].isfinite().all()


@pytest.mark.parametrize("cell", PLAIN)
@pytest.mark.parametrize("call", ["lengths", "reset", "both"])
def test_meta_device_takes_lengths_and_resets(cell: str, call: str) -> None:
    layer = make(cell, 3, 4, bidirectional=True, device="meta")
    given: dict[str, Any] = {} if call == "reset" else {"lengths": [5, 2]}
    if call != "lengths":
        given["reset"] = torch.zeros(5, 2, dtype=torch.bool, device="meta")
    output, _ = layer(torch.empty(5, 2, 3, dtype=torch.float64, device="meta"), **given)
    assert (output.shape, output.device.type) == ((5, 2, 8), "meta")


def test_the_default_device_and_type_are_obeyed() -> None:
    with torch.device("meta"):
        assert longhold.LSTM(3, 4).weight_ih_l0.device.type == "meta"
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        assert longhold.GRU(3, 4, learn_initial_state=True).h_0_l0.dtype == torch.float64
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize("cell", CELLS)
def test_the_type_can_be_changed_afterwards(cell: str) -> None:
    ours, theirs = twins(cell, 3, 4, dtype=torch.float32)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    assert_all_close(flat(ours.double()(x)), flat(theirs.double()(x)))
    assert ours.to(torch.bfloat16)(x.bfloat16())[0].dtype == torch.bfloat16


@pytest.mark.parametrize("cell", EVERYTHING)
@pytest.mark.parametrize(
    "duplicate",
    [
        copy.deepcopy,
        lambda layer: pickle.loads(pickle.dumps(layer)),
        lambda layer: saved(layer),
    ],
    ids=["deepcopy", "pickle", "torch.save"],
)
def test_copies_compute_the_same_and_stand_alone(cell: str, duplicate: Callable[[Any], Any]) -> None:
    layer = rich(cell)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    layer(x)[0].sum().backward()
    other = duplicate(layer).eval()
    layer.eval()
    assert torch.equal(other(x)[0], layer(x)[0])
    assert repr(other) == repr(layer)
    with torch.no_grad():
        before = layer(x)[0]
        for parameter in other.parameters():
            parameter.add_(1.0)
        assert torch.equal(layer(x)[0], before)
        assert not torch.equal(other(x)[0], before)


def saved(layer: Any) -> Any:
    stream = io.BytesIO()
    torch.save(layer, stream)
    stream.seek(0)
    return torch.load(stream, weights_only=False)


@pytest.mark.parametrize("cell", EVERYTHING)
def test_a_state_dict_is_loaded_strictly(cell: str) -> None:
    one, other = rich(cell).eval(), rich(cell).eval()
    other.load_state_dict(one.state_dict(), strict=True)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    assert torch.equal(one(x)[0], other(x)[0])
    plain = make(cell, 3, 4, num_layers=2, bidirectional=True)
    with pytest.raises(RuntimeError, match=r"Missing key|Unexpected key|size mismatch"):
        plain.load_state_dict(one.state_dict())
    with pytest.raises(RuntimeError, match=r"Missing key|Unexpected key|size mismatch"):
        one.load_state_dict(plain.state_dict())


@pytest.mark.parametrize("cell", CELLS)
def test_functional_call_uses_the_parameters_it_is_given(cell: str) -> None:
    ours, theirs = twins(cell, 3, 4, num_layers=2)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    given = {name: torch.randn_like(value).requires_grad_() for name, value in ours.named_parameters()}
    found = []
    for layer in (ours, theirs):
        result = flat(functional_call(layer, given, (x,)))
        gradients = torch.autograd.grad(result["output"].sum(), list(given.values()))
        found.append(result | {f"d_{name}": g for name, g in zip(given, gradients, strict=True)})
    assert_all_close(found[0], found[1])
    assert all(parameter.grad is None for parameter in ours.parameters())


@pytest.mark.parametrize("cell", PLAIN)
@pytest.mark.parametrize("kind", ["orthogonal", "weight_norm", "spectral_norm", "custom"])
def test_parametrizations_work_as_in_torch(cell: str, kind: str) -> None:
    class Doubled(nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            return 2 * weight

    ours, theirs = twins(cell, 3, 4)
    for layer in (ours, theirs):
        torch.manual_seed(1)
        if kind == "custom":
            parametrize.register_parametrization(layer, "weight_hh_l0", Doubled())
        else:
            getattr(parametrizations, kind)(layer, "weight_hh_l0")
    ours.load_state_dict(theirs.state_dict())
    ours.eval(), theirs.eval()
    x, state = randn(5, 2, 3), state_for(theirs, 2)
    expected = through(theirs, x, state)
    for backend in BACKENDS:
        with longhold.use_backend(backend):
            assert_all_close(through(ours, x, state), expected, backend)
    if kind == "custom":
        parametrize.remove_parametrizations(ours, "weight_hh_l0")
        assert isinstance(ours.weight_hh_l0, nn.Parameter)
        ours(x)


def test_an_orthogonal_weight_stays_orthogonal_in_training() -> None:
    layer = parametrizations.orthogonal(longhold.RNN(3, 4), "weight_hh_l0")
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    start = layer.weight_hh_l0.detach().clone()
    for _ in range(3):
        optimizer.zero_grad()
        layer(torch.randn(5, 2, 3))[0].sum().backward()
        optimizer.step()
    weight = layer.weight_hh_l0.detach()
    torch.testing.assert_close(weight @ weight.T, torch.eye(4), atol=1e-5, rtol=0)
    assert not torch.allclose(weight, start)


@pytest.mark.parametrize("cell", PLAIN)
def test_the_old_weight_norm_still_works(cell: str) -> None:
    ours, theirs = twins(cell, 3, 4)
    for layer in (ours, theirs):
        with pytest.warns(FutureWarning, match="weight_norm"):
            nn.utils.weight_norm(layer, "weight_hh_l0")
    x = randn(5, 2, 3)
    assert_all_close(through(ours, x, {}), through(theirs, x, {}))


@pytest.mark.parametrize("cell", PLAIN)
def test_pruned_weights_are_used_and_trained_as_in_torch(cell: str) -> None:
    ours, theirs = twins(cell, 3, 4)
    mask = (torch.rand_like(theirs.weight_hh_l0) > 0.5).double()
    for layer in (ours, theirs):
        prune.custom_from_mask(layer, "weight_hh_l0", mask)
    x, state = randn(5, 2, 3), state_for(theirs, 2)
    expected = through(theirs, x, state)
    for backend in BACKENDS:
        with longhold.use_backend(backend):
            actual = through(ours, x, state)
        assert_all_close(actual, expected, backend)
        assert not actual["d_weight_hh_l0_orig through all"][mask == 0].any()
    prune.remove(ours, "weight_hh_l0")
    assert torch.equal(ours.weight_hh_l0 == 0, mask == 0)
    assert_all_close(flat(ours(x, as_hx(state))), {n: v for n, v in expected.items() if not n.startswith("d_")})


@pytest.mark.parametrize("cell", EVERYTHING)
def test_a_parameter_may_be_replaced(cell: str) -> None:
    layer = rich(cell).eval()
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    before = layer(x)[0]
    layer.weight_ih_l1 = nn.Parameter(torch.zeros_like(layer.weight_ih_l1))
    assert not torch.equal(layer(x)[0], before)
    assert any(row[0] is layer.weight_ih_l1 for row in layer.all_weights)


@pytest.mark.parametrize("cell", EVERYTHING)
def test_hooks_and_modes_reach_the_layer(cell: str) -> None:
    layer = rich(cell)
    seen: list[str] = []
    layer.register_forward_pre_hook(lambda module, given: seen.append("before"))
    layer.register_forward_hook(lambda module, given, result: seen.append("after"))
    layer(torch.zeros(2, 1, 3, dtype=torch.float64))
    assert seen == ["before", "after"]
    assert not layer.eval().training


@pytest.fixture
def one_process() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        store = torch.distributed.FileStore(f"{folder}/store", 1)
        torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
        yield
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize("cell", EVERYTHING)
def test_distributed_data_parallel_gives_the_same_gradients(cell: str, one_process: None) -> None:
    layer = rich(cell)
    wrapped = nn.parallel.DistributedDataParallel(layer)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    masks = layer.draw_masks(5, 2)
    wrapped(x, lengths=[5, 3], masks=masks)[0].sum().backward()
    shared = {name: parameter.grad.clone() for name, parameter in layer.named_parameters()}
    layer.zero_grad()
    layer(x, lengths=[5, 3], masks=masks)[0].sum().backward()
    assert_all_close(shared, {name: parameter.grad for name, parameter in layer.named_parameters()})


@pytest.mark.parametrize("cell", CELLS)
def test_it_trains(cell: str) -> None:
    layer = make(cell, 3, 8)
    x, wanted = torch.randn(5, 4, 3, dtype=torch.float64), torch.rand(5, 4, 2 if "_p" in cell else 8).double()
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.02)
    losses = []
    for _ in range(30):
        loss = (layer(x)[0] - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_a_layer_inside_a_larger_module_keeps_its_names() -> None:
    class Model(nn.Module):
        def __init__(self, home: Any) -> None:
            super().__init__()
            self.recurrent = home.LSTM(3, 4)
            self.cell = home.GRUCell(4, 2)

    ours, theirs = Model(longhold), Model(nn)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(5, 2, 3)
    hidden = ours.recurrent(x)[0][-1]
    assert_close("model", ours.cell(hidden), theirs.cell(theirs.recurrent(x)[0][-1]))
