"""The one loop over time, against torch.nn run on each row and each segment alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from longhold.cells import GRURecurrence, LSTMRecurrence, LSTMState, LSTMWeights, product, unroll
from tests.helpers import assert_close

T, B, H = 6, 3, 4
LENGTHS = (6, 2, 5)


def lstm() -> tuple[nn.LSTM, Tensor, LSTMState, LSTMWeights]:
    """torch's layer, its input, and the state and weights that the loop takes."""
    layer = nn.LSTM(3, H, dtype=torch.float64)
    x = torch.randn(T, B, 3, dtype=torch.float64)
    state = LSTMState(*(torch.randn(B, H, dtype=torch.float64) for _ in range(2)))
    return layer, x, state, LSTMWeights(layer.weight_hh_l0, layer.bias_hh_l0)


def gates_x(layer: nn.LSTM, x: Tensor) -> Tensor:
    return product(x, layer.weight_ih_l0, layer.bias_ih_l0, None)


def alone(layer: nn.LSTM, x: Tensor, state: tuple[Tensor, Tensor], row: int) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs (S, H) and final h and c (H,) of one row of torch's layer."""
    hx = tuple(field[None, row : row + 1] for field in state)
    output, (h_n, c_n) = layer(x[:, row : row + 1], hx)
    return output[:, 0], h_n[0, 0], c_n[0, 0]


@pytest.mark.parametrize("reverse", [False, True])
def test_the_plain_loop_is_torchs_layer(reverse: bool) -> None:
    layer, x, state, weights = lstm()
    found = unroll(LSTMRecurrence(), gates_x(layer, x), state, weights, reverse=reverse)
    output, (h_n, c_n) = layer(x.flip(0) if reverse else x, (state.h[None], state.c[None]))
    assert_close("h", found.states[0], output.flip(0) if reverse else output)
    assert_close("h_n", found.final.h, h_n[0])
    assert_close("c_n", found.final.c, c_n[0])
    assert_close("last c", found.states[1][0 if reverse else -1], c_n[0])
    assert found.gates == ()


@pytest.mark.parametrize("reverse", [False, True])
def test_a_row_stands_still_where_it_is_not_valid(reverse: bool) -> None:
    layer, x, state, weights = lstm()
    valid = torch.arange(T)[:, None] < torch.tensor(LENGTHS)
    found = unroll(LSTMRecurrence(), gates_x(layer, x), state, weights, valid=valid, reverse=reverse)
    for b, length in enumerate(LENGTHS):
        piece = x[:length].flip(0) if reverse else x[:length]
        output, h_n, c_n = alone(layer, piece, state, b)
        assert_close("h", found.states[0][:length, b], output.flip(0) if reverse else output)
        assert not found.states[0][length:, b].any()
        assert not found.states[1][length:, b].any()
        assert_close("h_n", found.final.h[b], h_n)
        assert_close("c_n", found.final.c[b], c_n)


def test_a_reset_restores_the_initial_state() -> None:
    layer, x, state, weights = lstm()
    initial = LSTMState(*(torch.randn(B, H, dtype=torch.float64) for _ in range(2)))
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[2, 0] = reset[0, 1] = reset[5, 1] = True
    found = unroll(LSTMRecurrence(), gates_x(layer, x), state, weights, initial=initial, reset=reset)
    pieces = [(0, 0, 2, state), (0, 2, T, initial), (1, 0, 5, initial), (1, 5, T, initial), (2, 0, T, state)]
    for row, start, stop, begin in pieces:
        output, _, c_n = alone(layer, x[start:stop], begin, row)
        assert_close(f"row {row} from {start}", found.states[0][start:stop, row], output)
        assert_close(f"row {row} from {start}, c", found.states[1][stop - 1, row], c_n)


def test_gates_are_kept_on_request() -> None:
    layer, x, state, weights = lstm()
    recurrence = LSTMRecurrence()
    found = unroll(recurrence, gates_x(layer, x), state, weights, keep_gates=True)
    h, c = found.states
    i, f, g, o = found.gates
    before = torch.cat([state.c[None], c[:-1]])
    assert_close("c from gates", f * before + i * g, c)
    assert_close("h from gates", o * torch.tanh(c), h)


def test_names_and_groups() -> None:
    assert LSTMRecurrence().gate_names == ("i", "f", "g", "o")
    assert LSTMRecurrence(coupled=True).gate_names == ("i", "g", "o")
    assert GRURecurrence().gate_names == ("r", "z", "n")
    assert GRURecurrence().norm_groups(5) == (10, 5)
    assert LSTMRecurrence().norm_groups(5) == (20,)
    assert LSTMRecurrence(coupled=True).norm_groups(5) == (15,)


def test_a_normed_product_has_mean_zero_and_variance_one_in_each_group() -> None:
    x, weight = torch.randn(7, 3, dtype=torch.float64) * 100, torch.randn(12, 3, dtype=torch.float64)
    normed = product(x, weight, None, torch.ones(12, dtype=torch.float64), (8, 4))
    for part in normed.split([8, 4], -1):
        assert part.mean(-1).abs().max() < 1e-12
        assert (part.var(-1, unbiased=False) - 1).abs().max() < 1e-6
