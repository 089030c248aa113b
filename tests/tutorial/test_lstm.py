"""The tutorial's twelve matrices against torch.nn.LSTM, and the conversion there and back."""

from __future__ import annotations

import torch
from torch import nn

from longhold.cells import LSTMState
from longhold.tutorial.lstm import TutorialLSTM, from_fused, to_fused, tutorial_lstm
from tests.helpers import assert_all_close, measured

FIELDS = ("W_xi", "W_hi", "b_i", "W_xf", "W_hf", "b_f", "W_xo", "W_ho", "b_o", "W_xc", "W_hc", "b_c")


def tutorial(inputs: int, hidden: int, dtype: torch.dtype = torch.float64) -> TutorialLSTM:
    shapes = {"x": (inputs, hidden), "h": (hidden, hidden)}
    return TutorialLSTM(*(torch.randn(shapes.get(name[2], (hidden,)), dtype=dtype) for name in FIELDS))


def test_fields_are_the_tutorials_in_its_order() -> None:
    assert TutorialLSTM._fields == FIELDS


def test_equals_torchs_lstm_with_the_converted_parameters() -> None:
    params = tutorial(4, 3)
    layer = nn.LSTM(4, 3, dtype=torch.float64)
    layer.load_state_dict({f"{name}_l0": value for name, value in to_fused(params).items()})
    x, h, c = (torch.randn(s, dtype=torch.float64, requires_grad=True) for s in ((5, 2, 4), (2, 3), (2, 3)))
    leaves = {"x": x, "h": h, "c": c}
    ours = measured(lambda: tutorial_lstm(x, LSTMState(h, c), params), leaves, alone=True)

    def torchs() -> object:
        output, (h_n, c_n) = layer(x, (h[None], c[None]))
        return output, (h_n[0], c_n[0])

    assert_all_close(ours, measured(torchs, leaves, alone=True))


def test_from_torchs_parameters_it_computes_the_same() -> None:
    layer = nn.LSTM(4, 3, dtype=torch.float64)
    params = from_fused(*(value.detach() for value in layer.parameters()))
    x, zeros = torch.randn(5, 2, 4, dtype=torch.float64), torch.zeros(2, 3, dtype=torch.float64)
    outputs, state = tutorial_lstm(x, LSTMState(zeros, zeros), params)
    output, (h_n, c_n) = layer(x)
    assert_all_close(
        {"output": outputs, "h": state.h, "c": state.c}, {"output": output.detach(), "h": h_n[0], "c": c_n[0]}
    )


def test_round_trip_from_the_tutorials_form_is_exact() -> None:
    for dtype in (torch.float32, torch.float64):
        params = tutorial(5, 7, dtype)
        fused = to_fused(params)
        assert {name: tuple(value.shape) for name, value in fused.items()} == {
            "weight_ih": (28, 5),
            "weight_hh": (28, 7),
            "bias_ih": (28,),
            "bias_hh": (28,),
        }
        for name, there, back in zip(FIELDS, params, from_fused(**fused), strict=True):
            assert torch.equal(there, back), name
