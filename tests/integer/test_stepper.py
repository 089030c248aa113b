"""The stepper against Python's own integers, against the model in floating point, and against itself elsewhere."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from longhold.errors import InputError
from longhold.integer import TOTAL, IntegerStepper, quantize
from longhold.integer.fixed import UNIT
from tests.integer.models import KINDS, model_of
from tests.integer.slow import Slow


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_every_number_is_that_of_whole_number_arithmetic(kind: str, bits: Any) -> None:
    model = quantize(model_of(KINDS[kind]), bits)
    stepper, rows = IntegerStepper(model, 3), [Slow(model) for _ in range(3)]
    for ids in np.random.default_rng(0).integers(0, model.vocab_size, (40, 3)):
        found = stepper.step(ids)
        assert found.dtype == np.int64
        assert found.tolist() == [row.step(token) for row, token in zip(rows, ids.tolist(), strict=True)]
    for layer, view in enumerate(stepper.gates()):
        assert (view.h * UNIT).tolist() == [row.states[layer][0] for row in rows]


def test_weights_so_large_that_everything_saturates() -> None:
    model = quantize(model_of(KINDS["lstm, three layers, embedded"], scale=80.0), 8)
    stepper, slow = IntegerStepper(model), Slow(model)
    for token in np.random.default_rng(2).integers(0, model.vocab_size, 60):
        assert stepper.step(np.array([token]))[0].tolist() == slow.step(int(token))


def test_a_cell_state_that_grows_is_clamped() -> None:
    fields = {"cell": "lstm", "vocab_size": 2, "hidden_size": 1}
    model = model_of(fields)
    with torch.no_grad():
        model.layer.weight_ih_l0.zero_()
        model.layer.weight_hh_l0.zero_()
        model.layer.bias_ih_l0.copy_(torch.tensor([20.0, 20.0, 20.0, 20.0]))
    integers = quantize(model, 8)
    for layer in integers.layers:
        layer.initial[1][:] = 2**31 - 2**17
    stepper, slow = IntegerStepper(integers), Slow(integers)
    for _ in range(5):
        assert stepper.step(np.array([1]))[0].tolist() == slow.step(1)
    assert slow.states[0][1] == [2**31]


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_what_the_model_says(kind: str) -> None:
    model = model_of(KINDS[kind], scale=1.0)
    ids = np.random.default_rng(3).integers(0, model.config.vocab_size, (60, 2))
    with torch.no_grad():
        expected = model(torch.from_numpy(ids))[0].softmax(-1).numpy()
    stepper = IntegerStepper(quantize(model, 16), 2)
    found = np.stack([stepper.step(row) for row in ids])
    np.testing.assert_allclose(found / TOTAL, expected, atol=2e-4)


def test_gates_are_those_of_the_layers_trace() -> None:
    for kind in ("lstm, three layers, embedded", "gru of 2014, two layers", "rnn"):
        model = model_of(KINDS[kind], scale=1.0)
        ids = np.random.default_rng(4).integers(0, model.config.vocab_size, (9, 2))
        stepper = IntegerStepper(quantize(model, 16), 2)
        for row in ids:
            stepper.step(row)
        read = torch.from_numpy(ids)
        trace = model.layer.trace(read if model.embedding is None else model.embedding(read))
        for layer, view in enumerate(stepper.gates()):
            np.testing.assert_allclose(view.h, trace.h[layer, -1].detach(), atol=2e-4)
            gates = getattr(trace, "gates", None)
            assert set(view.gates) == set(gates._fields if gates is not None else ())
            for name, gate in view.gates.items():
                np.testing.assert_allclose(gate, getattr(gates, name)[layer, -1].detach(), atol=2e-4)
            if kind.startswith("lstm"):
                np.testing.assert_allclose(view.c, trace.c[layer, -1].tanh().detach(), atol=2e-4)
            else:
                assert view.c is None


def test_rows_do_not_see_each_other_and_reset_begins_again() -> None:
    model = quantize(model_of(KINDS["lstm, tied"]), 8)
    ids = np.random.default_rng(5).integers(0, model.vocab_size, (30, 33))
    together = IntegerStepper(model, 33)
    first = [together.step(row) for row in ids]
    for column in (0, 17, 32):
        alone = IntegerStepper(model, 1)
        for step, row in enumerate(ids):
            assert (alone.step(row[column : column + 1])[0] == first[step][column]).all()
    together.reset()
    assert all((together.step(row) == before).all() for row, before in zip(ids, first, strict=True))


def test_a_learned_start_is_where_it_begins() -> None:
    model = model_of(KINDS["rnn, two layers, learned start"])
    view = IntegerStepper(quantize(model, 8), 2).gates()
    for layer, shown in enumerate(view):
        expected = getattr(model.layer, f"h_0_l{layer}").detach().numpy()
        np.testing.assert_allclose(shown.h, np.tile(expected, (2, 1)), atol=2**-17)
        assert shown.gates == {}


def digest_of_a_wide_model() -> str:
    """SHA-256 of what a model says whose products are large enough to be spread over threads."""
    model, generator = model_of({"cell": "lstm", "vocab_size": 300, "hidden_size": 128}), np.random.default_rng(1)
    with torch.no_grad():
        for parameter in model.parameters():
            values = generator.uniform(-0.3, 0.3, tuple(parameter.shape)).astype(np.float32)
            parameter.copy_(torch.from_numpy(values))
    stepper = IntegerStepper(quantize(model, 16), 64)
    steps = [stepper.step(ids) for ids in generator.integers(0, 300, (4, 64))]
    return hashlib.sha256(np.stack(steps).astype("<i8").tobytes()).hexdigest()


@pytest.mark.parametrize(
    ("threads", "environment"),
    [(4, {}), (1, {"ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "Nehalem"})],
    ids=["four threads", "no vector units"],
)
def test_threads_and_vector_units_change_nothing(threads: int, environment: dict[str, str]) -> None:
    counts = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    program = (
        f"import torch; torch.set_num_threads({threads})\nfrom {__name__} import *\nprint(digest_of_a_wide_model())"
    )
    command = [sys.executable, "-W", "ignore", "-c", program]
    everything = {**os.environ, **counts, **environment}
    done = subprocess.run(command, env=everything, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest_of_a_wide_model()


def test_what_cannot_be_stepped_is_refused() -> None:
    model = quantize(model_of(KINDS["gru"]), 8)
    stepper = IntegerStepper(model, 2)
    with pytest.raises(InputError, match=r"no frequencies before the first step"):
        stepper.frequencies()
    with pytest.raises(InputError, match=r"expected 2 integers as ids, got int64 of shape \(3,\)"):
        stepper.step(np.array([0, 1, 2]))
    with pytest.raises(InputError, match="expected 2 integers"):
        stepper.step(np.array([0.0, 1.0]))
    with pytest.raises(InputError, match="ids must be from 0 to 6, got -1 to 0"):
        stepper.step(np.array([-1, 0]))
    with pytest.raises(InputError, match="ids must be from 0 to 6"):
        stepper.step(np.array([0, 7]))
    with pytest.raises(InputError, match="batch=0"):
        IntegerStepper(model, 0)
