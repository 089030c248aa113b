"""Wrong calls: torch.nn's exception types and messages, and clear refusals of what is ours alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import longhold
from longhold.kernels import BackendRefused
from tests.layers.twins import BACKENDS, make, packed, state_for

NAMES = ("RNN", "GRU", "LSTM")

# name, layers it concerns, positional arguments, keywords, what both messages speak of
CONSTRUCTIONS: list[tuple[str, tuple[str, ...], tuple[Any, ...], dict[str, Any], str]] = [
    ("no input", NAMES, (0, 4), {}, "input_size"),
    ("negative input", NAMES, (-3, 4), {}, "input_size"),
    ("no units", NAMES, (3, 0), {}, "hidden_size"),
    ("negative units", NAMES, (3, -1), {}, "hidden_size"),
    ("no layers", NAMES, (3, 4, 0), {}, "num_layers"),
    ("negative layers", NAMES, (3, 4, -2), {}, "num_layers"),
    ("float input", NAMES, (3.0, 4), {}, "input_size.*int"),
    ("float units", NAMES, (3, 4.5), {}, "hidden_size.*int"),
    ("text units", NAMES, (3, "4"), {}, "hidden_size.*int"),
    ("float layers", NAMES, (3, 4), {"num_layers": 2.0}, "int"),
    ("text layers", NAMES, (3, 4), {"num_layers": "2"}, "int"),
    ("dropout above 1", NAMES, (3, 4, 2), {"dropout": 1.5}, "dropout.*range"),
    ("dropout below 0", NAMES, (3, 4, 2), {"dropout": -0.1}, "dropout.*range"),
    ("dropout bool", NAMES, (3, 4, 2), {"dropout": True}, "dropout.*range"),
    ("dropout text", NAMES, (3, 4, 2), {"dropout": "x"}, "x"),
    ("bias int", NAMES, (3, 4), {"bias": 1}, "bias.*bool"),
    ("batch_first int", NAMES, (3, 4), {"batch_first": 0}, "batch_first.*bool"),
    ("projection too wide", ("LSTM",), (3, 4), {"proj_size": 4}, "proj_size.*smaller"),
    ("projection negative", ("LSTM",), (3, 4), {"proj_size": -1}, "proj_size.*positive"),
    ("projection float", ("LSTM",), (3, 4), {"proj_size": 1.5}, "float"),
    ("projection elsewhere", ("RNN", "GRU"), (3, 4), {"proj_size": 2}, "proj_size"),
    ("unknown nonlinearity", ("RNN",), (3, 4), {"nonlinearity": "sin"}, "sin.*tanh.*relu"),
    ("nonlinearity elsewhere", ("GRU", "LSTM"), (3, 4), {"nonlinearity": "tanh"}, "nonlinearity"),
    ("unknown keyword", NAMES, (3, 4), {"bogus": 1}, "bogus"),
    ("no hidden size", NAMES, (3,), {}, "hidden_size"),
]


@pytest.mark.parametrize(
    ("name", "arguments", "keywords", "about"),
    [
        pytest.param(name, arguments, keywords, about, id=f"{name} {case}")
        for case, names, arguments, keywords, about in CONSTRUCTIONS
        for name in names
    ],
)
def test_wrong_constructions(name: str, arguments: tuple[Any, ...], keywords: dict[str, Any], about: str) -> None:
    with pytest.raises(Exception, match=about) as theirs:
        getattr(nn, name)(*arguments, **keywords)
    with pytest.raises(Exception, match=about) as ours:
        getattr(longhold, name)(*arguments, **keywords)
    assert ours.type is theirs.type


def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.zeros(shape, dtype=dtype)


def hx_of(name: str, *shape: int, dtype: torch.dtype = torch.float32) -> Any:
    one = zeros(*shape, dtype=dtype)
    return (one, one) if name == "LSTM" else one


def in_order(x: Tensor, lengths: tuple[int, ...]) -> nn.utils.rnn.PackedSequence:
    return nn.utils.rnn.pack_padded_sequence(x, lengths)


Call = Callable[[Any, str], Any]
CALLS: list[tuple[str, tuple[str, ...], Call, str]] = [
    ("1-D input", NAMES, lambda layer, n: layer(zeros(3)), "2-?D or 3-?D.*1-?D"),
    ("4-D input", NAMES, lambda layer, n: layer(zeros(2, 2, 2, 3)), "2-?D or 3-?D.*4-?D"),
    ("features", NAMES, lambda layer, n: layer(zeros(5, 2, 7)), "input_size.*3.*7"),
    ("features unbatched", NAMES, lambda layer, n: layer(zeros(5, 7)), "input_size.*3.*7"),
    ("double input", NAMES, lambda layer, n: layer(zeros(5, 2, 3, dtype=torch.float64)), "float64.*float32"),
    ("integer input", NAMES, lambda layer, n: layer(zeros(5, 2, 3, dtype=torch.int64)), "int64.*float32"),
    ("2-D hx", NAMES, lambda layer, n: layer(zeros(5, 5, 3), hx_of(n, 2, 4)), "3-D.*2-D"),
    ("3-D hx unbatched", NAMES, lambda layer, n: layer(zeros(5, 3), hx_of(n, 2, 1, 4)), "2-D.*3-D"),
    ("hx of one layer", NAMES, lambda layer, n: layer(zeros(5, 5, 3), hx_of(n, 1, 5, 4)), r"2, 5, 4.*1, 5, 4"),
    ("hx of another batch", NAMES, lambda layer, n: layer(zeros(5, 5, 3), hx_of(n, 2, 3, 4)), r"2, 5, 4.*2, 3, 4"),
    ("hx of other units", NAMES, lambda layer, n: layer(zeros(5, 5, 3), hx_of(n, 2, 5, 3)), r"2, 5, 4.*2, 5, 3"),
    ("unbatched hx of one layer", NAMES, lambda layer, n: layer(zeros(5, 3), hx_of(n, 1, 4)), "size.*2.*1"),
    ("double hx", NAMES, lambda layer, n: layer(zeros(5, 5, 3), hx_of(n, 2, 5, 4, dtype=torch.float64)), "type"),
    ("no steps", NAMES, lambda layer, n: layer(zeros(0, 0, 3)), "sequence length"),
    ("no steps unbatched", NAMES, lambda layer, n: layer(zeros(0, 3)), "sequence length"),
    ("no tensor", NAMES, lambda layer, n: layer([1, 2]), "list"),
    ("nothing", NAMES, lambda layer, n: layer(None), "None"),
    ("hx a pair", ("RNN", "GRU"), lambda layer, n: layer(zeros(5, 5, 3), (zeros(2, 5, 4),) * 2), "tuple"),
    ("hx no pair", ("LSTM",), lambda layer, n: layer(zeros(5, 5, 3), zeros(2, 5, 4)), "h.*c"),
    ("hx a triple", ("LSTM",), lambda layer, n: layer(zeros(5, 5, 3), (zeros(2, 5, 4),) * 3), "two|pair"),
    (
        "c of other units",
        ("LSTM",),
        lambda layer, n: layer(zeros(5, 5, 3), (zeros(2, 5, 4), zeros(2, 5, 3))),
        r"2, 5, 4.*2, 5, 3",
    ),
    ("c 2-D", ("LSTM",), lambda layer, n: layer(zeros(5, 5, 3), (zeros(2, 5, 4), zeros(2, 4))), "3-D.*2-D"),
    ("packed hx", NAMES, lambda layer, n: layer(in_order(zeros(5, 3, 3), (5, 3, 2)), hx_of(n, 2, 2, 4)), "2.*3|3.*2"),
    ("packed double", ("RNN", "GRU"), lambda layer, n: layer(packed(zeros(5, 1, 3).double(), (5,))), "float64.*32"),
    ("unknown keyword", NAMES, lambda layer, n: layer(zeros(5, 2, 3), bogus=1), "bogus"),
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize(
    ("name", "call", "about"),
    [pytest.param(n, call, about, id=f"{n} {case}") for case, names, call, about in CALLS for n in names],
)
def test_wrong_calls(backend: str, batch_first: bool, name: str, call: Call, about: str) -> None:
    theirs, ours = (getattr(home, name)(3, 4, 2, batch_first=batch_first) for home in (nn, longhold))
    with pytest.raises(Exception, match=f"(?s){about}") as expected:
        call(theirs, name)
    with longhold.use_backend(backend), pytest.raises(Exception, match=f"(?s){about}") as actual:
        call(ours, name)
    assert actual.type is expected.type


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("grad", [False, True])
def test_a_packed_sequence_of_the_wrong_width_is_refused(
    backend: str, name: str, dtype: torch.dtype, grad: bool
) -> None:
    # torch 2.13 gives garbage here for a float32 LSTM without gradients, and no error
    layer = getattr(longhold, name)(3, 4, dtype=dtype)
    with longhold.use_backend(backend), torch.set_grad_enabled(grad):
        for width in (1, 2, 7):
            with pytest.raises(RuntimeError, match=f"input_size.*3.*{width}"):
                layer(packed(zeros(5, 3, width, dtype=dtype), (5, 2, 3)))


@pytest.mark.parametrize("name", NAMES)
def test_a_packed_sequence_of_the_wrong_type_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"float64.*float32"):
        getattr(longhold, name)(3, 4)(packed(zeros(5, 3, 3, dtype=torch.float64), (5, 2, 3)))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("cell", ["rnn_tanh", "gru", "lstm"])
def test_a_packed_sequence_takes_neither_lengths_nor_reset(backend: str, cell: str) -> None:
    layer = make(cell, 3, 4)
    sequence = packed(torch.zeros(5, 2, 3, dtype=torch.float64), (5, 2))
    with longhold.use_backend(backend):
        with pytest.raises(ValueError, match=r"PackedSequence.*lengths"):
            layer(sequence, lengths=[5, 2])
        with pytest.raises(ValueError, match=r"PackedSequence.*reset"):
            layer(sequence, reset=torch.zeros(5, 2, dtype=torch.bool))


WRONG_LENGTHS: list[tuple[Any, type[Exception], str]] = [
    ([3, -2], ValueError, "from 0 to 5, the number of steps, got -2"),
    ([0, -1], ValueError, "got -1"),
    ([3, 6], ValueError, r"\b6\b"),
    (torch.tensor([6, 0]), ValueError, r"\b6\b"),
    (torch.tensor([9, 1]), ValueError, r"\b9\b"),
    ([3], ValueError, "shape.*2"),
    ([3, 3, 3], ValueError, "shape.*2"),
    ([[3, 3]], ValueError, "shape.*2"),
    ([2.5, 3.0], TypeError, "integers.*float"),
    ([True, True], TypeError, "integers.*bool"),
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("lengths", "kind", "about"), WRONG_LENGTHS, ids=str)
def test_wrong_lengths(backend: str, lengths: Any, kind: type[Exception], about: str) -> None:
    layer = make("gru", 3, 4)
    with longhold.use_backend(backend), pytest.raises(kind, match=about):
        layer(torch.zeros(5, 2, 3, dtype=torch.float64), lengths=lengths)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [(5,), (2, 5), (5, 1), (4, 2), (5, 2, 1), ()], ids=str)
def test_resets_of_the_wrong_shape(backend: str, shape: tuple[int, ...]) -> None:
    layer = make("gru", 3, 4)
    with longhold.use_backend(backend), pytest.raises(ValueError, match=r"reset.*5, 2"):
        layer(torch.zeros(5, 2, 3, dtype=torch.float64), reset=torch.zeros(shape, dtype=torch.bool))


@pytest.mark.parametrize("backend", BACKENDS)
def test_resets_that_are_not_bool(backend: str) -> None:
    layer = make("gru", 3, 4)
    for dtype in (torch.int64, torch.float32):
        with longhold.use_backend(backend), pytest.raises(TypeError, match="bool"):
            layer(torch.zeros(5, 2, 3, dtype=torch.float64), reset=torch.zeros(5, 2, dtype=dtype))


RATES = ("recurrent_dropout", "weight_dropout", "zoneout")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan"), True, "much"])
def test_rates_that_are_none(name: str, rate: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rate):
        getattr(longhold, name)(3, 4, **{rate: value})


@pytest.mark.parametrize("rate", ["recurrent_dropout", "weight_dropout"])
def test_dropping_everything_is_refused_where_it_would_divide_by_zero(rate: str) -> None:
    with pytest.raises(ValueError, match=f"{rate}.*1"):
        longhold.LSTM(3, 4, **{rate: 1.0})


def test_zoneout_takes_one_rate_or_two() -> None:
    for wrong in ((0.1,), (0.1, 0.2, 0.3)):
        with pytest.raises(ValueError, match="zoneout"):
            longhold.LSTM(3, 4, zoneout=wrong)
    with pytest.raises(ValueError, match="zoneout"):
        longhold.GRU(3, 4, zoneout=(0.1, 0.2))


def test_an_empty_batch_takes_lengths_and_resets() -> None:
    layer = make("lstm", 3, 4)
    x = torch.zeros(5, 0, 3, dtype=torch.float64)
    none = torch.zeros(0, dtype=torch.int64)
    reset = torch.zeros(5, 0, dtype=torch.bool)
    for call in ({"lengths": none}, {"reset": reset}, {"lengths": none, "reset": reset}):
        output, (h_n, c_n) = layer(x, **call)
        assert (output.shape, h_n.shape, c_n.shape) == ((5, 0, 4), (1, 0, 4), (1, 0, 4))
        with longhold.use_backend("torch"), pytest.raises(BackendRefused, match="empty batch"):
            layer(x, **call)


def test_masks_of_another_layer_are_refused() -> None:
    small, deep = make("lstm", 3, 4, zoneout=0.5), make("lstm", 3, 4, num_layers=2, zoneout=0.5)
    x = torch.zeros(5, 2, 3, dtype=torch.float64)
    with pytest.raises(ValueError, match="masks"):
        deep(x, masks=small.draw_masks(5, 2))
    with pytest.raises(ValueError, match="masks"):
        small(x, masks=small.draw_masks(4, 2))
    with pytest.raises(ValueError, match="masks"):
        small(x, masks=small.draw_masks(5, 3))


def test_wrong_calls_leave_the_layer_as_it_was() -> None:
    layer = make("lstm", 3, 4)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    before, _ = layer(x)
    for wrong in (torch.zeros(5, 2, 7, dtype=torch.float64), torch.zeros(5, 2, 3)):
        with pytest.raises((RuntimeError, ValueError)):
            layer(wrong)
    with pytest.raises(RuntimeError):
        layer(x, tuple(state_for(make("lstm", 3, 5), 2).values()))
    assert torch.equal(layer(x)[0], before)
