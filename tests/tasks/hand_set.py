"""Layers whose weights were set by hand so that they solve a task: what is representable, apart from what is learnt."""

from dataclasses import dataclass

import torch
from torch import Tensor

import longhold

OPEN = 30.0
"""A pre-activation at which float32's sigmoid and tanh are 1; at its negative the sigmoid is below 1e-13."""


@dataclass
class Network:
    """A recurrent layer and a linear readout of its output."""

    layer: torch.nn.Module
    weight: Tensor
    """`(output_size, H)`."""
    bias: Tensor | float = 0.0

    @torch.no_grad()
    def __call__(self, inputs: Tensor) -> Tensor:
        return self.layer(inputs)[0] @ self.weight.T + self.bias


def zeroed(layer):
    """The same layer with every parameter 0."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    return layer


@torch.no_grad()
def automaton(states, symbols, start, step, output_size, answer):
    """A relu RNN that walks a finite automaton, exact at any length.

    One unit for each pair (state, symbol) says "I was in this state and have read this symbol": it adds the units that
    led to the state to the indicator of the symbol and subtracts 1. The automaton starts by a unit that is 1 at first.

    Args:
        states, symbols: how many.
        start: the first state.
        step: `step(state, symbol)`, the next state.
        output_size: how many answers.
        answer: `answer(state, symbol)`, the answer once the symbol is read in the state; None: no answer is asked.
    """
    pairs = [(state, symbol) for state in range(states) for symbol in range(symbols)]
    layer = zeroed(longhold.RNN(symbols, len(pairs) + 1, nonlinearity="relu", learn_initial_state=True))
    weight = torch.zeros(output_size, len(pairs) + 1)
    layer.h_0_l0[-1] = 1
    layer.bias_hh_l0[:-1] = -1
    for unit, (state, symbol) in enumerate(pairs):
        layer.weight_ih_l0[unit, symbol] = 1
        layer.weight_hh_l0[unit, :-1] = torch.tensor([float(step(*before) == state) for before in pairs])
        layer.weight_hh_l0[unit, -1] = float(state == start)
        if (given := answer(state, symbol)) is not None:
            weight[given, unit] = 1
    return Network(layer, weight)


@torch.no_grad()
def delay_line(lag, input_size, remembered):
    """A relu RNN that is a shift register: its last block of units is the one-hot vector of the input `lag` steps ago.

    Args:
        lag: the delay in steps.
        input_size: how many ids there are.
        remembered: the ids that enter the line, in the order of the answers.
    """
    width = len(remembered)
    layer = zeroed(longhold.RNN(input_size, (lag + 1) * width, nonlinearity="relu"))
    for place, token in enumerate(remembered):
        layer.weight_ih_l0[place, token] = 1
    layer.weight_hh_l0[width:, :-width] = torch.eye(lag * width)
    weight = torch.zeros(width, (lag + 1) * width)
    weight[:, -width:] = torch.eye(width)
    return Network(layer, weight)


@torch.no_grad()
def lstm_latch(input_size, symbols):
    """One cell for each of the first `symbols` ids; the input gates open for those alone, and nothing is forgotten."""
    layer = zeroed(longhold.LSTM(input_size, symbols))
    i, f, g, o = (slice(k * symbols, (k + 1) * symbols) for k in range(4))
    layer.weight_ih_l0[i] = -OPEN
    layer.weight_ih_l0[i, :symbols] = OPEN
    layer.weight_ih_l0[g, :symbols] = OPEN * torch.eye(symbols)
    layer.bias_ih_l0[f] = layer.bias_ih_l0[o] = OPEN
    return Network(layer, torch.eye(symbols))


@torch.no_grad()
def gru_latch(input_size, symbols):
    """The update gate keeps the state at every id but the first `symbols`."""
    layer = zeroed(longhold.GRU(input_size, symbols))
    z, n = slice(symbols, 2 * symbols), slice(2 * symbols, 3 * symbols)
    layer.weight_ih_l0[z] = OPEN
    layer.weight_ih_l0[z, :symbols] = -OPEN
    layer.weight_ih_l0[n, :symbols] = OPEN * torch.eye(symbols)
    return Network(layer, torch.eye(symbols))


@torch.no_grad()
def tanh_latch(input_size, symbols):
    """Units that feed themselves by 3, so that 0 and about +-0.995 stay where they are."""
    layer = zeroed(longhold.RNN(input_size, symbols))
    layer.weight_ih_l0[:, :symbols] = OPEN * torch.eye(symbols)
    layer.weight_hh_l0[:] = 3 * torch.eye(symbols)
    return Network(layer, torch.eye(symbols))


@torch.no_grad()
def counting_lstm(steps, recent):
    """Cell 0 adds `steps[id]` (-1, 0 or 1) at every id; cell 1 is `recent[id]` of the last id alone.

    Outputs tanh(count) and tanh(recent), to be read out by the caller.
    """
    layer = zeroed(longhold.LSTM(len(steps), 2))
    layer.bias_ih_l0[:] = torch.tensor([OPEN, OPEN, OPEN, -OPEN, 0, 0, OPEN, OPEN])  # i, f, g, o of both cells
    layer.weight_ih_l0[4] = OPEN * torch.tensor(steps)
    layer.weight_ih_l0[5] = OPEN * torch.tensor(recent)
    return layer


@torch.no_grad()
def marked_sum_rnn():
    """u_t = relu(value + marker - 1), the marked values; s_t = relu(s_(t-1) + u_(t-1)). The sum is u + s."""
    layer = zeroed(longhold.RNN(2, 2, nonlinearity="relu"))
    layer.weight_ih_l0[0] = 1
    layer.bias_ih_l0[0] = -1
    layer.weight_hh_l0[1] = 1
    return Network(layer, torch.ones(1, 2))


@torch.no_grad()
def marked_sum_lstm(scale):
    """The input gate opens at a marker, the cell adds tanh(scale * value), and the output gate is always open."""
    layer = zeroed(longhold.LSTM(2, 1))
    layer.weight_ih_l0[0, 1] = 2 * OPEN
    layer.weight_ih_l0[2, 0] = scale
    layer.bias_ih_l0[:] = torch.tensor([-OPEN, OPEN, 0, OPEN])
    return Network(layer, torch.full((1, 1), 1 / scale))


@torch.no_grad()
def marked_product_rnn(knots):
    """Two relu layers for `x y = ((x + y)^2 - x^2 - y^2) / 2`, the squares made of straight pieces of 1 / knots.

    A square is `sum_k c_k relu(v - k / knots)` with `c_0 = 1 / knots`, else `2 / knots`. The first layer holds the
    marked value of this step and the sum of those before it, as in `marked_sum_rnn`. The second has the terms of the
    marked value's square, the same added up over the steps before, and the terms of the whole sum's square. The
    squares are too large by at most `1 / (4 knots^2)`.
    """
    layer = zeroed(longhold.RNN(2, 4 * knots, num_layers=2, nonlinearity="relu"))
    layer.weight_ih_l0[0] = 1
    layer.bias_ih_l0[0] = -1
    layer.weight_hh_l0[1, :2] = 1
    now, before, whole = slice(0, knots), slice(knots, 2 * knots), slice(2 * knots, None)
    places = torch.arange(2 * knots) / knots
    layer.weight_ih_l1[now, 0] = 1
    layer.bias_ih_l1[now] = -places[:knots]
    layer.weight_hh_l1[before, now] = layer.weight_hh_l1[before, before] = torch.eye(knots)
    layer.weight_ih_l1[whole, :2] = 1
    layer.bias_ih_l1[whole] = -places
    terms = torch.full((2 * knots,), 2 / knots)
    terms[0] = 1 / knots
    return Network(layer, torch.cat([-terms[:knots], -terms[:knots], terms])[None] / 2)


@torch.no_grad()
def associative_rnn(keys, values):
    """Ids `1 ... keys` are keys, the `values` ids above them values: the first value after a key's own is kept.

    First layer: the key read now, `k_t`; a pair completed now, `w_t = relu(k_(t-1) + [x_t is v] - 1 - kept for k)`, and
    those completed before, `s_t = s_(t-1) + w_(t-1)`. Second layer: a pair whose key is read now.
    """
    pairs = keys * values
    layer = zeroed(longhold.RNN(1 + keys + values, keys + 2 * pairs, num_layers=2, nonlinearity="relu"))
    weight = torch.zeros(1 + keys + values, keys + 2 * pairs)
    layer.weight_ih_l0[:keys, 1 : 1 + keys] = torch.eye(keys)
    for key in range(keys):
        own = [keys + key * values + v for v in range(values)]
        for value, new in enumerate(own):
            old = new + pairs
            layer.weight_ih_l0[new, 1 + keys + value] = 1
            layer.bias_ih_l0[new] = -1
            layer.weight_hh_l0[new, key] = 1
            layer.weight_hh_l0[new, own] = -1
            layer.weight_hh_l0[new, [unit + pairs for unit in own]] = -1
            layer.weight_hh_l0[old, [new, old]] = 1
            layer.weight_ih_l1[new, [key, new, old]] = 1
            layer.bias_ih_l1[new] = -1
            weight[1 + keys + value, new] = 1
    return Network(layer, weight)
