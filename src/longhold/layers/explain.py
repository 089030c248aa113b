"""Which backend a call would run on."""

from typing import Any

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from longhold.kernels import Choice
from longhold.layers.base import Lengths, RecurrentLayer


def explain(
    layer: RecurrentLayer[Any, Any],
    input: Tensor | PackedSequence,  # noqa: A002 torch's name
    hx: Any = None,
    *,
    lengths: Lengths | None = None,
    reset: Tensor | None = None,
) -> Choice:
    """Say which backend `layer(input, hx, lengths=..., reset=...)` would run on, and why; nothing is run.

    Print the result to read it; `.backend`, `.reason` and `.refused` hold the same as values.
    """
    return layer.explain(input, hx, lengths=lengths, reset=reset)
