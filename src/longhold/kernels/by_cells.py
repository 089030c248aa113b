"""What operators do by the cells and the loop over time: derivatives above the first; without the extension all.

Without the C++ extension an operator gives the same shapes, and the same numbers up to rounding, so that an exported
program that names it runs wherever longhold is installed. The layers never come to that: they choose another backend
before they call the operator.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

Tensors = Sequence[Tensor | None]


def forward_like(results: Sequence[Tensor], values: Tensors) -> tuple[Tensor, ...]:
    """What a forward operator returns: `values` in its first places, the rest zeros, for nothing here reads it."""
    padded = [*values, *[None] * (len(results) - len(values))]
    for result, value in zip(results, padded, strict=True):
        if value is not None and result.shape == value.shape:
            result.copy_(value)
        else:
            result.zero_()
    return tuple(results)


@contextmanager
def _watched_by_autograd() -> Iterator[None]:
    """Autograd watches inside the block, even in an operator's kernel, which the dispatcher calls below it."""
    key = torch._C.DispatchKey.AutogradFunctionality
    excluded = torch._C._dispatch_tls_is_dispatch_key_excluded(key)
    torch._C._dispatch_tls_set_dispatch_key_excluded(key, False)
    try:
        yield
    finally:
        torch._C._dispatch_tls_set_dispatch_key_excluded(key, excluded)


def first_gradients(
    run: Callable[[list[Tensor | None]], Tensors], above: Tensors, leaves: Tensors
) -> list[Tensor | None]:
    """The gradient of each leaf, zero where nothing depends on it; None for no leaf and for ids."""
    with torch.enable_grad(), _watched_by_autograd():
        sources = [t if t is None or not t.is_floating_point() else t.detach().requires_grad_() for t in leaves]
        pairs = [(o, d) for o, d in zip(run(sources), above, strict=True) if o is not None and d is not None]
        wanted = [t for t in sources if t is not None and t.requires_grad]
        gradients = torch.autograd.grad(
            [o for o, _ in pairs], wanted, [d for _, d in pairs], allow_unused=True, materialize_grads=True
        )
    by_leaf = dict(zip(map(id, wanted), gradients, strict=True))
    return [by_leaf.get(id(t)) for t in sources]


def differentiate_again(
    run: Callable[[list[Tensor | None]], Tensors], above: Tensors, leaves: Tensors, grads: Tensors
) -> tuple[list[Tensor | None], list[Tensor | None]]:
    """Gradients of the first gradients, which are taken again through `run`, this time with a graph.

    Arguments:
        run: the outputs as a differentiable function of the leaves.
        above: the gradient of each output that the first gradients were taken with; None where there was none.
        leaves: what the first gradients were taken of; what is not of floating point has none.
        grads: the gradient of each first gradient.

    Returns:
        The gradients of `above` and of `leaves`.
    """
    higher = torch.is_grad_enabled()
    with torch.enable_grad():
        above, leaves = [aliased(t) for t in above], [aliased(t) for t in leaves]
        outputs = run(leaves)
        pairs = [(o, d) for o, d in zip(outputs, above, strict=True) if o is not None and d is not None]
        inputs = [leaf for leaf in leaves if leaf is not None and leaf.requires_grad]
        first = torch.autograd.grad(
            [o for o, _ in pairs],
            inputs,
            [d for _, d in pairs],
            create_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        by_leaf = dict(zip(map(id, inputs), first, strict=True))
        used = [
            (by_leaf[id(leaf)], g)
            for leaf, g in zip(leaves, grads, strict=True)
            if leaf is not None and id(leaf) in by_leaf and g is not None and g.shape == leaf.shape
        ]
        sources = [t for t in above if t is not None] + inputs
        second = torch.autograd.grad(
            [f for f, _ in used], sources, [g for _, g in used], create_graph=higher, allow_unused=True
        )
    found = dict(zip(map(id, sources), second, strict=True))
    return [found.get(id(t)) for t in above], [found.get(id(t)) for t in leaves]


def aliased(tensor: Tensor | None) -> Tensor | None:
    """The same tensor as something to differentiate by, still part of the graph it came from; ids as they are."""
    if tensor is None or not tensor.is_floating_point():
        return tensor
    return tensor.view_as(tensor) if tensor.requires_grad else tensor.detach().requires_grad_()
