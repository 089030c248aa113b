"""The C++ stepper on each instruction set and number of threads, and how weights become 8 bits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import longhold
from longhold.kernels import stream as stream_module
from longhold.kernels.extension import loaded
from longhold.kernels.stream import NativeStream, Storage, StreamWeights, fold_embedding, quantize_rows
from tests.helpers import assert_close
from tests.kernels.sequences import machine
from tests.layers.twins import make

SETS = loaded().instruction_sets()
OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn": ("rnn_tanh", {}),
    "gru": ("gru", {}),
    "gru 2014": ("gru", {"reset_after": False, "layer_norm": True}),
    "lstm": ("lstm", {}),
    "lstm, everything": ("lstm", {"peephole": True, "layer_norm": True, "proj_size": 7, "zoneout": 0.3}),
}


def outputs(layer: Any, x: Tensor, **options: Any) -> Tensor:
    return NativeStream(layer.stream_weights(), x.shape[1], **options).run(x)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("hidden", [8, 17, 31, 130])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_instruction_set(name: str, option: str, hidden: int, dtype: torch.dtype) -> None:
    cell, options = OPTIONS[option]
    layer = make(cell, 6, hidden, num_layers=2, dtype=dtype, **options).eval()
    x = torch.randn(9, 4, 6, dtype=dtype)
    with torch.no_grad(), longhold.use_backend("reference"):
        expected, _ = layer(x)
    with machine(1, name):
        assert_close(name, outputs(layer, x), expected)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("storage", ["full", "bf16", "int8"])
@pytest.mark.usefixtures("all_threads")
def test_threads_change_no_bit(option: str, storage: Storage) -> None:
    cell, options = OPTIONS[option]
    layer = make(cell, 6, 70, num_layers=2, dtype=torch.float32, **options)
    x, ids = torch.randn(10, 3, 6), torch.randint(6, (10, 3))
    for given in (x, ids):
        found = []
        for threads in (1, 2, 3):
            with machine(threads):
                found.append(outputs(layer, given, storage=storage))
        assert torch.equal(found[0], found[1])
        assert torch.equal(found[0], found[2])


class Clock:
    """A clock that is set by hand; `used` notes the threads of each call."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.used: list[int] = []
        monkeypatch.setattr(stream_module.time, "perf_counter", lambda: self.now)

    def call(self, pace: Any, seconds: dict[int, float], calls: int) -> list[int]:
        """Calls of so many seconds a step, by the number of threads."""
        self.used = []
        for _ in range(calls):
            with pace.threads(10) as threads:
                self.now += 10 * seconds[threads]
                self.used.append(threads)
        return self.used


def test_threads_are_shared_where_that_is_faster_and_left_where_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    with machine(2):
        pace = stream_module._Pace(wide=True)
        assert clock.call(pace, {1: 2.0, 2: 1.0}, 10).count(2) >= 6
        assert clock.call(pace, {1: 2.0, 2: 50.0}, 10)[2:].count(2) <= 3  # another program wants the core
        assert clock.call(pace, {1: 2.0, 2: 50.0}, 1000).count(2) <= 20
        assert clock.call(pace, {1: 2.0, 2: 1.0}, 200)[70:].count(2) >= 120  # and has gone
        assert set(clock.call(stream_module._Pace(wide=False), {1: 2.0}, 20)) == {1}
    with machine(1):
        assert set(clock.call(stream_module._Pace(wide=True), {1: 2.0}, 20)) == {1}


def test_only_long_steps_share_threads() -> None:
    small, large = (NativeStream(make("lstm", n, n, dtype=torch.float32).stream_weights(), 1) for n in (64, 400))
    assert (small.stepper.products(), large.stepper.products()) == (8 * 64**2, 8 * 400**2)
    assert (small.quick, large.quick) == (True, False)
    assert (small._pace._wide, large._pace._wide) == (False, True)


def test_instruction_sets_really_differ() -> None:
    """Float32 sums in another order: a set that silently ran another one's code would give the same bits."""
    layer, x = make("lstm", 100, 70, dtype=torch.float32), torch.randn(9, 1, 100)
    found = []
    for name in SETS:
        with machine(1, name):
            found.append(outputs(layer, x))
    assert all(not torch.equal(one, found[-1]) for one in found[:-1])


def test_int8_is_the_same_on_every_instruction_set() -> None:
    """Sums of integers have no order; what is left is the rounding of the activations."""
    layer, x = make("lstm", 41, 70, dtype=torch.float32), torch.randn(9, 2, 41)
    with machine(1, "plain"):
        expected = outputs(layer, x, storage="int8")
    for name in SETS:
        with machine(1, name):
            assert (outputs(layer, x, storage="int8") - expected).abs().max() < 1e-3 * expected.abs().max()


def test_a_quantized_row_is_off_by_at_most_half_its_scale() -> None:
    weight = torch.randn(50, 37) * torch.logspace(-6, 3, 50).unsqueeze(1)
    weight[7] = 0
    quantized, scale = quantize_rows(weight)
    assert quantized.dtype == torch.int8
    assert quantized.abs().amax(1).tolist() == [0 if row == 7 else 127 for row in range(50)]
    error = (quantized * scale.unsqueeze(1) - weight).abs()
    assert bool((error <= scale.unsqueeze(1) * (0.5 + 1e-4)).all())


@pytest.mark.parametrize("K", [1, 2, 3, 5, 515, 517, 1030, 5000])
def test_sums_of_int8_products_stay_in_32_bits(K: int) -> None:
    """All weights and all activations at their largest."""
    layer = make("rnn_relu", K, 2, bias=False, dtype=torch.float32)
    with torch.no_grad():
        layer.weight_ih_l0.fill_(0.25)
        layer.weight_hh_l0.zero_()
    assert outputs(layer, torch.full((1, 1, K), 3.0), storage="int8")[0, 0].tolist() == pytest.approx(
        [0.75 * K] * 2, rel=1e-4
    )


@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm"])
@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_embedding_is_looked_up_or_folded_into_the_weights(cell: str, layer_norm: bool, dtype: torch.dtype) -> None:
    layer = make(cell, 6, 20, dtype=dtype, layer_norm=layer_norm)
    embedding, ids = torch.randn(13, 6, dtype=dtype), torch.randint(13, (8, 3))
    plain = layer.stream_weights()
    weights = StreamWeights(plain.recurrence, plain.layers, plain.initial, plain.zoneout, embedding)
    with torch.no_grad(), longhold.use_backend("reference"):
        expected, _ = layer(F.embedding(ids, embedding))
        folded = fold_embedding(weights)
    for way in (weights, folded):
        assert_close("output", NativeStream(way, 3).run(ids), expected)
        with pytest.raises(IndexError, match=r"13 .*0\.\.12"):
            NativeStream(way, 3).run(torch.full((1, 3), 13))
