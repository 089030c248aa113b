"""Linear recurrences in parallel over time: the scan, and the decays between the steps of a chunk."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from longhold.models.contract import State

CHUNK = 32
"""Steps that `in_chunks` hands out at a time: products in a chunk cost its square, the loop the number of chunks."""

StateT = TypeVar("StateT", bound=State)


def linear_scan(keep: Tensor, drive: Tensor, state: Tensor, reset: Tensor | None) -> Tensor:
    """All of `h_t = keep_t * h_(t-1) + drive_t`, elementwise, in about 2 log2 T dependent steps instead of T.

    Neighbouring steps are composed to one, `(keep_2 keep_1, keep_2 drive_1 + drive_2)`, and the sequence of half the
    length is solved in the same way (Blelloch 1990). There is no division and no logarithm, so `keep` may be 0,
    negative or complex, and nothing overflows that would not step by step. Differentiable to any order.

    Args:
        keep: `(T, B, N)`, or with 1 in place of `T` or `B` where it is the same for all.
        drive: `(T, B, N)`.
        state: `h_(-1)`, `(B, N)`.
        reset: `(T, B)` bool or None; where true, `h_(t-1)` counts as 0.

    Returns:
        `h`, `(T, B, N)`.
    """
    steps = drive.shape[0]
    if reset is not None:
        keep = torch.where(reset.unsqueeze(-1), 0, keep)
    if keep.shape[0] == 1:
        keep = keep.expand(steps, -1, -1)
    return _scan(keep, torch.cat([keep[:1] * state + drive[:1], drive[1:]]))


def _scan(keep: Tensor, drive: Tensor) -> Tensor:
    steps = drive.shape[0]
    if steps == 1:
        return drive
    paired = steps // 2 * 2
    early, late = keep[0:paired:2], keep[1::2]
    odd = _scan(early * late, late * drive[0:paired:2] + drive[1::2])  # h at 1, 3, 5 ...
    rest = keep[2::2] * odd[: (steps - 1) // 2] + drive[2::2]  # h at 2, 4, 6 ...
    even = torch.cat([drive[:1], rest])
    both = torch.stack([even[: paired // 2], odd], dim=1).flatten(0, 1)
    return both if paired == steps else torch.cat([both, even[-1:]])


def decays(log_keep: Tensor, reset: Tensor | None) -> tuple[Tensor, Tensor]:
    """How much of a step, and of the state before the first, is left at each step of a chunk; as logarithms.

    Args:
        log_keep: `(N, B, T)`, logarithm of what is kept from step t - 1 to step t, for N heads.
        reset: `(T, B)` bool or None; where true, nothing is kept.

    Returns:
        between: `(N, B, T, T)`, at `[..., t, s]` the logarithm of the product of what is kept in s + 1 .. t, and -inf
            where s > t or a reset lies between.
        carried: `(N, B, T)`, the same from before step 0, up to and including step t.
    """
    steps = log_keep.shape[-1]
    total = log_keep.cumsum(-1)
    hidden = torch.ones(steps, steps, dtype=torch.bool, device=log_keep.device).triu(1)
    carried = total
    if reset is not None:
        segment = reset.cumsum(0).T  # (B, T)
        hidden = hidden | (segment.unsqueeze(-1) != segment.unsqueeze(-2))
        carried = total.masked_fill(segment > 0, -torch.inf)
    return (total.unsqueeze(-1) - total.unsqueeze(-2)).masked_fill(hidden, -torch.inf), carried


def in_chunks(
    chunk: Callable[[Sequence[Tensor], StateT, Tensor | None], tuple[Tensor, StateT]],
    sequences: Sequence[Tensor],
    state: StateT,
    reset: Tensor | None,
) -> tuple[Tensor, StateT]:
    """Run `chunk` over consecutive pieces of the sequences, each from the state the last one left; `T` comes first."""
    outputs = []
    steps = sequences[0].shape[0]
    for start in range(0, steps, CHUNK):
        piece = slice(start, start + CHUNK)
        cut = None if reset is None else reset[piece]
        output, state = chunk([sequence[piece] for sequence in sequences], state, cut)
        outputs.append(output)
    return torch.cat(outputs), state


def per_head(x: Tensor, heads: int) -> Tensor:
    """`(..., N*D)` as `(..., N, D)`."""
    return x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """`(T, B, N*D)` as `(N, B, T, D)`."""
    return per_head(x, heads).permute(2, 1, 0, 3)


def join_heads(x: Tensor) -> Tensor:
    """`(N, B, T, D)` as `(T, B, N*D)`."""
    return x.permute(2, 1, 0, 3).flatten(2)
