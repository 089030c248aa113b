"""Inputs that can be differentiated by: features as they are, token ids where they become vectors."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from longhold.errors import InputError
from longhold.layers.base import RecurrentLayer
from longhold.models import SequenceModel, State


@final
class DifferentiableInputs:
    """Calls a model and gives the vectors that its inputs became, as the leaf of the graph.

    Features are the leaf themselves. For token ids the leaf is what the first `nn.Embedding` that reads them returned;
    where the model makes one-hot vectors of them, or hands them to a recurrent layer, it is the one-hot vectors. Use it
    inside `opened`.
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
        hooks = []
        for part in model.modules():
            if isinstance(part, nn.Embedding):
                hooks.append(part.register_forward_hook(call._embedded))
            elif isinstance(part, RecurrentLayer):
                hooks.append(part.register_forward_pre_hook(call._spelled_out))
        try:
            with _OneHots(call):
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
        self._ids, self._leaf = inputs.long(), None
        outputs, state = self._model(self._ids, state)
        leaf = self._taken()
        if leaf is None:
            raise InputError(
                f"{type(self._model).__name__} turns its token ids into no vectors that this can see: expected an "
                "nn.Embedding, a recurrent layer or one-hot vectors"
            )
        return outputs, state, leaf

    def reads_the_ids(self, given: Any) -> bool:
        """Whether `given` is the ids themselves (not merely equal to them), and nobody has read them yet."""
        ids = self._ids
        if ids is None or self._leaf is not None or not isinstance(given, Tensor):
            return False
        return given.dtype == ids.dtype and given.is_set_to(ids)

    def take(self, vectors: Tensor) -> Tensor:
        """The same numbers as the leaf, in the model's type."""
        dtype = next((each.dtype for each in self._model.parameters()), torch.get_default_dtype())
        self._leaf = vectors.detach().to(dtype).requires_grad_()
        return self._leaf

    def _taken(self) -> Tensor | None:
        return self._leaf

    def _embedded(self, module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> Tensor | None:
        return self.take(output) if self.reads_the_ids(arguments[0]) else None

    def _spelled_out(self, module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if not self.reads_the_ids(arguments[0]) or not isinstance(module, RecurrentLayer):
            return None
        return F.one_hot(arguments[0], module.input_size), *arguments[1:]  # `_OneHots` makes them the leaf


class _OneHots(TorchFunctionMode):
    """Makes the one-hot vectors of the ids the leaf, wherever they are made."""

    def __init__(self, call: DifferentiableInputs) -> None:
        super().__init__()
        self._call = call

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        arguments: tuple[Any, ...] = (),
        keywords: Mapping[str, Any] | None = None,
    ) -> Any:
        is_lookup = function is F.one_hot and self._call.reads_the_ids(arguments[0])
        found = function(*arguments, **(keywords or {}))
        return self._call.take(found) if is_lookup else found
