"""What torch.nn cannot do, against the equations written out in `oracle.py`, rows and segments each alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import longhold
from tests.helpers import assert_all_close, assert_close, flat, measured
from tests.layers.oracle import Options, rows_and_segments, stack_alone
from tests.layers.twins import CELLS, as_hx, fields_of, is_lstm, make, on_each_backend, randn, state_for, through, twins

T, B, H = 5, 3, 4
LENGTHS = [5, 2, 4]
RESET = torch.zeros(T, B, dtype=torch.bool)
RESET[2, 0] = RESET[3, 0] = RESET[0, 1] = RESET[1, 1] = RESET[4, 2] = True

# cell, the constructor's options, the oracle's options
VARIANTS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "rnn tanh, layer norm": ("rnn_tanh", {"layer_norm": True}, {"layer_norm": True}),
    "rnn relu, layer norm": ("rnn_relu", {"layer_norm": True}, {"layer_norm": True, "nonlinearity": "relu"}),
    "gru, layer norm": ("gru", {"layer_norm": True}, {"layer_norm": True}),
    "gru 2014": ("gru", {"reset_after": False}, {"reset_after": False}),
    "gru 2014, layer norm": (
        "gru",
        {"reset_after": False, "layer_norm": True},
        {"reset_after": False, "layer_norm": True},
    ),
    "lstm, layer norm": ("lstm", {"layer_norm": True}, {"layer_norm": True}),
    "lstm, peephole": ("lstm", {"peephole": True}, {"peephole": True}),
    "lstm, coupled": ("lstm", {"coupled_gates": True}, {"coupled": True}),
    "lstm, coupled, peephole": (
        "lstm",
        {"coupled_gates": True, "peephole": True},
        {"coupled": True, "peephole": True},
    ),
    "lstm, projection, layer norm": ("lstm_projected", {"layer_norm": True}, {"layer_norm": True}),
    "lstm, everything": (
        "lstm_projected",
        {"coupled_gates": True, "peephole": True, "layer_norm": True},
        {"coupled": True, "peephole": True, "layer_norm": True},
    ),
}
NOISE = {
    "recurrent dropout": {"recurrent_dropout": 0.4},
    "zoneout": {"zoneout": 0.4},
    "weight dropout": {"weight_dropout": 0.4},
    "all noise": {"recurrent_dropout": 0.3, "zoneout": 0.3, "weight_dropout": 0.3},
}


def build(cell: str, **options: Any) -> Any:
    """A layer in which no parameter stands at a value that could hide it (gains of 1, shifts and peepholes of 0)."""
    layer = make(cell, 3, H, **options)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.6 + (parameter.dim() == 1) * 0.3)
    return layer


def expected(
    cell: str,
    layer: Any,
    x: Tensor,
    state: dict[str, Tensor],
    options: Options,
    lengths: list[int] | None = None,
    reset: Tensor | None = None,
) -> dict[str, Tensor]:
    """Outputs and gradients of the written-out equations."""
    directions = 2 if layer.bidirectional else 1
    parameters = dict(layer.named_parameters())
    kind = cell.partition("_")[0]
    if options.nonlinearity == "tanh" and cell == "rnn_relu":
        options.nonlinearity = "relu"

    def run() -> tuple[Tensor, Any]:
        if any(name.startswith("h_0_l") for name in parameters):
            names = [f"_l{k}{side}" for k in range(layer.num_layers) for side in ("", "_reverse")[:directions]]
            fields = ("h_0", "c_0") if is_lstm(layer) else ("h_0",)
            initial = tuple(
                torch.stack([parameters[f + n] for n in names])[:, None].expand(-1, x.shape[1], -1) for f in fields
            )
        else:
            initial = tuple(torch.zeros_like(v) for v in state_for(layer, x.shape[1]).values())
        runner = stack_alone(kind, parameters, layer.num_layers, directions, options)
        hx = tuple(state.values()) or initial
        output, final = rows_and_segments(runner, x, hx, initial, directions, lengths, reset)
        return output, as_hx(final)

    return measured(run, {"input": x} | state | parameters, alone=True)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("num_layers", "bidirectional", "bias"), [(1, False, True), (2, True, True), (2, False, False)]
)
@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "lengths and resets"])
def test_a_variant_is_its_equations(
    variant: str, num_layers: int, bidirectional: bool, bias: bool, pieces: bool, nan_memory: None
) -> None:
    cell, constructor, oracle = VARIANTS[variant]
    layer = build(cell, num_layers=num_layers, bidirectional=bidirectional, bias=bias, **constructor)
    x, state = randn(T, B, 3), state_for(layer, B)
    lengths, reset = (LENGTHS, RESET) if pieces else (None, None)
    actual = through(layer, x, state, alone=True, lengths=lengths, reset=reset)
    assert_all_close(actual, expected(cell, layer, x, state, Options(**oracle), lengths, reset))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize(("num_layers", "bidirectional"), [(1, False), (2, True)])
@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "lengths and resets"])
def test_given_masks_are_applied_as_the_papers_say(
    cell: str, noise: str, num_layers: int, bidirectional: bool, pieces: bool
) -> None:
    layer = build(cell, num_layers=num_layers, bidirectional=bidirectional, **NOISE[noise])
    masks = layer.draw_masks(T, B)
    x, state = randn(T, B, 3), state_for(layer, B)
    lengths, reset = (LENGTHS, RESET) if pieces else (None, None)
    actual = through(layer, x, state, alone=True, lengths=lengths, reset=reset, masks=masks)
    assert_all_close(actual, expected(cell, layer, x, state, Options(masks=masks.layers), lengths, reset))


@pytest.mark.parametrize("variant", ["gru 2014, layer norm", "lstm, everything", "rnn relu, layer norm"])
def test_masks_and_variants_together(variant: str) -> None:
    cell, constructor, oracle = VARIANTS[variant]
    noise = NOISE["all noise"] | ({"zoneout": (0.5, 0.2)} if "lstm" in cell else {})
    layer = build(cell, num_layers=2, bidirectional=True, **constructor, **noise)
    masks = layer.draw_masks(T, B)
    x, state = randn(T, B, 3), state_for(layer, B)
    actual = through(layer, x, state, alone=True, lengths=LENGTHS, reset=RESET, masks=masks)
    options = Options(**oracle, masks=masks.layers)
    assert_all_close(actual, expected(cell, layer, x, state, options, LENGTHS, RESET))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "lengths and resets"])
def test_zoneout_in_eval_is_the_expectation(cell: str, pieces: bool) -> None:
    rates = (0.3, 0.1) if "lstm" in cell else (0.3, 0.0)
    layer = build(cell, num_layers=2, bidirectional=True, zoneout=rates if "lstm" in cell else rates[0]).eval()
    x, state = randn(T, B, 3), state_for(layer, B)
    lengths, reset = (LENGTHS, RESET) if pieces else (None, None)
    actual = through(layer, x, state, alone=True, lengths=lengths, reset=reset)
    assert_all_close(actual, expected(cell, layer, x, state, Options(zoneout=rates), lengths, reset))


def test_one_zoneout_rate_counts_for_both_states() -> None:
    one, pair = build("lstm", zoneout=0.25).eval(), make("lstm", 3, H, zoneout=(0.25, 0.25)).eval()
    pair.load_state_dict(one.state_dict())
    x = torch.randn(T, B, 3, dtype=torch.float64)
    assert_all_close(flat(one(x)), flat(pair(x)))


@pytest.mark.parametrize("rates", [(0.5, 0.0), (0.0, 0.5)])
def test_zoneout_rates_of_h_and_c_are_separate(rates: tuple[float, float]) -> None:
    layer = build("lstm", zoneout=rates)
    masks = layer.draw_masks(T, B)
    drawn = masks.layers[0].zoneout_h, masks.layers[0].zoneout_c
    assert [mask is not None for mask in drawn] == [rate > 0 for rate in rates]
    x, state = randn(T, B, 3), state_for(layer, B)
    actual = through(layer, x, state, alone=True, masks=masks)
    assert_all_close(actual, expected("lstm", layer, x, state, Options(masks=masks.layers)))


@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_and_weight_dropout_rest_in_eval_mode(cell: str) -> None:
    _, theirs = twins(cell, 3, H, num_layers=2)
    noisy = make(cell, 3, H, num_layers=2, recurrent_dropout=0.5, weight_dropout=0.5).eval()
    noisy.load_state_dict(theirs.state_dict())
    x = torch.randn(T, B, 3, dtype=torch.float64)
    before = torch.get_rng_state()
    for backend, _ in on_each_backend([cell]):
        with longhold.use_backend(backend):
            assert_all_close(flat(noisy(x)), flat(theirs(x)), backend)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(CELLS))
def test_weight_dropout_on_each_backend(backend: str, cell: str) -> None:
    layer = build(cell, num_layers=2, bidirectional=True, weight_dropout=0.4)
    masks = layer.draw_masks(T, B)
    x, state = randn(T, B, 3), state_for(layer, B)
    with longhold.use_backend(backend):
        actual = through(layer, x, state, alone=True, lengths=LENGTHS, reset=RESET, masks=masks)
    answer = expected(cell, layer, x, state, Options(masks=masks.layers), LENGTHS, RESET)
    assert_all_close(actual, answer)
    for name, mask in zip(("l0", "l0_reverse", "l1", "l1_reverse"), masks.layers, strict=True):
        assert not actual[f"d_weight_hh_{name} through all"][mask.weight_dropout == 0].any()


def test_dropped_weights_stay_raw() -> None:
    layer = build("lstm", weight_dropout=0.5)
    before = layer.weight_hh_l0.detach().clone()
    output, _ = layer(torch.randn(T, B, 3, dtype=torch.float64))
    output.sum().backward()
    assert isinstance(layer.weight_hh_l0, torch.nn.Parameter)
    assert torch.equal(layer.weight_hh_l0, before)
    assert list(layer.state_dict()) == list(torch.nn.LSTM(3, H).state_dict())


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("noise", NOISE)
def test_what_is_drawn_is_what_is_used(cell: str, noise: str) -> None:
    layer = build(cell, num_layers=2, **NOISE[noise])
    x = torch.randn(T, B, 3, dtype=torch.float64)
    torch.manual_seed(4)
    drawn = flat(layer(x))
    torch.manual_seed(4)
    masks = layer.draw_masks(T, B)
    before = torch.get_rng_state()
    given = flat(layer(x, masks=masks))
    assert torch.equal(torch.get_rng_state(), before), "masks were given, and still something was drawn"
    assert all(torch.equal(given[name], drawn[name]) for name in drawn)
    assert not torch.equal(layer(x)[0], drawn["output"])


def test_shapes_values_and_rates_of_masks() -> None:
    layer = make("lstm_projected", 3, 50, num_layers=2, bidirectional=True)
    assert layer.draw_masks(6, 7) == longhold.layers.Masks(tuple(longhold.layers.LayerMasks() for _ in range(4)))
    options: dict[str, Any] = {"recurrent_dropout": 0.2, "zoneout": (0.3, 0.6), "weight_dropout": 0.5}
    layer = make("lstm_projected", 3, 200, num_layers=2, bidirectional=True, **options | {"proj_size": 30})
    masks = layer.draw_masks(6, 40)
    assert len(masks.layers) == 4
    for mask in masks.layers:
        shapes = (mask.recurrent_dropout, mask.zoneout_h, mask.zoneout_c, mask.weight_dropout)
        assert [tuple(m.shape) for m in shapes] == [(40, 30), (6, 40, 30), (6, 40, 200), (800, 30)]
        for scaled, rate in ((mask.recurrent_dropout, 0.2), (mask.weight_dropout, 0.5)):
            assert scaled.dtype == torch.float64
            values = torch.tensor([0.0, 1 / (1 - rate)], dtype=torch.float64)
            assert torch.isin(scaled, values).all()
            assert abs((scaled == 0).double().mean().item() - rate) < 5 * (rate * (1 - rate) / scaled.numel()) ** 0.5
        for zone, rate in ((mask.zoneout_h, 0.3), (mask.zoneout_c, 0.6)):
            assert zone.dtype == torch.bool
            assert abs(zone.double().mean().item() - rate) < 5 * (rate * (1 - rate) / zone.numel()) ** 0.5
    first, second = masks.layers[:2]
    assert not torch.equal(first.zoneout_c, second.zoneout_c)


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(CELLS))
@pytest.mark.parametrize("with_hx", [False, True])
def test_the_learned_initial_state_starts_and_restarts(cell: str, backend: str, with_hx: bool) -> None:
    layer = build(cell, num_layers=2, bidirectional=True, learn_initial_state=True)
    x, state = randn(T, B, 3), state_for(layer, B) if with_hx else {}
    for lengths, reset in [(None, None), (LENGTHS, None), (None, RESET), (LENGTHS, RESET)]:
        with longhold.use_backend(backend):
            actual = through(layer, x, state, alone=True, lengths=lengths, reset=reset)
        answer = expected(cell, layer, x, state, Options(), lengths, reset)
        assert_all_close(actual, answer, f"lengths={lengths} reset={reset is not None}")
        reached = actual["d_h_0_l0 through all"].any()
        assert bool(reached) == (not with_hx or reset is not None)


def test_the_learned_initial_state_starts_at_zero() -> None:
    layer = make("lstm_projected", 3, 5, bidirectional=True, learn_initial_state=True)
    assert {n: tuple(p.shape) for n, p in layer.named_parameters() if n[1:4] == "_0_"} == {
        "h_0_l0": (2,),
        "c_0_l0": (5,),
        "h_0_l0_reverse": (2,),
        "c_0_l0_reverse": (5,),
    }
    assert not any(p.any() for n, p in layer.named_parameters() if n[1:4] == "_0_")


EXTRA = {
    ("rnn_tanh", "layer_norm"): {"weight_norm_ih": (5,), "weight_norm_hh": (5,)},
    ("gru", "layer_norm"): {"weight_norm_ih": (15,), "weight_norm_hh": (15,)},
    ("lstm", "layer_norm"): {
        "weight_norm_ih": (20,),
        "weight_norm_hh": (20,),
        "weight_norm_c": (5,),
        "bias_norm_c": (5,),
    },
    ("lstm", "peephole"): {"weight_peephole": (15,)},
    ("gru", "learn_initial_state"): {"h_0": (5,)},
    ("lstm", "learn_initial_state"): {"h_0": (5,), "c_0": (5,)},
}


@pytest.mark.parametrize(("cell", "option"), EXTRA)
def test_extra_parameters_have_their_names_and_shapes(cell: str, option: str) -> None:
    plain = dict(make(cell, 3, 5, num_layers=2, bidirectional=True).named_parameters())
    layer = make(cell, 3, 5, num_layers=2, bidirectional=True, **{option: True})
    added = {n: tuple(p.shape) for n, p in layer.named_parameters() if n not in plain}
    assert set(plain) <= set(dict(layer.named_parameters()))
    suffixes = ("_l0", "_l0_reverse", "_l1", "_l1_reverse")
    assert added == {name + suffix: shape for suffix in suffixes for name, shape in EXTRA[cell, option].items()}


def test_without_biases_the_norm_of_the_cell_state_has_no_shift() -> None:
    names = set(dict(make("lstm", 3, 5, bias=False, layer_norm=True).named_parameters()))
    assert names == {"weight_ih_l0", "weight_hh_l0", "weight_norm_ih_l0", "weight_norm_hh_l0", "weight_norm_c_l0"}


def test_gains_start_at_one_and_shifts_at_zero() -> None:
    layer = make("lstm", 3, 5, layer_norm=True)
    for name in ("weight_norm_ih_l0", "weight_norm_hh_l0", "weight_norm_c_l0"):
        assert torch.equal(getattr(layer, name), torch.ones_like(getattr(layer, name))), name
    assert not layer.bias_norm_c_l0.any()


def test_coupled_gates_have_three_blocks_of_rows() -> None:
    layer = make("lstm", 3, 5, coupled_gates=True, peephole=True)
    shapes = {n: tuple(p.shape) for n, p in layer.named_parameters()}
    assert shapes == {
        "weight_ih_l0": (15, 3),
        "weight_hh_l0": (15, 5),
        "bias_ih_l0": (15,),
        "bias_hh_l0": (15,),
        "weight_peephole_l0": (10,),
    }


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_run_in_chunks(variant: str) -> None:
    cell, constructor, _ = VARIANTS[variant]
    layer = build(cell, num_layers=2, zoneout=0.2, **constructor).eval()
    x = torch.randn(T, B, 3, dtype=torch.float64)
    whole = flat(layer(x, reset=RESET))
    first, state = layer(x[:2], reset=RESET[:2])
    second, state = layer(x[2:], as_hx(fields_of(state)), reset=RESET[2:])
    assert_all_close(flat((torch.cat([first, second]), state)), whole)


@pytest.mark.parametrize("variant", VARIANTS)
def test_rubbish_in_the_padding_reaches_nothing(variant: str) -> None:
    cell, constructor, _ = VARIANTS[variant]
    layer = build(cell, num_layers=2, bidirectional=True, learn_initial_state=True, **constructor)
    x = randn(T, B, 3)
    padding = torch.arange(T)[:, None] >= torch.tensor(LENGTHS)
    clean = through(layer, x, {}, lengths=LENGTHS, reset=RESET)
    for rubbish in (float("nan"), float("inf")):
        dirty = torch.where(padding[..., None], rubbish, x.detach()).requires_grad_()
        assert_all_close(through(layer, dirty, {}, lengths=LENGTHS, reset=RESET), clean, rubbish)


def test_a_step_in_which_everything_is_zoned_out_changes_nothing() -> None:
    layer = build("lstm", zoneout=0.5)
    masks = layer.draw_masks(T, B)
    masks.layers[0].zoneout_h[2], masks.layers[0].zoneout_c[2] = True, True
    output, _ = layer(torch.randn(T, B, 3, dtype=torch.float64), masks=masks)
    assert_close("h", output[2], output[1])
