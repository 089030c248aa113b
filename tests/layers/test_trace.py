"""`layer.trace`: the same run as the plain call, with states and gates of every step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import longhold
from longhold.cells import GRUGates, LSTMGates
from tests.helpers import assert_all_close, assert_close, flat, measured
from tests.layers.twins import CELLS, PLAIN, as_hx, make, packed, randn, state_for, twins

T, B = 6, 3
LENGTHS = [6, 2, 4]
RESET = torch.zeros(T, B, dtype=torch.bool)
RESET[3, 0] = RESET[1, 1] = RESET[5, 2] = True
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((cell, {}) for cell in CELLS),
    ("gru", {"reset_after": False, "layer_norm": True}),
    ("lstm_projected", {"peephole": True, "coupled_gates": True, "learn_initial_state": True}),
    ("lstm", {"zoneout": 0.3, "recurrent_dropout": 0.3}),
]


def tensors(trace: Any) -> dict[str, Tensor]:
    """States and gates of a trace, by name."""
    found = {"h": trace.h}
    if hasattr(trace, "c"):
        found["c"] = trace.c
    if hasattr(trace, "gates"):
        found |= trace.gates._asdict()
    return found


@pytest.mark.parametrize(("cell", "options"), VARIANTS, ids=str)
@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "lengths and resets"])
def test_output_and_state_are_those_of_the_plain_call(cell: str, options: dict[str, Any], pieces: bool) -> None:
    layer = make(cell, 3, 4, num_layers=2, bidirectional=True, **options)
    x, state = randn(T, B, 3), state_for(layer, B)
    call: dict[str, Any] = {"lengths": LENGTHS, "reset": RESET} if pieces else {}
    call["masks"] = layer.draw_masks(T, B)
    leaves = {"input": x} | state | dict(layer.named_parameters())

    def traced() -> tuple[Tensor, Any]:
        trace = layer.trace(x, as_hx(state), **call)
        return trace.output, trace.state

    with longhold.use_backend("reference"):
        assert_all_close(measured(traced, leaves), measured(lambda: layer(x, as_hx(state), **call), leaves))


@pytest.mark.parametrize("reverse", [False, True])
def test_lstm_states_and_gates_equal_a_loop_over_torchs_cell(reverse: bool) -> None:
    layer, _ = twins("lstm", 3, 4, bidirectional=True)
    suffix = "_l0_reverse" if reverse else "_l0"
    cell = nn.LSTMCell(3, 4, dtype=torch.float64)
    parameters = {name: getattr(layer, name + suffix) for name in dict(cell.named_parameters())}
    x = torch.randn(T, B, 3, dtype=torch.float64)
    h = c = torch.zeros(B, 4, dtype=torch.float64)
    rows: dict[int, dict[str, Tensor]] = {}
    for t in reversed(range(T)) if reverse else range(T):
        total = x[t] @ parameters["weight_ih"].T + parameters["bias_ih"]
        i, f, g, o = (total + h @ parameters["weight_hh"].T + parameters["bias_hh"]).chunk(4, 1)
        h, c = torch.func.functional_call(cell, parameters, (x[t], (h, c)))
        rows[t] = {"h": h, "c": c, "i": i.sigmoid(), "f": f.sigmoid(), "g": g.tanh(), "o": o.sigmoid()}
    trace = layer.trace(x)
    assert isinstance(trace.gates, LSTMGates)
    for name, value in tensors(trace).items():
        assert_close(name, value[int(reverse)], torch.stack([rows[t][name] for t in range(T)]))


def test_gru_states_and_gates_equal_a_loop_over_torchs_cell() -> None:
    layer, _ = twins("gru", 3, 4)
    cell = nn.GRUCell(3, 4, dtype=torch.float64)
    parameters = {name: getattr(layer, name + "_l0") for name in dict(cell.named_parameters())}
    x, h = torch.randn(T, B, 3, dtype=torch.float64), torch.zeros(B, 4, dtype=torch.float64)
    rows = []
    for x_t in x:
        from_x = (x_t @ parameters["weight_ih"].T + parameters["bias_ih"]).chunk(3, 1)
        from_h = (h @ parameters["weight_hh"].T + parameters["bias_hh"]).chunk(3, 1)
        r, z = ((a + b).sigmoid() for a, b in zip(from_x[:2], from_h[:2], strict=True))
        n = (from_x[2] + r * from_h[2]).tanh()
        h = torch.func.functional_call(cell, parameters, (x_t, h))
        rows.append({"h": h, "r": r, "z": z, "n": n})
    trace = layer.trace(x)
    assert isinstance(trace.gates, GRUGates)
    for name, value in tensors(trace).items():
        assert_close(name, value[0], torch.stack([row[name] for row in rows]))


@pytest.mark.parametrize("cell", CELLS)
def test_every_layer_and_direction_stands_in_torchs_order(cell: str) -> None:
    ours, theirs = twins(cell, 3, 4, num_layers=2, bidirectional=True)
    x = torch.randn(T, B, 3, dtype=torch.float64)
    trace = ours.trace(x)
    wide = theirs.proj_size or theirs.hidden_size
    output, state = theirs(x)
    assert_close("top forward", trace.h[2], output[..., :wide])
    assert_close("top backward", trace.h[3], output[..., wide:])
    ends = torch.stack([trace.h[0, -1], trace.h[1, 0], trace.h[2, -1], trace.h[3, 0]])
    assert_close("h_n", ends, state[0] if isinstance(state, tuple) else state)
    if isinstance(state, tuple):
        assert_close("c_n", torch.stack([trace.c[0, -1], trace.c[1, 0], trace.c[2, -1], trace.c[3, 0]]), state[1])


def test_an_rnn_has_no_gates() -> None:
    assert not hasattr(make("rnn_tanh", 3, 4).trace(torch.zeros(T, B, 3, dtype=torch.float64)), "gates")


@pytest.mark.parametrize("cell", PLAIN)
def test_batch_first_turns_and_unbatched_drops(cell: str) -> None:
    time_first, _ = twins(cell, 3, 4, bidirectional=True)
    batch_first, _ = twins(cell, 3, 4, bidirectional=True, batch_first=True)
    batch_first.load_state_dict(time_first.state_dict())
    x = torch.randn(T, B, 3, dtype=torch.float64)
    plain, turned, one = time_first.trace(x), batch_first.trace(x.transpose(0, 1)), time_first.trace(x[:, 1])
    assert_close("output", turned.output, plain.output.transpose(0, 1))
    for name, value in tensors(plain).items():
        assert value.shape[:3] == (2, T, B), name
        assert_close(f"batch_first {name}", tensors(turned)[name], value.transpose(1, 2))
        assert_close(f"unbatched {name}", tensors(one)[name], value[:, :, 1])


@pytest.mark.parametrize(("cell", "options"), VARIANTS[:-1], ids=str)
def test_rows_are_as_if_alone_and_zero_beyond_their_length(cell: str, options: dict[str, Any]) -> None:
    layer = make(cell, 3, 4, num_layers=2, bidirectional=True, **options)
    x = torch.randn(T, B, 3, dtype=torch.float64)
    padded = x.masked_fill((torch.arange(T)[:, None] >= torch.tensor(LENGTHS))[..., None], float("nan"))
    trace = tensors(layer.trace(padded, lengths=LENGTHS))
    for b, length in enumerate(LENGTHS):
        for name, value in tensors(layer.trace(x[:length, b : b + 1])).items():
            assert_close(f"row {b} {name}", trace[name][:, :length, b], value[:, :, 0])
            assert not trace[name][:, length:, b].any(), name


@pytest.mark.parametrize("cell", PLAIN)
def test_states_and_gates_are_differentiable(cell: str) -> None:
    layer = make(cell, 2, 2, num_layers=2)
    x = randn(3, 2, 2)
    assert torch.autograd.gradcheck(lambda x: tuple(tensors(layer.trace(x)).values()), (x,))
    gradient = torch.autograd.grad(layer.trace(x).h[0, 1].sum(), x)[0]
    assert gradient[:2].any()
    assert not gradient[2].any()


def test_the_gradient_with_respect_to_an_early_state_can_be_asked_for() -> None:
    layer = make("lstm", 2, 3)
    trace = layer.trace(torch.randn(5, 2, 2, dtype=torch.float64))
    assert trace.c.requires_grad
    assert trace.gates.f.requires_grad


def test_a_packed_sequence_is_refused() -> None:
    with pytest.raises(ValueError, match="PackedSequence"):
        make("lstm", 3, 4).trace(packed(torch.zeros(5, 2, 3, dtype=torch.float64), (5, 2)))


def test_the_plain_call_returns_what_torch_returns() -> None:
    for cell in CELLS:
        ours, theirs = twins(cell, 3, 4)
        x = torch.randn(T, B, 3, dtype=torch.float64)
        actual, expected = ours(x), theirs(x)
        assert type(actual) is tuple
        assert len(actual) == 2
        assert type(actual[1]) is type(expected[1])
        assert_all_close(flat(actual), flat(expected))
