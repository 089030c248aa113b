"""What a user of torch writes where nn.LSTM has no argument for it: each as fast as plain torch allows.

The loops take a one-layer `longhold.LSTM` for its parameters, whose names are torch's; products over all steps stand
before the loop.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def segments(layer: Any, x: Tensor, reset: Tensor) -> Tensor:
    """Outputs (T, B, H) of a torch.nn layer whose state restarts where `reset` (T, B) is true.

    The sequence is cut at every step where any row restarts, and the state of those rows is multiplied by zero.
    """
    cuts = [0, *(t for t in reset.any(1).nonzero().flatten().tolist() if t > 0), len(x)]
    outputs: list[Tensor] = []
    state: Any = None
    for begin, end in pairwise(cuts):
        if state is not None:
            keep = (~reset[begin]).to(x.dtype).unsqueeze(-1)  # (B, 1)
            state = tuple(part * keep for part in state) if isinstance(state, tuple) else state * keep
        output, state = layer(x[begin:end], state)
        outputs.append(output)
    return torch.cat(outputs)


def cell_states(layer: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """Hidden and cell states of every step, each (T, B, H), by the operator behind nn.LSTMCell."""
    weights = (layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0)
    h = c = x.new_zeros(x.shape[1], layer.hidden_size)
    hs, cs = [], []
    for x_t in x:
        h, c = torch.lstm_cell(x_t, (h, c), *weights)
        hs.append(h)
        cs.append(c)
    return torch.stack(hs), torch.stack(cs)


def gates(layer: Any, x: Tensor) -> tuple[Tensor, ...]:
    """h, c, i, f, g, o of every step, each (T, B, H)."""
    gates_x = F.linear(x, layer.weight_ih_l0, layer.bias_ih_l0 + layer.bias_hh_l0)
    h = c = x.new_zeros(x.shape[1], layer.hidden_size)
    steps = []
    for gates_x_t in gates_x:
        i, f, g, o = (gates_x_t + h @ layer.weight_hh_l0.T).chunk(4, dim=-1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        c = f * c + i * g
        h = o * c.tanh()
        steps.append((h, c, i, f, g, o))
    return tuple(torch.stack(field) for field in zip(*steps, strict=True))


def layer_norm(layer: Any, x: Tensor) -> Tensor:
    """Outputs (T, B, H) of an LSTM with layer norm (Ba et al. 2016)."""
    wide, narrow = (4 * layer.hidden_size,), (layer.hidden_size,)
    gates_x = F.layer_norm(F.linear(x, layer.weight_ih_l0), wide, layer.weight_norm_ih_l0, layer.bias_ih_l0)
    h = c = x.new_zeros(x.shape[1], layer.hidden_size)
    outputs = []
    for gates_x_t in gates_x:
        gates_h = F.layer_norm(h @ layer.weight_hh_l0.T, wide, layer.weight_norm_hh_l0, layer.bias_hh_l0)
        i, f, g, o = (gates_x_t + gates_h).chunk(4, dim=-1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * F.layer_norm(c, narrow, layer.weight_norm_c_l0, layer.bias_norm_c_l0).tanh()
        outputs.append(h)
    return torch.stack(outputs)


def zoneout(layer: Any, x: Tensor, keep_h: Tensor, keep_c: Tensor) -> Tensor:
    """Outputs (T, B, H) of an LSTM whose units keep their old value where a mask (T, B, H) is true (Krueger 2017)."""
    weights = (layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0)
    h = c = x.new_zeros(x.shape[1], layer.hidden_size)
    outputs = []
    for x_t, still_h, still_c in zip(x, keep_h, keep_c, strict=True):
        new_h, new_c = torch.lstm_cell(x_t, (h, c), *weights)
        h, c = torch.where(still_h, h, new_h), torch.where(still_c, c, new_c)
        outputs.append(h)
    return torch.stack(outputs)


def peepholes(layer: Any, x: Tensor) -> Tensor:
    """Outputs (T, B, H) of an LSTM whose gates see the cell state (Gers et al. 2002)."""
    p_i, p_f, p_o = layer.weight_peephole_l0.chunk(3)
    gates_x = F.linear(x, layer.weight_ih_l0, layer.bias_ih_l0 + layer.bias_hh_l0)
    h = c = x.new_zeros(x.shape[1], layer.hidden_size)
    outputs = []
    for gates_x_t in gates_x:
        i, f, g, o = (gates_x_t + h @ layer.weight_hh_l0.T).chunk(4, dim=-1)
        c = (f + p_f * c).sigmoid() * c + (i + p_i * c).sigmoid() * g.tanh()
        h = (o + p_o * c).sigmoid() * c.tanh()
        outputs.append(h)
    return torch.stack(outputs)


def reset_before(layer: Any, x: Tensor) -> Tensor:
    """Outputs (T, B, H) of a GRU whose reset gate acts before the recurrent product (Cho et al. 2014)."""
    H = layer.hidden_size
    gates_x = F.linear(x, layer.weight_ih_l0, layer.bias_ih_l0 + layer.bias_hh_l0)
    W_rz, W_n = layer.weight_hh_l0[: 2 * H].T, layer.weight_hh_l0[2 * H :].T
    h = x.new_zeros(x.shape[1], H)
    outputs = []
    for gates_x_t in gates_x:
        r, z = (gates_x_t[:, : 2 * H] + h @ W_rz).sigmoid().chunk(2, dim=-1)
        n = (gates_x_t[:, 2 * H :] + (r * h) @ W_n).tanh()
        h = n + z * (h - n)
        outputs.append(h)
    return torch.stack(outputs)
