"""Locked dropout against layers built one by one, with the same mask multiplied by hand at every step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import longhold
from tests.helpers import assert_all_close, flat
from tests.layers.twins import CELLS, make, on_each_backend, randn, state_for, through

T, B, H, L = 5, 3, 4, 3
LENGTHS = [5, 2, 4]
RESET = torch.zeros(T, B, dtype=torch.bool)
RESET[2, 0] = RESET[3, 1] = True


def locked(cell: str, **options: Any) -> Any:
    return make(cell, 3, H, num_layers=L, dropout=0.4, locked_dropout=True, **options)


def one_by_one(cell: str, layer: Any, masks: longhold.layers.Masks, **call: Any) -> Any:
    """A callable that runs `layer`'s layers as modules of their own, each with the parameters of its place."""

    def run(x: torch.Tensor, hx: Any) -> tuple[torch.Tensor, Any]:
        states, directions = [], 2 if layer.bidirectional else 1
        for index in range(L):
            alone = make(cell, x.shape[-1], H, bidirectional=layer.bidirectional)
            given = {
                name.replace(f"_l{index}", "_l0"): p for name, p in layer.named_parameters() if f"_l{index}" in name
            }
            rows = slice(index * directions, (index + 1) * directions)
            start = tuple(part[rows] for part in hx) if isinstance(hx, tuple) else hx[rows]
            x, state = torch.func.functional_call(alone, given, (x, start), call)
            states.append(state)
            if index + 1 < L:
                x = torch.stack([step * masks.between[index] for step in x])
        if isinstance(hx, tuple):
            return x, tuple(torch.cat(part) for part in zip(*states, strict=True))
        return x, torch.cat(states)

    return run


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(CELLS))
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "lengths and resets"])
def test_masks_multiply_what_goes_from_layer_to_layer(
    backend: str, cell: str, bidirectional: bool, pieces: bool
) -> None:
    layer = locked(cell, bidirectional=bidirectional)
    masks = layer.draw_masks(T, B)
    x, state = randn(T, B, 3), state_for(layer, B)
    call = {"lengths": LENGTHS, "reset": RESET} if pieces else {}
    with longhold.use_backend(backend):
        actual = through(layer, x, state, masks=masks, **call)
        hand = one_by_one(cell, layer, masks, **call)
        leaves = through(Standing(layer, hand), x, state)
    assert_all_close(actual, leaves)


class Standing:
    """A function in a layer's place, whose parameters are that layer's."""

    def __init__(self, layer: Any, run: Any) -> None:
        self.named_parameters, self._run = layer.named_parameters, run

    def __call__(self, x: torch.Tensor, hx: Any) -> Any:
        return self._run(x, hx)


def test_drawn_once_for_all_steps_and_used() -> None:
    layer = locked("lstm")
    x = torch.randn(T, B, 3, dtype=torch.float64)
    torch.manual_seed(4)
    drawn = flat(layer(x))
    torch.manual_seed(4)
    masks = layer.draw_masks(T, B)
    given = flat(layer(x, masks=masks))
    assert all(torch.equal(given[name], drawn[name]) for name in drawn)
    assert [tuple(mask.shape) for mask in masks.between] == [(B, H)] * (L - 1)
    many = locked("lstm").draw_masks(T, 2000).between[0]
    assert torch.isin(many, torch.tensor([0.0, 1 / 0.6], dtype=torch.float64)).all()
    assert abs((many == 0).double().mean().item() - 0.4) < 5 * (0.24 / many.numel()) ** 0.5


def test_packed_sequences_and_traces() -> None:
    layer = locked("lstm", bidirectional=True)
    masks = layer.draw_masks(T, B)
    x = torch.randn(T, B, 3, dtype=torch.float64)
    padded, _ = layer(x, lengths=LENGTHS, masks=masks)
    packed, _ = layer(pack_padded_sequence(x, LENGTHS, enforce_sorted=False), masks=masks)
    assert isinstance(packed, PackedSequence)
    torch.testing.assert_close(pad_packed_sequence(packed)[0], padded)
    trace = layer.trace(x, lengths=LENGTHS, masks=masks)
    torch.testing.assert_close(trace.output, padded)
    assert trace.gates.i.shape == (2 * L, T, B, H)


def test_in_evaluation_and_without_a_rate_nothing_is_dropped() -> None:
    layer, plain = locked("gru").eval(), make("gru", 3, H, num_layers=L)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(T, B, 3, dtype=torch.float64)
    assert torch.equal(layer(x)[0], plain(x)[0])
    assert layer.draw_masks(T, B).between == ()
    off = make("gru", 3, H, num_layers=L, locked_dropout=True)
    assert off.draw_masks(T, B).between == ()
    assert "locked_dropout=True" in repr(off)


def test_masks_of_another_shape_are_refused() -> None:
    layer = locked("rnn_tanh")
    with pytest.raises(ValueError, match="between should be empty or have shapes"):
        layer(torch.randn(T, B, 3, dtype=torch.float64), masks=layer.draw_masks(T, B + 1))
