"""The LSTM as the tutorial writes it, to be read, and its exact conversion to torch's fused parameters.

The form of "Dive into Deep Learning", chapter "LSTM": twelve parameters, row vectors multiplied from the left.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from longhold.cells.lstm import LSTMState


class TutorialLSTM(NamedTuple):
    """The twelve parameters: `W_x.` is (I, H), `W_h.` is (H, H), `b_.` is (H,)."""

    W_xi: Tensor
    W_hi: Tensor
    b_i: Tensor
    W_xf: Tensor
    W_hf: Tensor
    b_f: Tensor
    W_xo: Tensor
    W_ho: Tensor
    b_o: Tensor
    W_xc: Tensor
    W_hc: Tensor
    b_c: Tensor


def tutorial_lstm(inputs: Tensor, state: LSTMState, params: TutorialLSTM) -> tuple[Tensor, LSTMState]:
    """The whole sequence, step by step in the three phases: forget, remember selectively, output.

    `inputs` is (T, B, I), `state` holds H and C, each (B, H). Returns H of every step, (T, B, H), and the last state.
    """
    p = params
    H, C = state
    outputs = []
    for X in inputs:
        forget = torch.sigmoid(X @ p.W_xf + H @ p.W_hf + p.b_f)
        admit = torch.sigmoid(X @ p.W_xi + H @ p.W_hi + p.b_i)
        candidate = torch.tanh(X @ p.W_xc + H @ p.W_hc + p.b_c)
        C = forget * C + admit * candidate
        show = torch.sigmoid(X @ p.W_xo + H @ p.W_ho + p.b_o)
        H = show * torch.tanh(C)
        outputs.append(H)
    return torch.stack(outputs), LSTMState(H, C)


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
