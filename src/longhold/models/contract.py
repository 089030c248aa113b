"""The state contract: what training, sampling, instruments and study may ask of a model."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, ClassVar, TypeAlias, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from longhold.models.inputs import read_targets

State: TypeAlias = Tensor | tuple["State", ...] | list["State"] | dict[str, "State"]
"""A tree of tensors: a tensor, or a tuple (named or plain), list or dict of trees. `()` is the state of a model that
has none."""

StateT = TypeVar("StateT", bound=State)


def map_state(function: Callable[[Tensor], Tensor], state: StateT) -> StateT:
    """The same tree with `function` applied to each tensor; the input tree is left as it was."""
    return _map(function, state)  # type: ignore[return-value]


def _map(function: Callable[[Tensor], Tensor], state: State) -> State:
    if isinstance(state, Tensor):
        return function(state)
    if isinstance(state, dict):
        return {name: _map(function, branch) for name, branch in state.items()}
    if isinstance(state, list):
        return [_map(function, branch) for branch in state]
    if isinstance(state, tuple):
        make: Callable[[list[State]], State] = getattr(type(state), "_make", tuple)  # named tuples keep their names
        return make([_map(function, branch) for branch in state])
    raise TypeError(f"a state is a tree of tensors, tuples, lists and dicts; found {type(state).__name__}")


def state_leaves(state: State) -> Iterator[Tensor]:
    """The tensors of a tree, depth first, in the order in which the tree holds them."""
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, dict | list | tuple):
        for branch in state.values() if isinstance(state, dict) else state:
            yield from state_leaves(branch)
    else:
        raise TypeError(f"a state is a tree of tensors, tuples, lists and dicts; found {type(state).__name__}")


def device_of(module: nn.Module) -> torch.device:
    """Where the module's parameters and buffers are; the CPU for a module that has none."""
    tensors = itertools.chain(module.parameters(), module.buffers())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Evaluation mode inside the block; afterwards each part is in the mode it had, not all in the module's."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


@contextmanager
def able_to_learn() -> Iterator[None]:
    """Autograd watches inside the block and new tensors hold numbers, whatever modes and default device are set."""
    real = torch.device("cpu") if torch.get_default_device().type == "meta" else nullcontext()
    with torch.inference_mode(False), torch.enable_grad(), real:
        yield


class SequenceModel(nn.Module, ABC):
    """Everything that is trained or compared.

    One call runs `T` steps of `B` rows from a state and gives the state after them:

        outputs, state = model(inputs, state, reset)

    so a sequence cut into chunks, each started from the state the last one left, gives the outputs of the whole. A
    state is a tree of tensors that is never written in place. **Every leaf has its rows in dimension
    `state_batch_dim`**, which is 1 as in torch's `h_n` `(L, B, H)`; a model whose leaves are laid out otherwise sets
    the class attribute.

    A subclass supplies `forward` and `initial_state`; `detach`, `select`, `state_bytes` and `loss` follow from these.
    """

    state_batch_dim: ClassVar[int] = 1

    if TYPE_CHECKING:

        def __call__(
            self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None
        ) -> tuple[Tensor, State]: ...

    @abstractmethod
    def forward(self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None) -> tuple[Tensor, State]:
        """Run `T` steps.

        Args:
            inputs: `(T, B)` token ids, or `(T, B, F)` features.
            state: the state to begin from; None is `initial_state(B)`.
            reset: `(T, B)` bool or None. True at `[t, b]` hides everything before step `t` from row `b`, so the row
                continues as if `t` were its first step from the initial state.

        Returns:
            outputs `(T, B, V)` (logits or values) and the state after the last step.
        """

    @abstractmethod
    def initial_state(self, batch: int) -> State:
        """The state before the first step of `batch` rows, on the model's device and in its dtype."""

    def detach(self, state: StateT) -> StateT:
        """The same numbers, cut from the graph: where truncated back-propagation through time stops."""
        return map_state(torch.Tensor.detach, state)

    def select(self, state: StateT, rows: Tensor) -> StateT:
        """The state of the rows that `rows` names, shape `(N,)` long: fewer, in another order, or one several times."""
        return map_state(lambda leaf: leaf.index_select(self.state_batch_dim, rows.to(leaf.device)), state)

    def state_bytes(self, batch: int = 1) -> int:
        """Bytes taken by the state of `batch` rows that have seen nothing yet."""
        return sum(leaf.numel() * leaf.element_size() for leaf in state_leaves(self.initial_state(batch)))

    def loss(
        self, inputs: Tensor, targets: Tensor, state: State | None = None, reset: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Mean cross-entropy in nats over the targets, a scalar tensor, and the state after the last step.

            loss = -1/N sum over t, b of ln softmax(outputs[t, b])[targets[t, b]]

        `targets` is `(T, B)`, integers of any type. A target of -100 (torch's `ignore_index`) is ignored and not
        counted in `N`.

        Raises:
            InputError: targets that are no integers, of another shape, or outside the vocabulary.
        """
        outputs, state = self(inputs, state, reset)
        wanted = read_targets(targets, outputs.shape[:2], outputs.shape[-1])
        return F.cross_entropy(outputs.flatten(0, 1), wanted.flatten()), state
