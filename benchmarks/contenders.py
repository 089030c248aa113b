"""The same work done by torch.nn and by longhold, with the same weights, inputs and gradients from behind."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

import longhold
from benchmarks.cases import VOCABULARY, Case

ABSENT = (AttributeError, TypeError, ValueError, RuntimeError, NotImplementedError)
"""What a layer raises at something that it cannot do (yet)."""


@final
@dataclass(frozen=True)
class Work:
    """One way to run a layer."""

    forward: Callable[[], tuple[Tensor, ...]]
    """Runs it; whatever a user would have to do each time belongs inside."""
    upstream: tuple[Tensor, ...]
    """Gradients with respect to what `forward` returns."""
    leaves: tuple[Tensor, ...]
    """Parameters and inputs that get a gradient."""

    def training(self) -> None:
        """Forward and backward, from gradients that are None."""
        for leaf in self.leaves:
            leaf.grad = None
        torch.autograd.backward(self.forward(), self.upstream)

    def inference(self) -> tuple[Tensor, ...]:
        """Forward, without a graph."""
        with torch.no_grad():
            return self.forward()


def work(forward: Callable[[], tuple[Tensor, ...]], leaves: tuple[Tensor, ...], valid: Tensor | None = None) -> Work:
    """Work with random gradients from behind; those of the first result are zero where `valid` (T, B) is false."""
    with torch.no_grad():
        upstream = [torch.randn_like(result) for result in forward()]
    if valid is not None:
        upstream[0] *= valid.unsqueeze(-1)
    return Work(forward, tuple(upstream), leaves)


def pair(case: Case) -> tuple[Any, Any]:
    """torch's layer and ours, of the same weights."""
    theirs = getattr(nn, case.cell)(case.inputs, case.hidden)
    ours = getattr(longhold, case.cell)(case.inputs, case.hidden)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def source(case: Case) -> Tensor:
    """The input: ids (T, B), or features (T, B, I) that need a gradient."""
    if case.ids:
        return torch.randint(VOCABULARY, (case.steps, case.batch))
    return torch.randn(case.steps, case.batch, case.inputs, requires_grad=True)


def one_hot(ids: Tensor) -> Tensor:
    """What torch.nn needs in place of ids, made in every call as users do."""
    return F.one_hot(ids, VOCABULARY).float()


@cache
def takes_ids() -> str | None:
    """Why layers do not take token ids, or None when they do."""
    try:
        longhold.LSTM(3, 2)(torch.zeros(2, 1, dtype=torch.int64))
    except ABSENT as error:
        return f"layers take no token ids: {error}"
    return None


def contenders(case: Case) -> dict[str, Work]:
    """`torch` and `longhold`; for ragged rows also `torch packed`.

    Padded rows give their outputs. Ragged ones give the outputs of valid steps and the last hidden state: torch's
    padded call computes on padding and gathers the state, the packed one packs in every call.

    Raises:
        RuntimeError: longhold's outputs are not torch's.
    """
    theirs, ours = pair(case)
    x, lengths = source(case), case.lengths()
    inputs: Callable[[], Tensor] = (lambda: one_hot(x)) if case.ids else (lambda: x)
    leaves = () if case.ids else (x,)
    their_leaves, our_leaves = (*theirs.parameters(), *leaves), (*ours.parameters(), *leaves)
    if not case.ragged:
        found = {
            "torch": work(lambda: (theirs(inputs())[0],), their_leaves),
            "longhold": work(lambda: (ours(x)[0],), our_leaves),
        }
        return _agreeing(case, found, torch.ones(case.steps, case.batch, dtype=torch.bool))
    valid = torch.arange(case.steps).unsqueeze(1) < lengths  # (T, B)
    last, rows = lengths - 1, torch.arange(case.batch)

    def padded() -> tuple[Tensor, ...]:
        output = theirs(inputs())[0]
        return output, output[last, rows]

    def packed() -> tuple[Tensor, ...]:
        output, state = theirs(pack_padded_sequence(inputs(), lengths, enforce_sorted=False))
        return output.data, hidden_state(state)[0]

    def lengthed() -> tuple[Tensor, ...]:
        output, state = ours(x, lengths=lengths)
        return output, hidden_state(state)[0]

    found = {
        "torch": work(padded, their_leaves, valid),
        "torch packed": work(packed, their_leaves),
        "longhold": work(lengthed, our_leaves, valid),
    }
    return _agreeing(case, found, valid)


def hidden_state(state: Any) -> Tensor:
    """`h_n` of either form of state."""
    h: Tensor = state[0] if isinstance(state, tuple) else state
    return h


def _agreeing(case: Case, found: dict[str, Work], valid: Tensor) -> dict[str, Work]:
    expected, actual = found["torch"].inference(), found["longhold"].inference()
    apart = (expected[0][valid] - actual[0][valid]).abs().max().item()
    if not apart < 1e-4:
        raise RuntimeError(f"{case.name}: longhold's outputs differ from torch's by {apart:.2g}, expected below 1e-4")
    return found
