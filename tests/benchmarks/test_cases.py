"""The grid, and the operations that a case counts."""

import pytest
import torch
from benchmarks.cases import GATES, GRID, QUICK, Case
from torch.utils.flop_counter import FlopCounterMode

import longhold
from benchmarks import torch_ways


def test_the_grid_has_every_size_once() -> None:
    assert len(GRID) == len(set(GRID)) == 3 * 4 * 5 * 2 * 2 * 2
    assert len({case.name for case in GRID}) == len(GRID)
    assert {(case.cell, case.ragged, case.ids) for case in QUICK} == {(c.cell, c.ragged, c.ids) for c in GRID}


def test_flops_are_those_that_torch_counts() -> None:
    case = Case("LSTM", batch=3, hidden=5, steps=7)
    layer, x = longhold.LSTM(5, 5), torch.randn(7, 3, 5, requires_grad=True)
    with FlopCounterMode(display=False) as forward:
        output = torch_ways.gates(layer, x)[0]
    assert forward.get_total_flops() == case.flops(backward=False)
    with FlopCounterMode(display=False) as backward:
        output.sum().backward()
    # Autograd leaves out the gradient of the state before the first step, which nobody asks for.
    first = 2 * 3 * 4 * 5 * 5
    assert forward.get_total_flops() + backward.get_total_flops() == case.flops(backward=True) - first


def test_a_look_up_counts_zero() -> None:
    with_ids, features = Case("GRU", 2, 16, 9, ids=True), Case("GRU", 2, 16, 9)
    assert 2 * with_ids.flops(backward=True) == features.flops(backward=True)
    assert with_ids.inputs == 28


@pytest.mark.parametrize("cell", GATES)
def test_ragged_rows_count_valid_steps_only(cell: str) -> None:
    case = Case(cell, batch=64, hidden=32, steps=200, ragged=True)
    lengths = case.lengths()
    assert lengths.min() >= 66
    assert lengths.max() <= 200
    assert torch.equal(lengths, case.lengths())
    assert lengths.unique().numel() > 10
    padded = Case(cell, batch=64, hidden=32, steps=200)
    assert case.flops(backward=False) * 64 * 200 == padded.flops(backward=False) * int(lengths.sum())
