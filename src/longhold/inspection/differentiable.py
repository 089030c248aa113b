"""Inputs that can be differentiated by: features as they are, token ids where they become vectors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from longhold.errors import InputError
from longhold.layers.base import RecurrentLayer
from longhold.models import SequenceModel, State


@final
class DifferentiableInputs:
    """Calls a model and gives the vectors that its inputs became, as the leaf of the graph.

    Features are the leaf themselves. For token ids the leaf is what the first `nn.Embedding` that reads them returned;
    where a recurrent layer takes the ids itself, it is their one-hot vectors. Use it inside `opened`.
    """

    def __init__(self, model: SequenceModel) -> None:
        self._model = model
        self._ids: Tensor | None = None
        self._leaf: Tensor | None = None

    @classmethod
    @contextmanager
    def opened(cls, model: SequenceModel) -> Iterator["DifferentiableInputs"]:
        """The caller with its hooks on the model, which are gone after the block."""
        call = cls(model)
        hooks = [
            part.register_forward_hook(call._embedded) for part in model.modules() if isinstance(part, nn.Embedding)
        ]
        for part in model.modules():
            if isinstance(part, RecurrentLayer):
                hooks.append(part.register_forward_pre_hook(call._one_hot))
        try:
            yield call
        finally:
            for hook in hooks:
                hook.remove()

    def __call__(self, inputs: Tensor, state: State) -> tuple[Tensor, State, Tensor]:
        """Outputs, the state after them, and the leaf, `(T, B, width)`.

        Raises:
            InputError: the model has no place where its ids become vectors, as an n-gram model.
        """
        if inputs.is_floating_point():
            features = inputs.detach().requires_grad_()
            return *self._model(features, state), features
        self._ids, self._leaf = inputs, None
        outputs, state = self._model(inputs, state)
        leaf = self._taken()
        if leaf is None:
            raise InputError(
                f"{type(self._model).__name__} turns its token ids into no vectors that this can see: expected an "
                "nn.Embedding or a recurrent layer that reads them"
            )
        return outputs, state, leaf

    def _taken(self) -> Tensor | None:
        return self._leaf

    def _reads_the_ids(self, given: Any) -> bool:
        ids, taken = self._ids, self._leaf is not None
        if taken or ids is None or not isinstance(given, Tensor) or given.is_floating_point():
            return False
        return given.shape == ids.shape and bool(torch.equal(given, ids))

    def _embedded(self, module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> Tensor | None:
        if not self._reads_the_ids(arguments[0]):
            return None
        self._leaf = output.detach().requires_grad_()
        return self._leaf

    def _one_hot(self, module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if not self._reads_the_ids(arguments[0]):
            return None
        weight = next(module.parameters())
        one_hot = F.one_hot(arguments[0].long(), int(module.input_size))  # type: ignore[arg-type]
        self._leaf = one_hot.to(weight.dtype).requires_grad_()
        return self._leaf, *arguments[1:]
