"""The segments between resets, against a search that looks at one row and one step at a time."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

import longhold
from longhold.kernels.segments import find_segments


@st.composite
def masks(draw: st.DrawFn) -> tuple[torch.Tensor, list[int] | None]:
    steps, batch = draw(st.integers(1, 7)), draw(st.integers(1, 5))
    row = st.lists(st.booleans(), min_size=batch, max_size=batch)
    reset = torch.tensor(draw(st.lists(row, min_size=steps, max_size=steps)))
    lengths = draw(st.none() | st.lists(st.integers(1, steps), min_size=batch, max_size=batch))
    if lengths is not None:
        reset &= torch.arange(steps)[:, None] < torch.tensor(lengths)
    return reset, lengths


@given(masks())
def test_segments_are_what_a_slow_search_finds(case: tuple[torch.Tensor, list[int] | None]) -> None:
    reset, lengths = case
    steps, batch = reset.shape
    found: list[tuple[int, int, int]] = []
    first, last = [], []
    for b in range(batch):
        first.append(len(found))
        start = 0
        for t in range(1, steps if lengths is None else lengths[b]):
            if reset[t, b]:
                found.append((b, start, t - start))
                start = t
        found.append((b, start, (steps if lengths is None else lengths[b]) - start))
        last.append(len(found) - 1)
    segments = find_segments(reset, None if lengths is None else torch.tensor(lengths))
    triples = zip(segments.row.tolist(), segments.start.tolist(), segments.length.tolist(), strict=True)
    assert list(triples) == found
    assert segments.first.tolist() == first
    assert segments.last.tolist() == last


class Largest(TorchDispatchMode):
    """Remembers the most elements that any tensor made inside has."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(value, torch.Tensor):
                self.elements = max(self.elements, value.numel())
        return result


def test_one_long_row_beside_many_short_segments_is_not_padded() -> None:
    layer = longhold.GRU(8, 8)
    x, reset = torch.randn(64, 16, 8), torch.ones(64, 16, dtype=torch.bool)
    reset[1:, 0] = False
    sizes = []
    for mask in (None, reset):
        with longhold.use_backend("torch"), torch.no_grad(), Largest() as seen:
            layer(x, reset=mask)
        sizes.append(seen.elements)
    assert sizes[1] <= 2 * sizes[0], f"{sizes[1]} elements with resets, {sizes[0]} without"
