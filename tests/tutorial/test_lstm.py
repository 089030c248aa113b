"""The tutorial's twelve matrices against torch.nn.LSTM, and the conversion there and back."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from longhold.cells import LSTMState
from longhold.tutorial.lstm import TutorialLSTM, tutorial_lstm
from tests.helpers import assert_all_close, measured

FIELDS = ("W_xi", "W_hi", "b_i", "W_xf", "W_hf", "b_f", "W_xo", "W_ho", "b_o", "W_xc", "W_hc", "b_c")


def tutorial(inputs: int, hidden: int, dtype: torch.dtype = torch.float64) -> TutorialLSTM:
    shapes = {"x": (inputs, hidden), "h": (hidden, hidden)}
    return TutorialLSTM(*(torch.randn(shapes.get(name[2], (hidden,)), dtype=dtype) for name in FIELDS))


def to_fused(params: TutorialLSTM) -> dict[str, Tensor]:
    """torch's `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh` (rows i, f, g, o) of the same function.

    The tutorial has one bias per gate: it goes to `bias_ih`, and `bias_hh` is zero.
    """
    p = params
    bias = torch.cat([p.b_i, p.b_f, p.b_c, p.b_o])
    return {
        "weight_ih": torch.cat([p.W_xi, p.W_xf, p.W_xc, p.W_xo], dim=1).T.contiguous(),
        "weight_hh": torch.cat([p.W_hi, p.W_hf, p.W_hc, p.W_ho], dim=1).T.contiguous(),
        "bias_ih": bias,
        "bias_hh": torch.zeros_like(bias),
    }


def from_fused(weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor) -> TutorialLSTM:
    """The twelve parameters of torch's fused ones.

    Weights are moved, not computed; each bias is the sum of torch's two, the only place where a rounding can occur
    (none when one of the two is zero, so `from_fused(**to_fused(p))` equals `p` bit for bit).
    """
    xi, xf, xc, xo = weight_ih.T.chunk(4, dim=1)
    hi, hf, hc, ho = weight_hh.T.chunk(4, dim=1)
    i, f, c, o = (bias_ih + bias_hh).chunk(4)
    return TutorialLSTM(xi, hi, i, xf, hf, f, xo, ho, o, xc, hc, c)


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
