"""A stream against its layer run over the whole sequence by the reference loop."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import longhold
from longhold.kernels import BackendRefused
from longhold.kernels.stream import NativeStream, StreamWeights, quantize_rows
from longhold.layers.stream import Stream
from tests.helpers import assert_close, assert_no_worse
from tests.layers.twins import as_hx, fields_of, make, state_for

T = 7
CELLS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn tanh": ("rnn_tanh", {}),
    "rnn relu": ("rnn_relu", {}),
    "rnn, layer norm, zoneout": ("rnn_tanh", {"layer_norm": True, "zoneout": 0.3}),
    "gru": ("gru", {}),
    "gru, layer norm": ("gru", {"layer_norm": True}),
    "gru 2014": ("gru", {"reset_after": False}),
    "gru 2014, layer norm, zoneout": ("gru", {"reset_after": False, "layer_norm": True, "zoneout": 0.2}),
    "lstm": ("lstm", {}),
    "lstm, learned state": ("lstm", {"learn_initial_state": True}),
    "lstm, peephole": ("lstm", {"peephole": True}),
    "lstm, coupled": ("lstm", {"coupled_gates": True}),
    "lstm, coupled, peephole": ("lstm", {"coupled_gates": True, "peephole": True}),
    "lstm, layer norm": ("lstm", {"layer_norm": True}),
    "lstm, projection": ("lstm", {"proj_size": 2}),
    "lstm, everything": (
        "lstm",
        {
            "coupled_gates": True,
            "peephole": True,
            "layer_norm": True,
            "proj_size": 3,
            "zoneout": (0.1, 0.4),
            "recurrent_dropout": 0.5,
            "weight_dropout": 0.5,
            "learn_initial_state": True,
        },
    ),
}
PLAIN = ("rnn tanh", "rnn relu", "gru", "lstm")


def lively(name: str, inputs: int = 5, hidden: int = 6, **options: Any) -> Any:
    """A layer in training mode in which no parameter stands at a value that could hide it."""
    cell, own = CELLS[name]
    layer = make(cell, inputs, hidden, **(own | options))
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.5 + (parameter.dim() == 1) * 0.3)
    return layer


def whole(layer: Any, x: Tensor, hx: Any = None) -> tuple[Tensor, Any]:
    """The layer in evaluation, by the reference loop."""
    training = layer.training
    with torch.no_grad(), longhold.use_backend("reference"):
        output, state = layer.eval()(x, hx)
    layer.train(training)
    return output, state


def assert_state(stream: Stream[Any], expected: Any) -> None:
    for got, want in zip(fields_of(stream.state), fields_of(expected), strict=True):
        assert_close("state", got, want)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("bias", [True, False])
def test_steps_and_chunks_are_the_whole_sequence(name: str, bias: bool) -> None:
    layer = lively(name, num_layers=2, bias=bias)
    x = torch.randn(T, 3, 5, dtype=torch.float64)
    output, state = whole(layer, x)
    stepped, chunked = layer.stream(3), layer.stream(3)
    assert_close("steps", torch.stack([stepped.step(x_t) for x_t in x]), output)
    assert_close("chunks", torch.cat([chunked.run(part) for part in x.split([1, 4, 2])]), output)
    assert_state(stepped, state)
    assert_state(chunked, state)
    assert stepped.backend == "cpu"


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize(("batch", "inputs", "hidden", "layers"), [(1, 1, 1, 1), (1, 64, 64, 1), (5, 33, 130, 3)])
def test_float32_is_as_near_as_torch(name: str, batch: int, inputs: int, hidden: int, layers: int) -> None:
    layer = make(CELLS[name][0], inputs, hidden, num_layers=layers, dtype=torch.float32)
    theirs = getattr(nn, layer.mode.partition("_")[0])(
        inputs, hidden, layers, **({"nonlinearity": layer.nonlinearity} if "rnn" in name else {})
    )
    theirs.load_state_dict(layer.state_dict())
    x = torch.randn(40, batch, inputs)
    with torch.no_grad():
        torchs, _ = theirs(x)
        exact, _ = whole(layer.double(), x.double())
    stream = layer.float().stream(batch)
    assert_no_worse("chunk", stream.run(x), torchs, exact)
    stream.reset()
    assert_no_worse("steps", torch.stack([stream.step(x_t) for x_t in x]), torchs, exact)


@pytest.mark.parametrize("name", PLAIN)
def test_more_rows_than_a_tile_holds_and_chunks_longer_than_the_scratch(name: str) -> None:
    layer = make(CELLS[name][0], 5, 35)
    for batch, steps in ((30, 2), (2, 50)):
        x = torch.randn(steps, batch, 5, dtype=torch.float64)
        assert_close("output", layer.stream(batch).run(x), whole(layer, x)[0])


@pytest.mark.parametrize("weights", ["full", "bf16", "int8"])
def test_a_row_has_the_same_bits_in_steps_chunks_and_any_batch(weights: Any) -> None:
    layer = lively("lstm, projection", 9, 70, num_layers=2, dtype=torch.float32)
    x = torch.randn(T, 5, 9)
    chunk = layer.stream(5, weights=weights).run(x)
    stream = layer.stream(5, weights=weights)
    assert torch.equal(torch.stack([stream.step(x_t) for x_t in x]), chunk)
    assert torch.equal(layer.stream(2, weights=weights).run(x[:, 3:]), chunk[:, 3:])


@pytest.mark.parametrize("name", CELLS)
def test_ids_stand_for_one_hot_vectors(name: str) -> None:
    layer = lively(name)
    ids = torch.randint(5, (T, 3))
    output, _ = whole(layer, F.one_hot(ids, 5).double())
    assert_close("chunk", layer.stream(3).run(ids.int()), output)
    stream = layer.stream(3)
    assert_close("steps", torch.stack([stream.step(now) for now in ids]), output)


def test_unbatched() -> None:
    layer = lively("lstm", num_layers=2)
    x, ids = torch.randn(T, 5, dtype=torch.float64), torch.randint(5, (T,))
    stream = layer.stream(None)
    assert_close("steps", torch.stack([stream.step(x_t) for x_t in x]), whole(layer, x)[0])
    h, c = stream.state
    assert h.shape == c.shape == (2, 6)
    stream.reset()
    assert_close("chunk", stream.run(x), whole(layer, x)[0])
    stream.reset()
    output = whole(layer, F.one_hot(ids, 5).double())[0]
    assert_close("ids", torch.stack([stream.step(int(now)) for now in ids]), output)
    stream.reset()
    assert_close("ids in a chunk", stream.run(ids), output)
    stream.state = h, c
    assert_state(stream, (h, c))


def test_batch_first_turns_chunks_only() -> None:
    layer = lively("gru", batch_first=True)
    x = torch.randn(3, T, 5, dtype=torch.float64)
    stream = layer.stream(3)
    assert_close("chunk", stream.run(x), whole(layer, x)[0])
    stream.reset()
    assert_close("step", stream.step(x[:, 0]), whole(layer, x)[0][:, 0])


@pytest.mark.parametrize("name", ["rnn tanh", "gru", "lstm, projection"])
def test_the_state_goes_out_and_in_as_a_copy(name: str) -> None:
    layer = lively(name, num_layers=2)
    x = torch.randn(T, 3, 5, dtype=torch.float64)
    hx = as_hx(state_for(layer, 3))
    stream = layer.stream(3)
    stream.state = hx
    assert_close("from a given state", stream.run(x), whole(layer, x, hx)[0])
    kept = stream.state
    numbers = [field.clone() for field in fields_of(kept)]
    ahead = stream.run(x)
    stream.state = kept
    assert torch.equal(stream.run(x), ahead)
    for field, number in zip(fields_of(kept), numbers, strict=True):
        assert torch.equal(field, number)
        field.fill_(9.0)
    assert all(not bool((field == 9.0).any()) for field in fields_of(stream.state))


@pytest.mark.parametrize("name", ["rnn relu", "lstm, learned state", "lstm, everything"])
@pytest.mark.parametrize("rows", [[1], 1, [0, 2], torch.tensor([True, False, True]), None], ids=str)
def test_reset_puts_the_initial_state_into_those_rows_alone(name: str, rows: Any) -> None:
    layer = lively(name, num_layers=2)
    x = torch.randn(T, 3, 5, dtype=torch.float64)
    stream = layer.stream(3)
    stream.run(x)
    before = fields_of(stream.state)
    stream.reset(rows)
    numbers = [0, 1, 2] if rows is None else [0, 2] if isinstance(rows, Tensor) else [1] if rows == 1 else rows
    chosen = [row in numbers for row in range(3)]
    for now, old, initial in zip(fields_of(stream.state), before, fields_of(layer.initial_state(3)), strict=True):
        for row in range(3):
            assert torch.equal(now[:, row], (initial if chosen[row] else old)[:, row])


def test_what_happens_to_the_layer_later_changes_nothing() -> None:
    layer = lively("lstm")
    x = torch.randn(T, 1, 5, dtype=torch.float64)
    expected, _ = whole(layer, x)
    stream = layer.stream()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    assert_close("output", stream.run(x), expected)


def test_outputs_are_independent_and_may_enter_a_graph() -> None:
    layer = make("gru", 4, 3, dtype=torch.float32)
    stream, x = layer.stream(2), torch.randn(2, 4)
    with torch.inference_mode():
        first = stream.step(x)
    second = stream.step(x)
    kept = second.clone()
    weight = torch.ones(3, requires_grad=True)
    loss = (second * weight).sum()
    first.zero_()  # neither writes into the other nor counts as a change of it
    for _ in range(5000):  # more than one block
        stream.step(x)
    loss.backward()
    assert torch.equal(second, kept)
    assert_close("gradient", weight.grad, kept.sum(0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch", [None, 1, 4])
def test_arrays_give_arrays_and_step_into_allocates_nothing(dtype: torch.dtype, batch: int | None) -> None:
    layer = make("lstm", 5, 6, dtype=dtype)
    middle = () if batch is None else (batch,)
    x = torch.randn(T, *middle, 5, dtype=dtype)
    expected = layer.stream(batch).run(x)
    stream = layer.stream(batch)
    arrays = [stream.step(x_t.numpy()) for x_t in x]
    assert {type(array) for array in arrays} == {np.ndarray}
    assert torch.equal(torch.from_numpy(np.stack(arrays)), expected)
    for out, given in ((torch.empty(*middle, 6, dtype=dtype), x), (np.empty((*middle, 6), arrays[0].dtype), x.numpy())):
        stream.reset()
        for now, wanted in zip(given, expected, strict=True):
            stream.step_into(now, out)
            assert torch.equal(torch.as_tensor(out), wanted)


def test_inputs_need_not_be_dense() -> None:
    layer = make("gru", 4, 3, dtype=torch.float32)
    x = torch.randn(3, 4, 2)
    expected = layer.stream(2).run(x.transpose(1, 2).contiguous())
    assert torch.equal(layer.stream(2).run(x.transpose(1, 2)), expected)
    stream, arrays = layer.stream(2), layer.stream(2)
    for now, wanted in zip(x, expected, strict=True):
        assert torch.equal(stream.step(now.T), wanted)
        read_only = now.T.numpy()
        read_only.setflags(write=False)
        assert np.array_equal(arrays.step(read_only), wanted.numpy())
    out = torch.empty(3, 2).T
    stream.reset()
    stream.step_into(x[0].T, out)
    assert torch.equal(out, expected[0])


@pytest.mark.parametrize("name", CELLS)
def test_int8_is_the_layer_with_rounded_weights(name: str) -> None:
    layer = lively(name, 19, 33, num_layers=2, dtype=torch.float32)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(0.3)
    stream = layer.stream(4, weights="int8")
    with torch.no_grad():
        for key, parameter in layer.named_parameters():
            if key.startswith(("weight_ih", "weight_hh", "weight_hr")):
                quantized, scale = quantize_rows(parameter)
                parameter.copy_(quantized * scale.unsqueeze(1))
    x, ids = torch.randn(T, 4, 19), torch.randint(19, (T, 4))
    for given, features in ((x, x), (ids, F.one_hot(ids, 19).float())):
        stream.reset()
        expected, _ = whole(layer, features)
        error = (stream.run(given) - expected).abs().max()
        assert error <= 2e-3 * expected.abs().max()  # activations have 15 bits, and steps pass their errors on
        assert error > 0
    assert "int8" in stream.explain().reason


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("hidden", [5, 33, 64])
def test_bf16_is_the_layer_with_rounded_weights(name: str, hidden: int) -> None:
    layer = lively(name, 19, hidden, num_layers=2, dtype=torch.float32)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(0.3)
    stream = layer.stream(4, weights="bf16")
    exact = layer.double()
    with torch.no_grad():
        for key, parameter in exact.named_parameters():
            if key.startswith(("weight_ih", "weight_hh", "weight_hr")):
                parameter.copy_(parameter.float().bfloat16())
    x, ids = torch.randn(T, 4, 19), torch.randint(19, (T, 4))
    for given, features in ((x, x), (ids, F.one_hot(ids, 19))):
        stream.reset()
        expected, _ = whole(exact, features.double())
        assert (stream.run(given) - expected).abs().max() <= 2e-5 * expected.abs().max()
    assert "bf16" in stream.explain().reason


def test_int8_passes_what_is_not_a_number_on() -> None:
    stream = make("rnn_tanh", 4, 3, dtype=torch.float32).stream(weights="int8")
    assert stream.step(torch.tensor([[0.0, torch.nan, 1.0, 1.0]])).isnan().all()
    stream.reset()
    layer = stream._snapshot.layer
    assert_close(
        "zeros", stream.step(torch.zeros(1, 4)), torch.tanh(layer.bias_ih_l0 + layer.bias_hh_l0)[None].detach()
    )


def test_a_named_backend_is_obeyed() -> None:
    layer = lively("lstm, learned state", num_layers=2)
    x = torch.randn(T, 3, 5, dtype=torch.float64)
    expected, state = whole(layer, x)
    for name in ("reference", "torch"):
        with longhold.use_backend(name):
            stream = layer.stream(3)
        assert stream.backend == name
        assert "use_backend" in stream.explain().refused["cpu"]
        assert_close(name, torch.stack([stream.step(x_t) for x_t in x]), expected)
        assert_state(stream, state)
        stream.reset([1])
        assert torch.equal(stream.state[0][:, 1], layer.initial_state(3)[0][:, 1])
        stream.state = state
        assert_close(f"{name} from a state", stream.run(x), whole(layer, x, state)[0])
        with pytest.raises(IndexError, match=r"5 .*0\.\.4"):
            stream.step(torch.tensor([0, 5, 1]))
    with longhold.use_backend("cpu"):
        assert layer.stream(3).backend == "cpu"
        with pytest.raises(BackendRefused, match="bfloat16"):
            layer.bfloat16().stream(3)


def test_where_the_stepper_cannot_run_the_layer_is_stepped() -> None:
    layer = lively("gru").bfloat16()
    stream, x = layer.stream(3), torch.randn(T, 3, 5, dtype=torch.bfloat16)
    assert stream.backend in ("torch", "reference")
    assert "bfloat16" in stream.explain().refused["cpu"]
    assert_close("output", torch.stack([stream.step(x_t) for x_t in x]), layer(x)[0])
    expected = stream.state.clone()
    with torch.no_grad():
        layer.weight_hh_l0.zero_()
    assert torch.equal(stream.state, expected)
    with pytest.raises(ValueError, match="int8"):
        layer.stream(3, weights="int8")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert "autocast" in make("gru", 2, 3, dtype=torch.float32).stream().explain().refused["cpu"]


def test_one_thread_at_a_time() -> None:
    layer = make("lstm", 256, 256, dtype=torch.float32)
    stream, x, refused = layer.stream(), torch.randn(3000, 1, 256), []
    worker = threading.Thread(target=stream.run, args=(x,))
    worker.start()
    while worker.is_alive():
        try:
            stream.step(x[0])
        except RuntimeError as error:
            refused.append(str(error))
    worker.join()
    assert "another thread" in refused[0]


def build(name: str = "lstm", **options: Any) -> Any:
    return lively(name, dtype=torch.float32, **options)


@pytest.mark.parametrize(
    ("call", "error", "line"),
    [
        (lambda: build(bidirectional=True).stream(), ValueError, "bidirectional"),
        (lambda: build().stream(0), ValueError, "batch .* 0"),
        (lambda: build().stream(True), ValueError, "batch .* True"),
        (lambda: build().stream(weights="int4"), ValueError, "'bf16' or 'int8', got 'int4'"),
        (lambda: build().double().stream(weights="int8"), ValueError, "float64"),
        (lambda: build().double().stream(weights="bf16"), ValueError, "bf16 weights go with float32"),
        (lambda: build().stream().step(torch.zeros(2, 5)), ValueError, r"\(1, 5\), or \(1\) for ids, got \[2, 5\]"),
        (lambda: build().stream().step(torch.zeros(5)), ValueError, r"got \[5\]"),
        (lambda: build().stream(None).step(torch.zeros(1, 5)), ValueError, r"\(5\), or \(\) for ids, got \[1, 5\]"),
        (lambda: build().stream().step(torch.zeros(1, 4)), RuntimeError, "Expected 5, got 4"),
        (lambda: build().stream().step(torch.zeros(1, 5).double()), ValueError, "float64"),
        (lambda: build().stream().step(np.zeros((1, 5))), ValueError, "float64"),
        (lambda: build().stream().step(torch.tensor([True])), TypeError, "bool"),
        (lambda: build().stream().step(torch.tensor([5])), IndexError, r"5 .*0\.\.4"),
        (lambda: build().stream().step(torch.tensor([-1])), IndexError, "-1"),
        (
            lambda: build().stream().step_into(torch.zeros(1, 5), torch.zeros(1, 5)),
            ValueError,
            r"\(1, 6\), got \[1, 5\]",
        ),
        (lambda: build().stream().run(torch.zeros(2, 5)), ValueError, r"\(T, 1, 5\), or \(T, 1\) for ids"),
        (lambda: build().stream().run(torch.zeros(0, 1, 5)), RuntimeError, "larger than 0"),
        (lambda: build().stream(3).reset([3]), ValueError, "0 to 2.* 3"),
        (lambda: build().stream(3).reset([-1]), ValueError, "-1"),
        (lambda: build().stream(3).reset(torch.tensor([True])), ValueError, "True"),
        (lambda: setattr(build().stream(), "state", torch.zeros(1, 1, 6)), RuntimeError, "pair"),
        (lambda: setattr(build("gru").stream(), "state", torch.zeros(1, 2, 6)), RuntimeError, r"\(1, 1, 6\)"),
    ],
)
def test_what_cannot_be_is_one_line(call: Any, error: type[Exception], line: str) -> None:
    with pytest.raises(error, match=line) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("key", ["weight_hh_l1", "bias_ih_l0"])
def test_weights_that_are_not_finite_are_refused_by_name(value: float, key: str) -> None:
    layer = build(num_layers=2)
    with torch.no_grad():
        getattr(layer, key)[1] = value
    with pytest.raises(ValueError, match=key):
        layer.stream()


def test_a_refused_input_leaves_the_state() -> None:
    stream = build().stream(2)
    stream.step(torch.randn(2, 5))
    before = fields_of(stream.state)
    for bad in (torch.zeros(2, 4), torch.tensor([0, 9])):
        with pytest.raises((RuntimeError, IndexError)):
            stream.step(bad)
    assert all(map(torch.equal, before, fields_of(stream.state)))


def test_what_is_written_into_is_known_to_autograd() -> None:
    stream = longhold.GRU(3, 4).stream()
    out, weight = torch.zeros(1, 4), torch.randn(1, 4, requires_grad=True)
    loss = (out * weight).sum()
    stream.step_into(torch.randn(1, 3), out)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        stream.step_into(torch.randn(1, 3), torch.zeros(1, 4, requires_grad=True))
    with torch.inference_mode():
        inference = torch.zeros(1, 4)
        stream.step_into(torch.randn(1, 3), inference)
    assert inference.any()


@pytest.mark.parametrize("name", ["weight_hh_l0", "bias_ih_l1", "weight_ih_l1"])
def test_weights_of_another_shape_are_refused_by_name(name: str) -> None:
    layer = longhold.LSTM(3, 4, 2)
    shape = getattr(layer, name).shape
    setattr(layer, name, torch.nn.Parameter(torch.randn(shape[0] - 1, *shape[1:])))
    with pytest.raises(RuntimeError, match=rf"{name[:-3]} should have shape \({shape[0]},"):
        layer.stream()


def test_draws_take_float64_uniforms_of_their_shape() -> None:
    layer, output = longhold.GRU(5, 4), torch.nn.Linear(4, 5)
    weights = StreamWeights(
        layer.recurrence, layer._parameters_by_direction(), (torch.zeros(1, 4),), output=(output.weight, output.bias)
    )
    stream, rules = NativeStream(weights, 2), {"temperature": 1.0, "top_k": None, "top_p": 1.0, "min_p": 0.0}
    ids = torch.tensor([0, 1])
    for wrong in (torch.rand(3, 2), torch.rand(3, 1, dtype=torch.float64)):
        with pytest.raises(RuntimeError, match="uniforms should have"):
            stream.draw(ids, wrong, **rules)
    with pytest.raises(RuntimeError, match="is on meta"):
        stream.draw(ids, torch.rand(3, 2, dtype=torch.float64, device="meta"), **rules)
    uniforms, state = torch.rand(3, 2, dtype=torch.float64), stream.state()
    expected = stream.draw(ids, uniforms, **rules)
    stream.set_state(state)
    assert torch.equal(stream.draw(ids, torch._neg_view(-uniforms), **rules), expected)


COPIED: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    **{name: (name, {"num_layers": 2, "dtype": torch.float64}, {}) for name in CELLS},
    "bf16": ("lstm", {"dtype": torch.float32}, {"weights": "bf16"}),
    "int8": ("gru", {"dtype": torch.float32}, {"weights": "int8"}),
    "wide": ("gru", {"dtype": torch.float32, "hidden": 300}, {}),
    "stepped layer": ("lstm", {"dtype": torch.bfloat16}, {}),
}


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
@pytest.mark.parametrize("case", COPIED)
def test_a_copy_goes_on_from_the_same_state_on_its_own(case: str, how: Any) -> None:
    name, options, storage = COPIED[case]
    layer = lively(name, **options)
    x = torch.randn(T, 3, 5, dtype=layer.weight_ih_l0.dtype)
    stream = layer.stream(3, **storage)
    stream.run(x[:3])
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(1)  # a stream keeps the weights of its beginning, and so do its copies
    copied = how(stream)
    before = fields_of(copied.state)
    expected = stream.run(x[3:])
    for left, there in zip(fields_of(copied.state), before, strict=True):
        assert torch.equal(left, there), "the first one's steps are not the copy's"
    assert torch.equal(copied.run(x[3:]), expected)
    assert torch.equal(copied.step(x[0]), stream.step(x[0]))
    assert repr(copied) == repr(stream)
    copied.reset()
    assert not torch.equal(fields_of(copied.state)[0], fields_of(stream.state)[0])
    again = how(copied)
    del copied, stream
    assert torch.isfinite(again.step(x[0])).all()


def test_a_model_with_a_stream_is_copied_whole() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = longhold.GRU(5, 6)
            self.streams = {"one": self.layer.stream()}

    model = Model()
    x = torch.randn(1, 5)
    model.streams["one"].step(x)
    copied = copy.deepcopy(model)
    assert copied.streams["one"]._snapshot.layer is copied.layer
    assert torch.equal(copied.streams["one"].state, model.streams["one"].state)
    assert np.array_equal(copied.streams["one"].step(x.numpy()), model.streams["one"].step(x.numpy()))


@pytest.mark.parametrize(
    "make_stream", [lambda: longhold.GRU(5, 6).stream(), lambda: lively("gru").bfloat16().stream()]
)
def test_a_stream_that_is_to_be_pickled_says_what_can_be(make_stream: Any) -> None:
    for held in (make_stream(), {"held": [make_stream()]}):
        with pytest.raises(
            TypeError, match=r"^a stream cannot be pickled: pickle the layer and stream\.state, and set"
        ):
            pickle.dumps(held)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e38])
def test_a_reset_forgets_what_was_not_a_number(name: str, value: float) -> None:
    layer = getattr(longhold, name)(3, 5, layer_norm=True)
    spoilt, new, x = layer.stream(2), layer.stream(2), torch.randn(4, 2, 3)
    spoilt.step(torch.full((2, 3), value))
    spoilt.reset()
    assert torch.equal(spoilt.run(x), new.run(x))
