"""What does a stream's steps: the C++ stepper, or a copy of the layer itself."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Self, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from longhold.kernels import Choice, use_backend
from longhold.kernels.backends import requested
from longhold.kernels.stream import NativeStream, Storage, StreamWeights, stream_refusal
from longhold.layers.parameters import HiddenT


@dataclass(frozen=True)
class Snapshot(Generic[HiddenT]):
    """What a stream takes from its layer."""

    layer: nn.Module
    """the layer itself: it is copied where the C++ stepper cannot run, else only named"""
    weights: StreamWeights
    batch_first: bool
    join: Callable[[tuple[Tensor, ...]], HiddenT]
    """the fields of a state to the layer's form of hx,"""
    split: Callable[[HiddenT], tuple[Tensor, ...]]
    """and back; a wrong type is refused"""

    @property
    def dtype(self) -> torch.dtype:
        """The weights'."""
        return self.weights.layers[0].weight_ih.dtype

    @property
    def input_size(self) -> int:
        """I."""
        return self.weights.layers[0].weight_ih.shape[1]

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """The width of each field."""
        return tuple(field.shape[1] for field in self.weights.initial)


class Runner(ABC):
    """Does a stream's steps and holds its state."""

    choice: Choice
    quick: Any = None
    """the C++ object, where a step is short and needs no other thread"""

    def copy(self) -> Self:
        """Another one in the same state."""
        return copy.copy(self)

    @abstractmethod
    def run(self, x: Tensor) -> Tensor:
        """(T, B, I), or (T, B) int64 ids, to (T, B, P)."""

    @abstractmethod
    def state(self) -> tuple[Tensor, ...]:
        """A copy of the state, each field (L, B, .)."""

    @abstractmethod
    def set_state(self, fields: tuple[Tensor, ...]) -> None:
        """Continue from there."""

    @abstractmethod
    def reset(self, rows: Sequence[int]) -> None:
        """The initial state for these rows."""


@final
class InNative(Runner):
    """The C++ stepper."""

    def __init__(self, native: NativeStream, weights: Storage) -> None:
        self._native = native
        self.quick = native.stepper if native.quick else None
        self.choice = Choice("cpu", f"longhold's own stepper in C++ runs all that the call needs; weights: {weights}")

    def copy(self) -> Self:
        made = copy.copy(self)
        made._native = self._native.copy()
        made.quick = made._native.stepper if made._native.quick else None
        return made

    def run(self, x: Tensor) -> Tensor:
        return self._native.run(x)

    def state(self) -> tuple[Tensor, ...]:
        return self._native.state()

    def set_state(self, fields: tuple[Tensor, ...]) -> None:
        self._native.set_state(fields)

    def reset(self, rows: Sequence[int]) -> None:
        self._native.reset(rows)


@final
class ByLayer(Runner):
    """A copy of the layer itself."""

    def __init__(self, snapshot: Snapshot[Any], rows: int, refusal: str) -> None:
        layer: Any = snapshot.layer
        self._layer = copy.deepcopy(layer).eval().requires_grad_(False)
        self._layer.batch_first = False
        self._join, self._split, self._input_size = snapshot.join, snapshot.split, snapshot.input_size
        self._backend = requested()
        found = self._layer.explain(snapshot.weights.layers[0].weight_ih.new_zeros(1, rows, self._input_size))
        self.choice = Choice(found.backend, found.reason, {**found.refused, "cpu": refusal})
        initial = (field.unsqueeze(1).expand(-1, rows, -1) for field in snapshot.weights.initial)
        self._initial = tuple(field.contiguous() for field in initial)
        self._state: tuple[Tensor, ...] = self._initial

    @torch.no_grad()
    def run(self, x: Tensor) -> Tensor:
        if not x.is_floating_point():
            x = F.one_hot(_in_range(x, self._input_size), self._input_size).to(self._initial[0].dtype)
        x = x.to(self._initial[0].device)
        if self._backend is None:
            output, hx = self._layer(x, self._join(self._state))
        else:
            with use_backend(self._backend):
                output, hx = self._layer(x, self._join(self._state))
        self._state = self._split(hx)
        return cast(Tensor, output)

    def state(self) -> tuple[Tensor, ...]:
        return tuple(field.clone() for field in self._state)

    def set_state(self, fields: tuple[Tensor, ...]) -> None:
        self._state = tuple(f.detach().to(old).clone() for f, old in zip(fields, self._state, strict=True))

    def reset(self, rows: Sequence[int]) -> None:
        at = torch.tensor(list(rows), dtype=torch.int64, device=self._initial[0].device)
        pairs = zip(self._state, self._initial, strict=True)
        self._state = tuple(now.index_copy(1, at, first.index_select(1, at)) for now, first in pairs)


def choose_runner(snapshot: Snapshot[Any], rows: int, weights: Storage) -> Runner:
    """The C++ stepper where it runs, else the layer itself."""
    refusal = stream_refusal(snapshot.weights.layers)
    if weights != "full" and snapshot.dtype != torch.float32:
        refusal = f"its {weights} weights go with float32, not with {snapshot.dtype}"
    if refusal is None:
        return InNative(NativeStream(snapshot.weights, rows, storage=weights), weights)
    if weights != "full":
        raise ValueError(f"weights={weights!r} needs longhold's own stepper in C++: {refusal}")
    return ByLayer(snapshot, rows, refusal)


def _in_range(ids: Tensor, size: int) -> Tensor:
    outside = ids[(ids < 0) | (ids >= size)]
    if outside.numel():
        raise IndexError(f"id {outside[0].item()} is outside 0..{size - 1}")
    return ids
