"""The rules that both families of operators give to autograd and to `torch.func`, and what a rule checks and keeps."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from longhold.kernels.addresses import ORDINARY


def as_given(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments themselves, for `autograd_rule`."""
    return arguments


def check_upstream(grads: Sequence[Tensor | None]) -> None:
    """RuntimeError where a gradient from above is sparse."""
    for grad in grads:
        if grad is not None and grad.layout != torch.strided:
            raise RuntimeError(
                f"the gradient of a recurrent layer's output should be strided, got layout {grad.layout}"
            )


def one_device(arguments: Sequence[Any]) -> None:
    """RuntimeError unless all tensors are on one device. The dispatcher sends them here if one of them is on meta."""
    devices = {argument.device for argument in arguments if isinstance(argument, Tensor)}
    if len(devices) > 1:
        raise RuntimeError(f"all tensors should be on one device, got {' and '.join(sorted(map(str, devices)))}")


def one_by_one(name: str, info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Any, Any]:
    """An operator of many gradients at once, called for one after the other: its rule for `torch.func.vmap`."""
    operator = getattr(torch.ops.longhold, name).default
    calls = [
        operator(*(a if dim is None else a.select(dim, i) for a, dim in zip(arguments, in_dims, strict=True)))
        for i in range(info.batch_size)
    ]
    stacks = tuple(torch.stack(results) for results in zip(*calls, strict=True))
    return stacks, (0,) * len(stacks)


def as_torch_keeps(ctx: Any, tensors: Sequence[Tensor | None], h0: int) -> Sequence[Tensor | None]:
    """A forward operator's tensors for its backward pass; `h0` is the place of the state.

    The input and h0 may be written in place where torch.nn does not keep them, which is where the weights that they
    are multiplied by have no gradient: then they are copied.
    """
    _, needs_ih, needs_hh = ctx.needs_input_grad[1:4]
    if needs_ih and needs_hh:
        return tensors
    kept = list(tensors)
    for place, needed in ((0, needs_ih), (h0, needs_hh)):
        tensor = kept[place]
        kept[place] = tensor if needed or tensor is None else tensor.clone()
    return kept


def unwatched(tensor: Tensor) -> bool:
    """Whether a kernel may be called past the dispatcher: nothing traces, fakes or counts operators."""
    return type(tensor) in ORDINARY and torch._C._len_torch_dispatch_stack() == 0


def autograd_rule(
    operator: Any,
    keep: Callable[..., None],
    differentiate: Callable[..., tuple[Any, ...]],
    kept: Callable[[tuple[Any, ...]], tuple[Any, ...]],
    kernel: Callable[..., tuple[Tensor, ...]] | None = None,
) -> Any:
    """The operator's autograd rule; `kept` turns the arguments into those of a call that is differentiated.

    `kernel`, if given, is what runs on CPU tensors; it is then called without a second trip through the dispatcher.

    As `torch.library.register_autograd` makes it, but without its search for default arguments: that alone takes some
    60 microseconds a call, as long as a small recurrence.
    """

    def redispatch(keys: Any, arguments: tuple[Any, ...]) -> tuple[Tensor, ...]:
        if kernel is not None and unwatched(arguments[0]) and arguments[0].is_cpu:
            return kernel(*arguments)
        with torch._C._AutoDispatchBelowAutograd():
            found: tuple[Tensor, ...] = operator.redispatch(keys & torch._C._after_autograd_keyset, *arguments)
            return found

    class Recurrent(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, keys: Any, *arguments: Any) -> tuple[Tensor, ...]:
            output = redispatch(keys, arguments)
            keep(ctx, arguments, output)
            return output

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
            return (None, *differentiate(ctx, *grads))

    def implementation(keys: Any, *arguments: Any) -> tuple[Tensor, ...]:
        if torch.is_grad_enabled() and torch._C._any_requires_grad(*arguments):
            applied: tuple[Tensor, ...] = Recurrent.apply(keys, *kept(arguments))  # type: ignore[no-untyped-call]
            return applied
        return redispatch(keys, arguments)

    return implementation
