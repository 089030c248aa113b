"""The scan against the loop that it stands for, and the decays against products written out."""

import math

import pytest
import torch
from torch import Tensor

from longhold.models.scan import CHUNK, decays, in_chunks, join_heads, linear_scan, split_heads

LENGTHS = [1, 2, 3, 4, 5, 8, 31, 64, 101]


def loop(keep: Tensor, drive: Tensor, state: Tensor, reset: Tensor | None) -> Tensor:
    found = []
    for t in range(drive.shape[0]):
        if reset is not None:
            state = torch.where(reset[t].unsqueeze(-1), torch.zeros_like(state), state)
        state = keep[t] * state + drive[t]
        found.append(state)
    return torch.stack(found)


def case(steps: int, dtype: torch.dtype, resets: bool) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    generator = torch.Generator().manual_seed(steps)
    keep, drive = (torch.randn(steps, 3, 2, generator=generator, dtype=dtype) for _ in range(2))
    state = torch.randn(3, 2, generator=generator, dtype=dtype)
    return keep, drive, state, torch.rand(steps, 3, generator=generator) < 0.3 if resets else None


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("steps", LENGTHS)
def test_the_scan_is_the_loop(steps: int, dtype: torch.dtype, resets: bool) -> None:
    keep, drive, state, reset = case(steps, dtype, resets)
    keep = 1.1 * keep / keep.abs()  # any sign or phase, and growing
    torch.testing.assert_close(
        linear_scan(keep, drive, state, reset), loop(keep, drive, state, reset), rtol=1e-9, atol=0
    )


@pytest.mark.parametrize("steps", [1, 2, 7, 16])
def test_its_gradients_are_the_loops_and_so_are_theirs(steps: int) -> None:
    keep, drive, state, reset = case(steps, torch.float64, True)
    leaves = [tensor.requires_grad_() for tensor in (keep, drive, state)]
    both = []
    for run in (linear_scan, loop):
        first = torch.autograd.grad(run(*leaves, reset).square().sum(), leaves, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), leaves)
        both.append([*first, *second])
    for ours, expected in zip(*both, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-8, atol=1e-8)


def test_one_share_for_all_steps_and_rows() -> None:
    _, drive, state, reset = case(9, torch.float64, True)
    keep = torch.tensor([0.5, -0.9], dtype=torch.float64).view(1, 1, 2)
    expected = loop(keep.expand(9, 3, 2), drive, state, reset)
    torch.testing.assert_close(linear_scan(keep, drive, state, reset), expected)
    torch.testing.assert_close(linear_scan(keep, drive, state, None), loop(keep.expand(9, 3, 2), drive, state, None))


def test_a_long_product_that_underflows_is_zero_and_not_nan() -> None:
    drive = torch.ones(1000, 1, 1)
    h = linear_scan(torch.full((1000, 1, 1), 1e-30), drive, torch.ones(1, 1), None)
    assert torch.equal(h, drive)


@pytest.mark.parametrize("resets", [False, True])
def test_decays_are_products_of_what_is_kept(resets: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    keep = torch.rand(2, 3, 7, generator=generator, dtype=torch.float64)
    reset = torch.rand(7, 3, generator=generator) < 0.3 if resets else None
    between, carried = decays(keep.log(), reset)
    for head in range(2):
        for row in range(3):
            shares = [0.0 if resets and reset[t, row] else keep[head, row, t].item() for t in range(7)]
            for t in range(7):
                assert carried[head, row, t].exp().item() == pytest.approx(math.prod(shares[: t + 1]))
                for s in range(7):
                    expected = math.prod(shares[s + 1 : t + 1]) if s <= t else 0.0
                    assert between[head, row, t, s].exp().item() == pytest.approx(expected)


def test_chunks_come_in_order_with_their_resets() -> None:
    steps = 2 * CHUNK + 3
    x, reset = torch.arange(float(steps)).view(-1, 1), torch.arange(steps).view(-1, 1) == CHUNK + 1

    def running_sum(parts: list[Tensor], state: Tensor, cut: Tensor | None) -> tuple[Tensor, Tensor]:
        assert len(parts[0]) <= CHUNK
        found = []
        for t in range(len(parts[0])):
            state = (torch.zeros(1) if cut[t] else state) + parts[0][t]
            found.append(state)
        return torch.stack(found), state

    output, state = in_chunks(running_sum, [x], torch.zeros(1), reset)
    whole = x.cumsum(0)
    expected = torch.cat([whole[: CHUNK + 1], whole[CHUNK + 1 :] - whole[CHUNK]])
    assert torch.equal(output, expected)
    assert torch.equal(state, expected[-1])


def test_heads_are_split_and_joined() -> None:
    x = torch.arange(24.0).view(2, 3, 4)
    heads = split_heads(x, 2)
    assert heads.shape == (2, 3, 2, 2)
    assert torch.equal(heads[1, 2, 0], x[0, 2, 2:])
    assert torch.equal(join_heads(heads), x)
