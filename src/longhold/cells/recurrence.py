"""What every cell shares: the products, their normalization, and the one reference loop over time."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

NORM_EPS = 1e-5

Zoneout = Tensor | float | None


def product(
    x: Tensor, weight: Tensor, bias: Tensor | None, weight_norm: Tensor | None, groups: Sequence[int] = ()
) -> Tensor:
    """A projection, one term of the pre-activations, `x W^T + b`, or with layer norm `LN(x W^T) * weight_norm + b`.

    `x` is (..., I), or (...) int64 ids that stand for one-hot vectors of width I; `weight` is (G*H, I), `bias` and
    `weight_norm` are (G*H,). `groups` are the widths, summing to G*H, that are normalized apart (Ba, Kiros and Hinton
    2016, equations 20 to 24); the bias plays the part of their shift.
    """
    if weight_norm is None:
        return _linear(x, weight, bias)
    parts = torch.split(_linear(x, weight, None), list(groups), dim=-1)
    normed = torch.cat([F.layer_norm(part, part.shape[-1:], eps=NORM_EPS) for part in parts], dim=-1) * weight_norm
    return normed if bias is None else normed + bias


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if x.dtype != torch.int64:
        return F.linear(x, weight, bias)
    device = x.device.type
    if device != "meta" and torch.is_autocast_enabled(device):  # as the product that this stands for
        weight = weight.to(torch.get_autocast_dtype(device))
        bias = None if bias is None else bias.to(weight.dtype)
    columns = F.embedding(x, weight.T)
    return columns if bias is None else columns + bias


class Recurrence(ABC):
    """One cell with its options, as the loop sees it. Subclasses are frozen dataclasses."""

    state_names: ClassVar[tuple[str, ...]]
    """Fields of the state; the first is the output."""

    @property
    @abstractmethod
    def gate_names(self) -> tuple[str, ...]:
        """Blocks of H rows in the weights, in torch's order."""

    @abstractmethod
    def norm_groups(self, hidden_size: int) -> tuple[int, ...]:
        """Widths that layer norm treats apart."""

    @abstractmethod
    def make_state(self, *fields: Tensor) -> Any:
        """The cell's state from its fields."""

    @abstractmethod
    def step(self, gates_x: Tensor, state: Any, weights: Any, mask_h: Tensor | None) -> tuple[Any, tuple[Tensor, ...]]:
        """One step: the next state and the gates after their activations (empty where there are none)."""


@dataclass(frozen=True)
class Unrolled:
    """What the loop leaves behind: stacks over time, and the final state."""

    states: tuple[Tensor, ...]
    """Each state field at every step, (T, B, .); zero where `valid` is false."""
    gates: tuple[Tensor, ...]
    """Each gate at every step, (T, B, H); empty unless `keep_gates`."""
    final: Any


def unroll(
    recurrence: Recurrence,
    gates_x: Tensor,
    state: Any,
    weights: Any,
    *,
    initial: Any = None,
    valid: Tensor | None = None,
    reset: Tensor | None = None,
    reverse: bool = False,
    mask_h: Tensor | None = None,
    zoneout: Sequence[Zoneout] = (),
    keep_gates: bool = False,
) -> Unrolled:
    """The reference loop over time: every other implementation is held to it.

    Arguments:
        gates_x: (T, B, G*H), the input projection, finite also where `valid` is false.
        state: state before the first step taken, fields (B, .).
        initial: state that a reset restores; needed with `reset`.
        valid: (T, B) bool; where false the state stands still and outputs are zero.
        reset: (T, B) bool; a cut between t - 1 and t, in either direction of time.
        reverse: walk from T - 1 down to 0.
        mask_h: (B, P), multiplies the state h where it enters a recurrent product.
        zoneout: for each state field a (T, B, .) bool mask (true keeps the old value), a rate (expectation), or None.
        keep_gates: also stack the gates.
    """
    steps = gates_x.shape[0]
    states: list[Any] = [None] * steps
    gates: list[tuple[Tensor, ...]] = [()] * steps
    for t in reversed(range(steps)) if reverse else range(steps):
        cut = t + 1 if reverse else t
        if reset is not None and cut < steps:
            state = _where(reset[cut], initial, state)
        new, gates[t] = recurrence.step(gates_x[t], state, weights, mask_h)
        new = _zone_out(state, new, zoneout, t)
        state = new if valid is None else _where(valid[t], new, state)
        states[t] = state
    stacks = tuple(torch.stack(field) for field in zip(*states, strict=True))
    gate_stacks = tuple(torch.stack(gate) for gate in zip(*gates, strict=True)) if keep_gates else ()
    return Unrolled(_zero_outside(stacks, valid), _zero_outside(gate_stacks, valid), state)


def _where(condition: Tensor, chosen: Any, other: Any) -> Any:
    pairs = zip(chosen, other, strict=True)
    return type(chosen)(*(torch.where(condition.unsqueeze(-1), a, b) for a, b in pairs))


def _zone_out(old: Any, new: Any, zoneout: Sequence[Zoneout], t: int) -> Any:
    if not zoneout:
        return new
    fields = (
        n if keep is None else torch.where(keep[t], o, n) if isinstance(keep, Tensor) else keep * o + (1 - keep) * n
        for o, n, keep in zip(old, new, zoneout, strict=True)
    )
    return type(new)(*fields)


def _zero_outside(stacks: tuple[Tensor, ...], valid: Tensor | None) -> tuple[Tensor, ...]:
    if valid is None:
        return stacks
    return tuple(torch.where(valid.unsqueeze(-1), stack, 0.0) for stack in stacks)
