"""The LSTM as the tutorial writes it, to be read.

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
