"""Layers against torch.nn, each backend forced: outputs, states and every gradient, in float64."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import longhold
from tests.helpers import assert_all_close, flat
from tests.layers.twins import CELLS, as_hx, make, on_each_backend, packed, randn, state_for, through, twins

T, B, INPUTS, H = 4, 3, 2, 3
FORMS = ("padded", "packed sorted", "packed unsorted", "unbatched")
LENGTHS = {"packed sorted": (4, 3, 1), "packed unsorted": (2, 4, 1)}


def given(form: str, batch_first: bool) -> tuple[Tensor, int | None, Callable[[Tensor], Any]]:
    """A leaf to feed, its batch size for hx, and what turns it into the layer's input."""
    if form == "unbatched":
        return randn(T, INPUTS), None, lambda x: x
    x = randn(*((B, T, INPUTS) if batch_first else (T, B, INPUTS)))
    if form == "padded":
        return x, B, lambda x: x
    return x, B, lambda x: packed(x, LENGTHS[form], batch_first)


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(CELLS))
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_whole_grid(backend: str, cell: str, num_layers: int, bidirectional: bool) -> None:
    for bias, batch_first, form, with_hx in product([True, False], [False, True], FORMS, [True, False]):
        ours, theirs = twins(
            cell, INPUTS, H, num_layers=num_layers, bidirectional=bidirectional, bias=bias, batch_first=batch_first
        )
        x, batch, prepare = given(form, batch_first)
        state = state_for(theirs, batch) if with_hx else {}
        expected = through(theirs, x, state, prepare=prepare)
        with longhold.use_backend(backend):
            actual = through(ours, x, state, prepare=prepare)
        assert_all_close(actual, expected, f"bias={bias} batch_first={batch_first} {form} hx={with_hx}")


SIZES = [
    # T, B, I, H, num_layers, bidirectional: each value of the ladder at least once, in company that varies
    (1, 1, 1, 1, 1, False),
    (1, 33, 3, 5, 2, True),
    (2, 1, 3, 64, 3, True),
    (2, 3, 1, 257, 1, True),
    (63, 1, 5, 1, 3, False),
    (63, 3, 2, 5, 1, True),
    (63, 33, 4, 64, 1, False),
    (2, 33, 65, 1, 2, True),
    (1, 3, 257, 257, 2, False),
]


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(CELLS))
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_sizes_and_gradients_through_each_output_alone(
    backend: str, cell: str, size: tuple[int, int, int, int, int, bool], nan_memory: None
) -> None:
    steps, batch, inputs, hidden, num_layers, bidirectional = size
    if cell == "lstm_projected" and hidden == 1:
        hidden = 3
    ours, theirs = twins(cell, inputs, hidden, num_layers=num_layers, bidirectional=bidirectional)
    x, state = randn(steps, batch, inputs), state_for(theirs, batch)
    with longhold.use_backend(backend):
        actual = through(ours, x, state, alone=True)
    assert_all_close(actual, through(theirs, x, state, alone=True))


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(["rnn_relu", "gru", "lstm", "lstm_projected"]))
def test_packed_gradients_through_each_output_alone(backend: str, cell: str) -> None:
    ours, theirs = twins(cell, 3, 5, num_layers=2, bidirectional=True)
    x, state = randn(7, 4, 3), state_for(theirs, 4)
    prepare = lambda x: packed(x, (3, 7, 1, 7))  # noqa: E731
    with longhold.use_backend(backend):
        actual = through(ours, x, state, alone=True, prepare=prepare)
    assert_all_close(actual, through(theirs, x, state, alone=True, prepare=prepare))


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(["rnn_tanh", "gru", "lstm"]))
@pytest.mark.parametrize("enforce_sorted", [True, False])
def test_packed_output_is_packed_the_same_way(backend: str, cell: str, enforce_sorted: bool) -> None:
    ours, theirs = twins(cell, 3, 4)
    lengths = [5, 5, 2] if enforce_sorted else [2, 5, 5]
    sequence = nn.utils.rnn.pack_padded_sequence(randn(5, 3, 3), lengths, enforce_sorted=enforce_sorted)
    with longhold.use_backend(backend):
        output, _ = ours(sequence)
    expected, _ = theirs(sequence)
    for name in ("batch_sizes", "sorted_indices", "unsorted_indices"):
        one, other = getattr(output, name), getattr(expected, name)
        assert (one is None and other is None) or torch.equal(one, other), name


NON_CONTIGUOUS: dict[str, Callable[[Tensor], Tensor]] = {
    "transposed": lambda x: x.transpose(0, 1),
    "strided features": lambda x: x.repeat_interleave(2, dim=-1)[..., ::2],
    "strided time": lambda x: x.repeat_interleave(3, dim=0)[1::3],
    "expanded batch": lambda x: x[:, :1].expand(-1, 3, -1),
    "flipped": lambda x: x.flip(0),
}


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(["rnn_tanh", "gru", "lstm_projected"]))
@pytest.mark.parametrize("view", NON_CONTIGUOUS)
def test_non_contiguous_input_and_state(backend: str, cell: str, view: str) -> None:
    ours, theirs = twins(cell, 4, 3, bidirectional=True)
    x = randn(3, 3, 4)
    state = {name: value.transpose(1, 2).contiguous().transpose(1, 2) for name, value in state_for(theirs, 3).items()}
    with longhold.use_backend(backend):
        actual = through(ours, x, state, prepare=NON_CONTIGUOUS[view])
    assert_all_close(actual, through(theirs, x, state, prepare=NON_CONTIGUOUS[view]))


@pytest.mark.parametrize("backend", ["reference", "torch"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("with_hx", [False, True])
def test_an_empty_batch_gives_what_torch_gives(backend: str, cell: str, with_hx: bool) -> None:
    ours, theirs = twins(cell, 3, 4, num_layers=2)
    state = state_for(theirs, 0) if with_hx else {}
    with longhold.use_backend(backend):
        actual = flat(ours(randn(5, 0, 3), as_hx(state)))
    expected = flat(theirs(randn(5, 0, 3), as_hx(state)))
    assert {n: v.shape for n, v in actual.items()} == {n: v.shape for n, v in expected.items()}


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(CELLS))
def test_without_gradients_and_with_frozen_weights(backend: str, cell: str) -> None:
    ours, theirs = twins(cell, 3, 4, num_layers=2, bidirectional=True)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    with longhold.use_backend(backend), torch.no_grad():
        assert_all_close(flat(ours(x)), flat(theirs(x)), "no_grad")
    with longhold.use_backend(backend), torch.inference_mode():
        assert_all_close(flat(ours(x)), flat(theirs(x)), "inference_mode")
    ours.requires_grad_(False), theirs.requires_grad_(False)
    with longhold.use_backend(backend):
        assert not ours(x)[0].requires_grad
        x.requires_grad_()
        assert_all_close(
            {"input": torch.autograd.grad(ours(x)[0].sum(), x)[0]},
            {"input": torch.autograd.grad(theirs(x)[0].sum(), x)[0]},
        )


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(CELLS))
def test_nan_and_infinity_pass_through_as_in_torch(backend: str, cell: str) -> None:
    ours, theirs = twins(cell, 3, 4)
    x = torch.randn(4, 3, 3, dtype=torch.float64)
    x[1, 0, 0], x[2, 1, 0] = float("nan"), float("inf")
    with longhold.use_backend(backend):
        actual = flat(ours(x))
    for name, value in flat(theirs(x)).items():
        torch.testing.assert_close(actual[name], value, rtol=1e-10, atol=1e-13, equal_nan=True, msg=name)


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(CELLS))
def test_state_dicts_move_both_ways(backend: str, cell: str) -> None:
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": True}
    ours = make(cell, 3, 5, **options)
    _, theirs = twins(cell, 3, 5, **options)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert theirs.load_state_dict(ours.state_dict(), strict=True)
    x = torch.randn(4, 2, 3, dtype=torch.float64)
    with longhold.use_backend(backend):
        assert_all_close(flat(ours(x)), flat(theirs(x)), "ours in torch's")
        ours, theirs = twins(cell, 3, 5, **options)
        assert_all_close(flat(ours(x)), flat(theirs(x)), "torch's in ours")


@pytest.mark.parametrize("cell", CELLS)
def test_a_state_given_is_not_written_to(cell: str) -> None:
    ours, _ = twins(cell, 3, 4)
    state = {name: value.detach() for name, value in state_for(ours, 2).items()}
    before = {name: value.clone() for name, value in state.items()}
    for backend, _ in on_each_backend([cell]):
        with longhold.use_backend(backend):
            ours(torch.randn(3, 2, 3, dtype=torch.float64), as_hx(state))
        assert all(torch.equal(state[name], before[name]) for name in state), backend
