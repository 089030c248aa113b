"""Flat states and their pushed directions, for every tree and batch dimension."""

from typing import ClassVar

import pytest
import torch
from torch import Tensor

from longhold.errors import InputError
from longhold.inspection import state_map
from longhold.inspection.state_map import StateMap, flat_state
from longhold.models import LanguageModelConfig, SequenceModel, State
from tests.inspection.calibration import UnreliableLatch
from tests.inspection.test_gradient_by_lag import SmallAttention


class Tree(SequenceModel):
    """Two leaves of different shape with their rows in front, moved by known matrices."""

    state_batch_dim: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.matrix = torch.nn.Parameter(torch.randn(8, 8, dtype=torch.float64))

    def initial_state(self, batch: int) -> dict[str, State]:
        zeros = self.matrix.new_zeros
        return {"a": zeros(batch, 2), "b": (zeros(batch, 3, 2),)}

    def forward(self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None) -> tuple[Tensor, State]:
        held = self.initial_state(inputs.shape[1]) if state is None else state
        flat = torch.cat([held["a"], held["b"][0].flatten(1)], dim=1)  # type: ignore[index, call-overload, union-attr]
        for x in inputs:
            flat = flat @ self.matrix.T + x
        return flat[None], {"a": flat[:, :2], "b": (flat[:, 2:].reshape(-1, 3, 2),)}


def test_a_tree_is_one_vector_and_its_directions_move_with_the_matrix() -> None:
    model = Tree().requires_grad_(False)
    states = StateMap(model, 3)
    assert states.size == 8
    flat, x = torch.randn(3, 8, dtype=torch.float64), torch.randn(3, 8, dtype=torch.float64)
    directions = torch.randn(3, 8, 5, dtype=torch.float64)
    after, moved = states.push(x, flat, directions)
    torch.testing.assert_close(after, flat @ model.matrix.T + x)
    torch.testing.assert_close(moved, model.matrix @ directions)
    torch.testing.assert_close(states.run(torch.stack([x, x]), flat), states.step(x, states.step(x, flat)))


def test_blocks_of_directions_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = LanguageModelConfig(cell="lstm", vocab_size=4, hidden_size=3).build(dtype=torch.float64)
    model.requires_grad_(False)
    states, ids = StateMap(model, 2), torch.tensor([1, 3])
    flat = torch.randn(2, 6, dtype=torch.float64)
    whole = states.push(ids, flat, states.identity())
    monkeypatch.setattr(state_map, "_NUMBERS_AT_ONCE", 30)
    torch.testing.assert_close(states.push(ids, flat, states.identity()), whole)


def test_counters_are_left_out_of_a_flat_state_and_refused_by_a_map() -> None:
    model = Tree()
    state = {"position": torch.zeros(2, 1, dtype=torch.long), "cache": torch.ones(2, 3)}
    assert flat_state(model, state).shape == (2, 3)
    with pytest.raises(InputError, match="UnreliableLatch"):
        StateMap(UnreliableLatch(2, 0.5), 1)


def test_a_state_that_grows_has_no_jacobian() -> None:
    with pytest.raises(InputError, match="SmallAttention"):
        StateMap(SmallAttention(), 2)

    class Growing(Tree):
        def forward(
            self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None
        ) -> tuple[Tensor, State]:
            outputs, after = super().forward(inputs, state, reset)
            return outputs, {**after, "more": torch.zeros(inputs.shape[1], 1)}  # type: ignore[dict-item]

    states = StateMap(Growing(), 2)
    with pytest.raises(InputError, match="grows from 8 to 9"):
        states.step(torch.zeros(2, 8), torch.zeros(2, 8, dtype=torch.float64))
