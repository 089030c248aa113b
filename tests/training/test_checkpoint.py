"""What goes into a checkpoint and comes out of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from longhold.errors import InputError
from longhold.models.contract import State, state_leaves
from longhold.models.language_model import LanguageModel
from longhold.training.best import Best, copy_of
from longhold.training.checkpoint import Counters, Position, pack, unpack
from longhold.training.generators import generators_of
from longhold.training.optim import build_optimizer
from tests.training.program import config, model

CPU = torch.device("cpu")


def shares(trained: LanguageModel, rows: int, workers: int) -> tuple[State, list[State]]:
    """A state of `rows` rows after some steps, and the equal parts of it."""
    _, state = trained(torch.arange(5 * rows).reshape(5, rows) % 17)
    state = trained.detach(state)
    width = rows // workers
    return state, [trained.select(state, torch.arange(r * width, (r + 1) * width)) for r in range(workers)]


@pytest.mark.parametrize("before", [1, 2, 3])
@pytest.mark.parametrize("after", [1, 2, 3, 6])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_carried_state_is_dealt_to_any_number_of_workers(before: int, after: int, cell: str) -> None:
    trained = model(cell=cell)
    optimizer = build_optimizer(trained, config())
    whole, parts = shares(trained, 6, before)
    generators = [generators_of(CPU) for _ in range(before)]
    tensors, document = pack(trained, optimizer, Position(state=parts[0]), parts, generators)
    width = 6 // after
    for rank in range(after):
        position = unpack(tensors, document, trained, optimizer, rank, after)
        expected = trained.select(whole, torch.arange(rank * width, (rank + 1) * width))
        assert type(position.state) is type(expected)
        for found, leaf in zip(state_leaves(position.state), state_leaves(expected), strict=True):
            assert torch.equal(found, leaf)
            assert not found.requires_grad


def test_each_worker_gets_its_own_generator_back() -> None:
    trained = model()
    optimizer = build_optimizer(trained, config())
    states, draws = [], []
    for rank in range(2):
        torch.manual_seed(rank)
        states.append(generators_of(CPU))
        draws.append(torch.rand(3))
    tensors, document = pack(trained, optimizer, Position(), [None, None], states)
    for rank in (1, 0):
        assert unpack(tensors, document, trained, optimizer, rank, 2).state is None
        assert torch.equal(torch.rand(3), draws[rank])
    fresh = []
    for rank in (2, 3):  # not there before
        unpack(tensors, document, trained, optimizer, rank, 4)
        fresh.append(torch.rand(3))
    assert not any(torch.equal(a, b) for a, b in [(*fresh,), (fresh[0], draws[0]), (fresh[1], draws[1])])


@pytest.mark.parametrize("changes", [{}, {"optimizer": "sgd", "momentum": 0.9}, {"optimizer": "sgd"}], ids=str)
def test_the_optimizer_goes_on_where_it_was(changes: dict[str, Any]) -> None:
    def step(trained: LanguageModel, optimizer: torch.optim.Optimizer, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for parameter in trained.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()

    one, two = model(), model()
    first, second = build_optimizer(one, config(**changes)), build_optimizer(two, config(**changes))
    step(one, first, 0)
    step(one, first, 1)
    tensors, document = pack(one, first, Position(Counters(step=2)), [None], [generators_of(CPU)])
    assert unpack(tensors, document, two, second).counters == Counters(step=2)
    for trained, optimizer in ((one, first), (two, second)):
        step(trained, optimizer, 2)
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, two.state_dict()[name]), name


def test_what_comes_out_shares_no_memory_with_what_was_read() -> None:
    trained = model()
    optimizer = build_optimizer(trained, config())
    state, parts = shares(trained, 2, 1)
    position = Position(state=state, best=Best(weights=copy_of(trained)))
    tensors, document = pack(trained, optimizer, position, parts, [generators_of(CPU)])
    read = {name: tensor.clone() for name, tensor in tensors.items()}
    back = unpack(read, document, trained, optimizer)
    for tensor in read.values():
        tensor.zero_()
    assert back.best.weights is not None
    assert back.best.weights["output.weight"].abs().max() > 0
    assert all(leaf.abs().max() > 0 for leaf in state_leaves(back.state))


def other_counters(document: dict[str, Any]) -> None:
    document["counters"]["new"] = 1


def no_counters(document: dict[str, Any]) -> None:
    del document["counters"]


@pytest.mark.parametrize("spoil", [other_counters, no_counters])
def test_a_checkpoint_of_another_version(spoil: Callable[[dict[str, Any]], None]) -> None:
    trained = model()
    optimizer = build_optimizer(trained, config())
    tensors, document = pack(trained, optimizer, Position(), [None], [generators_of(CPU)])
    spoil(document)
    with pytest.raises(InputError, match="another version"):
        unpack(tensors, document, trained, optimizer)


def test_a_checkpoint_of_another_model() -> None:
    trained, other = model(), model(hidden_size=13)
    tensors, document = pack(trained, build_optimizer(trained, config()), Position(), [None], [generators_of(CPU)])
    with pytest.raises(InputError, match="does not fit the model") as caught:
        unpack(tensors, document, other, build_optimizer(other, config()))
    assert "\n" not in str(caught.value)
