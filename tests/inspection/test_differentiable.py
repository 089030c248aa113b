"""The leaf stands where the ids become vectors, and the hooks are gone afterwards."""

import pytest
import torch
from torch import Tensor, nn

from longhold.inspection.differentiable import DifferentiableInputs
from longhold.models import LanguageModelConfig, SequenceModel, State


class WithPositions(SequenceModel):
    """Looks up positions before it looks up its ids."""

    def __init__(self) -> None:
        super().__init__()
        self.positions, self.tokens = nn.Embedding(20, 3), nn.Embedding(20, 3)

    def initial_state(self, batch: int) -> State:
        return ()

    def forward(self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None) -> tuple[Tensor, State]:
        steps = torch.arange(len(inputs))[:, None].expand_as(inputs)
        return self.positions(steps) + 2 * self.tokens(inputs), ()


def test_of_two_embeddings_it_is_the_one_that_reads_the_ids() -> None:
    model, ids = WithPositions(), torch.tensor([[5, 6], [7, 8]])
    with DifferentiableInputs.opened(model) as call:
        outputs, _, leaf = call(ids, ())
    assert torch.equal(leaf, model.tokens(ids))
    (gradient,) = torch.autograd.grad(outputs.sum(), leaf)
    assert (gradient == 2).all()


class WithOneHots(SequenceModel):
    """Makes one-hot vectors of its ids itself, and of other ids that happen to be equal."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(20, 3, bias=False)

    def initial_state(self, batch: int) -> State:
        return ()

    def forward(self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None) -> tuple[Tensor, State]:
        others = nn.functional.one_hot(inputs.clone(), 20).to(self.linear.weight.dtype)
        return self.linear(nn.functional.one_hot(inputs, 20).to(self.linear.weight.dtype) * 2 + others), ()


def test_one_hot_vectors_are_the_leaf_where_the_model_makes_them() -> None:
    model, ids = WithOneHots().double(), torch.tensor([[5, 6], [7, 8]])
    with DifferentiableInputs.opened(model) as call:
        outputs, _, leaf = call(ids, ())
    assert torch.equal(leaf, nn.functional.one_hot(ids, 20).double())
    torch.testing.assert_close(outputs, model(ids)[0])
    (gradient,) = torch.autograd.grad(outputs.sum(), leaf)
    torch.testing.assert_close(gradient, (2 * model.linear.weight.sum(0)).expand(2, 2, -1))


@pytest.mark.parametrize("embedding_size", [None, 4])
def test_outputs_are_the_models_own_and_hooks_are_gone(embedding_size: int | None) -> None:
    config = LanguageModelConfig(cell="lstm", vocab_size=6, hidden_size=3, embedding_size=embedding_size)
    model, ids = config.build(dtype=torch.float64), torch.randint(6, (4, 2))
    with DifferentiableInputs.opened(model) as call:
        outputs, _, leaf = call(ids, model.initial_state(2))
    torch.testing.assert_close(outputs, model(ids)[0])
    assert leaf.shape == (4, 2, embedding_size or 6)
    assert leaf.is_leaf
    assert leaf.requires_grad
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())
