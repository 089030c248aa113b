"""The defaults of the state contract, on a model small enough to work by hand and on trees of every kind."""

import math
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from longhold.models.contract import SequenceModel, State, map_state, state_leaves


class Pair(NamedTuple):
    h: Tensor
    c: Tensor


class Counter(SequenceModel):
    """Logits (0, 0, w * steps seen since the last reset); the state has several kinds of branches."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(0.5))

    def initial_state(self, batch: int) -> State:
        zeros = self.weight.new_zeros(1, batch)
        return {"pair": Pair(zeros, zeros.double()), "list": [zeros], "none": ()}

    def forward(self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None) -> tuple[Tensor, State]:
        state = self.initial_state(inputs.shape[1]) if state is None else state
        count = state["pair"].h
        outputs = []
        for t in range(inputs.shape[0]):
            count = count if reset is None else torch.where(reset[t], torch.zeros_like(count), count)
            count = count + self.weight
            outputs.append(torch.stack([torch.zeros_like(count[0]), torch.zeros_like(count[0]), count[0]], -1))
        return torch.stack(outputs), {"pair": Pair(count, count.double()), "list": [count], "none": ()}


def test_a_class_without_forward_or_initial_state_is_abstract() -> None:
    class Half(SequenceModel):
        def initial_state(self, batch: int) -> State:
            return ()

    with pytest.raises(TypeError, match="forward"):
        Half()


def test_loss_is_the_mean_cross_entropy_in_nats() -> None:
    model = Counter()
    targets = torch.tensor([[2, 0], [1, 2]])
    nats, state = model.loss(torch.zeros(2, 2, dtype=torch.long), targets)
    logits = [[0.5, 0.5], [1.0, 1.0]]
    hand = [
        math.log(2 + math.exp(logit)) - (logit if target == 2 else 0.0)
        for row, asked in zip(logits, targets.tolist(), strict=True)
        for logit, target in zip(row, asked, strict=True)
    ]
    assert nats.shape == ()
    assert nats.item() == pytest.approx(sum(hand) / 4)
    assert state["pair"].h.tolist() == [[1.0, 1.0]]


def test_targets_of_minus_100_are_not_asked() -> None:
    model, inputs = Counter(), torch.zeros(2, 1, dtype=torch.long)
    nats, _ = model.loss(inputs, torch.tensor([[-100], [2]]))
    assert nats.item() == pytest.approx(math.log(2 + math.e) - 1)


def test_loss_goes_through_state_and_reset() -> None:
    model, inputs, targets = Counter(), torch.zeros(1, 2, dtype=torch.long), torch.tensor([[2, 2]])
    _, state = model(inputs)
    nats, state = model.loss(inputs, targets, state, torch.tensor([[True, False]]))
    expected = [math.log(2 + math.exp(logit)) - logit for logit in (0.5, 1.0)]
    assert nats.item() == pytest.approx(sum(expected) / 2)


def test_detach_keeps_the_numbers_and_the_tree_and_cuts_the_graph() -> None:
    model = Counter()
    _, state = model(torch.zeros(2, 3, dtype=torch.long))
    cut = model.detach(state)
    assert all(leaf.requires_grad for leaf in state_leaves(state))
    assert not any(leaf.requires_grad for leaf in state_leaves(cut))
    assert isinstance(cut["pair"], Pair)
    assert cut["none"] == ()
    pairs = zip(state_leaves(state), state_leaves(cut), strict=True)
    assert all(torch.equal(before, after) for before, after in pairs)


def test_select_picks_rows_in_dimension_1_or_where_the_model_says() -> None:
    class Upright(Counter):
        state_batch_dim = 0

    rows = torch.tensor([2, 0, 2])
    leaf = torch.arange(6.0).view(2, 3)
    assert Counter().select((leaf,), rows)[0].tolist() == [[2, 0, 2], [5, 3, 5]]
    assert Upright().select([leaf.t()], rows)[0].tolist() == [[2, 5], [0, 3], [2, 5]]


def test_state_bytes_counts_every_leaf() -> None:
    assert Counter().state_bytes() == 4 + 8 + 4
    assert Counter().state_bytes(batch=5) == 5 * 16


def test_trees_of_other_things_are_refused() -> None:
    with pytest.raises(TypeError, match="int"):
        map_state(torch.clone, (torch.zeros(1), 3))
    with pytest.raises(TypeError, match="str"):
        list(state_leaves(["h"]))
