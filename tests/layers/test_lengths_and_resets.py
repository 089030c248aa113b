"""Ragged batches and resets: every row, and every segment of it, run alone through torch.nn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

import longhold
from tests.helpers import assert_all_close, assert_close, flat, measured
from tests.layers.oracle import rows_and_segments, torch_alone
from tests.layers.twins import (
    BACKENDS,
    CELLS,
    PLAIN,
    as_hx,
    fields_of,
    make,
    on_each_backend,
    packed,
    randn,
    state_for,
    through,
    twins,
)

T, B = 7, 4
LENGTHS = [3, 7, 1, 6]


def resets(*marks: tuple[int, int]) -> Tensor:
    reset = torch.zeros(T, B, dtype=torch.bool)
    for t, b in marks:
        reset[t, b] = True
    return reset


# row 0 has length 3: a mark at 5 is beyond it; row 1 is cut three times, twice in a row; row 2 restarts where it starts
MARKS = resets((1, 0), (3, 0), (5, 0), (2, 1), (3, 1), (6, 1), (0, 2), (2, 2), (0, 3), (4, 3))


def expected(
    theirs: Any, x: Tensor, state: dict[str, Tensor], lengths: Sequence[int] | None, reset: Tensor | None
) -> dict[str, Tensor]:
    """Outputs and gradients when torch.nn sees each piece alone."""
    directions = 2 if theirs.bidirectional else 1
    zeros = tuple(torch.zeros_like(v) for v in state_for(theirs, x.shape[1]).values())
    hx = tuple(state.values()) or zeros

    def run() -> tuple[Tensor, Any]:
        output, final = rows_and_segments(torch_alone(theirs), x, hx, zeros, directions, lengths, reset)
        return output, as_hx(final)

    return measured(run, {"input": x} | state | dict(theirs.named_parameters()), alone=True)


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(CELLS))
@pytest.mark.parametrize(("num_layers", "bidirectional"), [(1, False), (1, True), (2, False), (3, True)])
@pytest.mark.parametrize(
    ("lengths", "reset"),
    [(LENGTHS, None), (None, MARKS), (LENGTHS, MARKS), ([0, 7, 0, 6], MARKS), ([0] * B, None)],
    ids=["lengths", "reset", "both", "empty rows", "all empty"],
)
@pytest.mark.parametrize("with_hx", [False, True])
def test_every_piece_is_as_if_alone(
    backend: str,
    cell: str,
    num_layers: int,
    bidirectional: bool,
    lengths: list[int] | None,
    reset: Tensor | None,
    with_hx: bool,
    nan_memory: None,
) -> None:
    ours, theirs = twins(cell, 3, 5, num_layers=num_layers, bidirectional=bidirectional)
    x, state = randn(T, B, 3), state_for(theirs, B) if with_hx else {}
    with longhold.use_backend(backend):
        actual = through(ours, x, state, alone=True, lengths=lengths, reset=reset)
    assert_all_close(actual, expected(theirs, x, state, lengths, reset))


@st.composite
def batches(draw: st.DrawFn) -> dict[str, Any]:
    steps, batch = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    row = st.lists(st.booleans(), min_size=batch, max_size=batch)
    return {
        "cell": draw(st.sampled_from(sorted(CELLS))),
        "hidden": draw(st.integers(3, 5)),
        "num_layers": draw(st.integers(1, 3)),
        "bidirectional": draw(st.booleans()),
        "bias": draw(st.booleans()),
        "with_hx": draw(st.booleans()),
        "batch_first": draw(st.booleans()),
        "lengths": draw(st.none() | st.lists(st.integers(0, steps), min_size=batch, max_size=batch)),
        "reset": draw(st.none() | st.lists(row, min_size=steps, max_size=steps)),
        "shape": (steps, batch),
    }


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=40)
@given(case=batches())
def test_any_batch_is_its_pieces_alone(backend: str, case: dict[str, Any]) -> None:
    torch.manual_seed(0)
    (steps, batch), first = case["shape"], case["batch_first"]
    assume((backend, case["cell"]) in on_each_backend(CELLS))
    names = ("num_layers", "bidirectional", "bias")
    ours, theirs = twins(case["cell"], 2, case["hidden"], **{n: case[n] for n in names}, batch_first=first)
    theirs.batch_first = False
    x, state = randn(steps, batch, 2), state_for(theirs, batch) if case["with_hx"] else {}
    reset = None if case["reset"] is None else torch.tensor(case["reset"])
    answer = expected(theirs, x, state, case["lengths"], reset)
    turned = None if reset is None else reset.T if first else reset

    def run() -> tuple[Tensor, Any]:
        output, final = ours(x.transpose(0, 1) if first else x, as_hx(state), lengths=case["lengths"], reset=turned)
        return output.transpose(0, 1) if first else output, final

    with longhold.use_backend(backend):
        actual = measured(run, {"input": x} | state | dict(ours.named_parameters()), alone=True)
    assert_all_close(actual, answer)


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(CELLS))
@pytest.mark.parametrize("rubbish", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("with_reset", [False, True])
@pytest.mark.parametrize("lengths", [LENGTHS, [3, 0, 1, 0], [0] * B], ids=str)
def test_rubbish_in_the_padding_reaches_nothing(
    backend: str, cell: str, rubbish: float, with_reset: bool, lengths: list[int]
) -> None:
    ours, _ = twins(cell, 3, 5, num_layers=2, bidirectional=True)
    x, state = randn(T, B, 3), state_for(ours, B)
    padding = torch.arange(T)[:, None] >= torch.tensor(lengths)
    dirty = torch.where(padding[..., None], rubbish, x.detach()).requires_grad_()
    call: dict[str, Any] = {"lengths": lengths, "reset": MARKS if with_reset else None}
    with longhold.use_backend(backend):
        clean, actual = (through(ours, value, state, alone=True, **call) for value in (x, dirty))
    assert_all_close(actual, clean)
    assert not actual["d_input through all"][padding].any()
    assert not actual["output"][padding].any()


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(CELLS))
@pytest.mark.parametrize("bidirectional", [False, True])
def test_nothing_of_one_segment_is_seen_in_another(backend: str, cell: str, bidirectional: bool) -> None:
    ours, _ = twins(cell, 3, 5, num_layers=2, bidirectional=bidirectional)
    x, state = torch.randn(T, B, 3, dtype=torch.float64), state_for(ours, B)
    reset = resets((2, 1), (5, 1))
    dirty = x.clone()
    dirty[2:5, 1] = float("nan")
    with longhold.use_backend(backend):
        clean, actual = (ours(value, as_hx(state), reset=reset)[0] for value in (x, dirty))
    assert actual[2:5, 1].isnan().all()
    actual[2:5, 1] = clean[2:5, 1]
    assert_close("other segments", actual, clean)


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(PLAIN))
def test_a_reset_at_the_first_step_hides_hx(backend: str, cell: str) -> None:
    ours, _ = twins(cell, 3, 5)
    x, state = randn(T, 2, 3), state_for(ours, 2)
    reset = torch.zeros(T, 2, dtype=torch.bool)
    reset[0, 0] = True
    with torch.no_grad():
        state["h_0"][:, 0] = float("nan")
    with longhold.use_backend(backend):
        found = through(ours, x, state, reset=reset)
        fresh = ours(x)[0]
    assert_close("row 0", found["output"][:, 0], fresh[:, 0].detach())
    assert not found["d_h_0 through all"][:, 0].any()
    assert found["d_h_0 through all"][:, 1].any()
    assert (found["output"][:, 1] - fresh[:, 1]).abs().max() > 1e-3


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(PLAIN))
def test_reset_follows_batch_first_and_unbatched(backend: str, cell: str) -> None:
    time_first, _ = twins(cell, 3, 5, bidirectional=True)
    batch_first, _ = twins(cell, 3, 5, bidirectional=True, batch_first=True)
    batch_first.load_state_dict(time_first.state_dict())
    x = torch.randn(T, B, 3, dtype=torch.float64)
    with longhold.use_backend(backend):
        answer = flat(time_first(x, lengths=LENGTHS, reset=MARKS))
        turned = flat(batch_first(x.transpose(0, 1), lengths=LENGTHS, reset=MARKS.T))
        turned["output"] = turned["output"].transpose(0, 1)
        assert_all_close(turned, answer, "batch_first")
        for layer in (time_first, batch_first):
            one = flat(layer(x[:, 1], reset=MARKS[:, 1]))
            assert_close("unbatched", one["output"], answer["output"][:, 1])
            assert_close("unbatched h_n", one["h_n"], answer["h_n"][:, 1])


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(CELLS))
def test_lengths_give_what_packing_gives(backend: str, cell: str) -> None:
    ours, theirs = twins(cell, 3, 5, num_layers=2, bidirectional=True)
    x, state = randn(T, B, 3), state_for(ours, B)
    output, final = theirs(packed(x, LENGTHS), as_hx(state))
    output, _ = torch.nn.utils.rnn.pad_packed_sequence(output, total_length=T)
    forms: list[Any] = [
        LENGTHS,
        tuple(LENGTHS),
        torch.tensor(LENGTHS),
        torch.tensor(LENGTHS, dtype=torch.int32),
    ]
    for lengths in forms:
        with longhold.use_backend(backend):
            actual = ours(x, as_hx(state), lengths=lengths)
        assert_all_close(flat(actual), flat((output, final)), type(lengths).__name__)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_unbatched_input_takes_its_one_length(backend: str) -> None:
    ours, theirs = twins("lstm", 3, 5, bidirectional=True)
    x = torch.randn(T, 3, dtype=torch.float64)
    for lengths in ([4], torch.tensor([4]), 4):
        with longhold.use_backend(backend):
            output, _ = ours(x, lengths=lengths)
        assert_close("valid", output[:4], theirs(x[:4])[0])
        assert not output[4:].any()


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(CELLS))
@pytest.mark.parametrize("lengths", [[0, 3, 0, 7], [0] * B], ids=str)
@pytest.mark.parametrize("with_hx", [False, True])
def test_an_empty_row_ends_in_the_state_it_began_with(
    backend: str, cell: str, lengths: list[int], with_hx: bool
) -> None:
    """To the last bit, and the gradient of its final state is that of the state it began with."""
    layer = make(cell, 3, 5, num_layers=2, bidirectional=True, learn_initial_state=not with_hx)
    state = state_for(layer, B) if with_hx else {}
    begun = fields_of(as_hx(state) if with_hx else layer.initial_state(B))
    with longhold.use_backend(backend):
        output, final = layer(randn(T, B, 3), as_hx(state), lengths=lengths, reset=torch.ones(T, B, dtype=torch.bool))
    assert not output[:, 0].any()
    leaves = list(state.values()) or [p for name, p in layer.named_parameters() if name[1:4] == "_0_"]
    for before, after in zip(begun, fields_of(final), strict=True):
        assert torch.equal(after[:, 0], before[:, 0])
        weight = torch.rand_like(before[:, 0])
        found, expected = (
            torch.autograd.grad((field[:, 0] * weight).sum(), leaves, retain_graph=True, materialize_grads=True)
            for field in (after, before)
        )
        assert_all_close(dict(enumerate(found)), dict(enumerate(expected)))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("cell", PLAIN)
def test_an_empty_row_of_ids_dropout_float32_and_one_step(backend: str, cell: str) -> None:
    layer = make(cell, 3, 5, num_layers=2, dropout=0.5, dtype=torch.float32)
    ids = torch.tensor([[2, -7, 99]])
    with longhold.use_backend(backend):
        for lengths in ([1, 0, 0], [0, 0, 0]):
            output, state = layer(ids if lengths[0] else ids - 50, lengths=lengths)
            output.sum().backward()
            assert output.dtype == torch.float32
            assert bool(output[:, 0].any()) == bool(lengths[0])
            assert not output[:, 1:].any()
            assert not any(field[:, 1:].any() for field in fields_of(state))
    assert all(parameter.grad.isfinite().all() for parameter in layer.parameters())
    one = layer(torch.zeros(4, 3), lengths=0)
    assert not any(value.any() for value in flat(one).values())


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("cell", CELLS)
def test_an_empty_row_in_a_trace_is_zero(backend: str, cell: str) -> None:
    layer, x = make(cell, 3, 5, bidirectional=True), randn(T, B, 3)
    state = state_for(layer, B)
    with longhold.use_backend(backend):
        assert longhold.explain(layer, x, lengths=[0, 3, 0, 7]).backend == backend
        trace = layer.trace(x, as_hx(state), lengths=[0, 3, 0, 7])
    stacks = [value for value in trace[2:] if isinstance(value, Tensor)] + list(getattr(trace, "gates", ()))
    assert not any(stack[:, :, [0, 2]].any() for stack in stacks)
    assert all(stack[:, 0, [1, 3]].any() for stack in stacks)
    for before, after in zip(state.values(), fields_of(trace.state), strict=True):
        assert torch.equal(after[:, 0], before[:, 0])


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(PLAIN))
def test_full_lengths_and_no_marks_change_nothing(backend: str, cell: str) -> None:
    ours, theirs = twins(cell, 3, 5, num_layers=2, bidirectional=True)
    x, state = randn(T, B, 3), state_for(ours, B)
    call: dict[str, Any] = {"lengths": [T] * B, "reset": torch.zeros(T, B, dtype=torch.bool)}
    with longhold.use_backend(backend):
        assert_all_close(through(ours, x, state, **call), through(theirs, x, state))


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(CELLS))
@pytest.mark.parametrize("cut", [1, 3, 6])
def test_a_run_in_chunks_is_the_whole_run(backend: str, cell: str, cut: int) -> None:
    ours, _ = twins(cell, 3, 5, num_layers=2)
    x, state = randn(T, B, 3), state_for(ours, B)

    def whole() -> tuple[Tensor, Any]:
        return ours(x, as_hx(state), reset=MARKS)

    def chunks() -> tuple[Tensor, Any]:
        first, middle = ours(x[:cut], as_hx(state), reset=MARKS[:cut])
        second, final = ours(x[cut:], as_hx(fields_of(middle)), reset=MARKS[cut:])
        return torch.cat([first, second]), final

    leaves = {"input": x} | state | dict(ours.named_parameters())
    with longhold.use_backend(backend):
        assert_all_close(measured(chunks, leaves, alone=True), measured(whole, leaves, alone=True))


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_step_a_reset_makes_steps_independent(backend: str) -> None:
    ours, theirs = twins("lstm", 3, 5, bidirectional=True)
    x = torch.randn(T, B, 3, dtype=torch.float64)
    with longhold.use_backend(backend):
        output, _ = ours(x, reset=torch.ones(T, B, dtype=torch.bool))
    singles, _ = theirs(x.reshape(1, T * B, 3))
    assert_close("output", output, singles.reshape(T, B, 10))


@pytest.mark.parametrize("backend", BACKENDS)
def test_dropout_between_layers_with_lengths(backend: str) -> None:
    ours, theirs = twins("lstm", 3, 50, num_layers=2, dropout=0.5)
    x = torch.randn(T, B, 3, dtype=torch.float64)
    with longhold.use_backend(backend):
        torch.manual_seed(3)
        one, _ = ours(x, lengths=LENGTHS)
        torch.manual_seed(3)
        again, _ = ours(x, lengths=LENGTHS)
        other, _ = ours(x, lengths=LENGTHS)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    ours.eval(), theirs.eval()
    with longhold.use_backend(backend):
        assert_close("eval", ours(x, lengths=LENGTHS)[0][:3, 0], theirs(x[:3, :1])[0][:, 0])
