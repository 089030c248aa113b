"""A model's step as a map between flat states, of which Jacobians can be taken."""

from collections.abc import Iterator
from typing import final

import torch
from torch import Tensor
from torch.func import jvp, vmap

from longhold.errors import InputError
from longhold.models import SequenceModel, State
from longhold.models.contract import map_state, state_leaves


@final
class StateMap:
    """`s_t = f(s_(t-1), x_t)` of `B` rows, with the whole state, all leaves of its tree, as one vector of `N` numbers.

    Raises:
        InputError: the state holds anything but real numbers, or nothing; or, in a step, it does not keep its size.
    """

    def __init__(self, model: SequenceModel, batch: int) -> None:
        self._model = model
        self._template = model.detach(model.initial_state(batch))
        strange = next((leaf.dtype for leaf in state_leaves(self._template) if not leaf.is_floating_point()), None)
        if strange is not None:
            raise InputError(f"the state of {type(model).__name__} is of {strange}: it has no derivative by itself")
        self.initial = flat_state(model, self._template)
        """the state before the first step, `(B, N)`"""
        self.size = self.initial.shape[1]
        """N"""

    def step(self, inputs: Tensor, flat: Tensor) -> Tensor:
        """The state `(B, N)` after one step from `flat` with `inputs`, `(B,)` ids or `(B, F)` features."""
        _, state = self._model(inputs[None], self._tree(flat))
        return self._flat_of_same_size(state)

    def run(self, inputs: Tensor, flat: Tensor) -> Tensor:
        """The state after all of `inputs`, `(T, B)` or `(T, B, F)`."""
        if len(inputs) == 0:
            return flat
        _, state = self._model(inputs, self._tree(flat))
        return self._flat_of_same_size(state)

    def push(self, inputs: Tensor, flat: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        """One step of the state and of `q` directions: `s_t` and `J_t M`, for tangents `M` of shape `(B, N, q)`.

        `J_t = d s_t / d s_(t-1)` is never made; its products come from forward-mode differentiation (`torch.func`), a
        block of directions at a time.
        """

        def along(tangent: Tensor) -> Tensor:
            moved: Tensor = jvp(lambda state: self.step(inputs, state), (flat,), (tangent,))[1]
            return moved

        block = max(1, _NUMBERS_AT_ONCE // flat.numel())
        moved: Tensor = vmap(along, in_dims=2, out_dims=2, chunk_size=block)(tangents)
        return self.step(inputs, flat), moved

    def identity(self, directions: int | None = None) -> Tensor:
        """The first `directions` unit vectors (None: all N) for every row, `(B, N, q)`."""
        eye = torch.eye(self.size, directions or self.size, dtype=self.initial.dtype, device=self.initial.device)
        return eye.expand(len(self.initial), -1, -1).contiguous()

    def _flat_of_same_size(self, state: State) -> Tensor:
        flat = flat_state(self._model, state)
        if flat.shape[1] != self.size:
            raise InputError(
                f"the state of {type(self._model).__name__} grows from {self.size} to {flat.shape[1]} numbers: "
                "its steps have no square Jacobian"
            )
        return flat

    def _tree(self, flat: Tensor) -> State:
        dim = self._model.state_batch_dim
        parts = iter(torch.split(flat, list(_widths(self._model, self._template)), dim=1))

        def part_of(leaf: Tensor) -> Tensor:
            part: Tensor = next(parts).reshape(leaf.movedim(dim, 0).shape).movedim(0, dim)
            return part

        return map_state(part_of, self._template)


_NUMBERS_AT_ONCE = 2**21  # of state in one block of directions; gates and their tangents take some ten times as much


def real_leaves(state: State) -> list[Tensor]:
    """The leaves of floating point; counters and token ids are left out."""
    return [leaf for leaf in state_leaves(state) if leaf.is_floating_point()]


def flat_state(model: SequenceModel, state: State) -> Tensor:
    """The real numbers of a state as one vector for each row, `(B, N)`; InputError where there are none."""
    leaves = real_leaves(state)
    if not any(leaf.numel() for leaf in leaves):
        raise InputError(f"the state of {type(model).__name__} holds no real numbers to be measured")
    return torch.cat([leaf.movedim(model.state_batch_dim, 0).flatten(1) for leaf in leaves], dim=1)


def _widths(model: SequenceModel, state: State) -> Iterator[int]:
    for leaf in state_leaves(state):
        yield leaf.numel() // leaf.shape[model.state_batch_dim]
