"""Output layer and cross-entropy in one, a block of rows at a time, so that the logits of all rows never exist."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from longhold.kernels.addresses import ORDINARY, check_memory, lend, lies_in_memory, of_new
from longhold.kernels.extension import loaded, why_missing
from longhold.kernels.operators import DTYPES

BLOCK_BYTES = 1 << 20
"""Logits held at once, unless fewer than `LEAST_ROWS` rows would fit. If all of them are no more than this there is
nothing to save, and torch's own operators are a few percent faster (docs/decisions/0008)."""
LEAST_ROWS = 128
"""Rows in a block at least: with fewer, each block's product would be slower."""


def linear_cross_entropy(
    features: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, ignore_index: int = -100
) -> Tensor:
    """Mean cross-entropy in nats of a linear layer's outputs, a scalar.

        loss = -1/n sum over rows of ln softmax(features W^T + b)[target],   n rows being those with a target

    On the CPU in float32 and float64, where the logits would take more than `BLOCK_BYTES`, the rows are taken in blocks
    and each block's gradients are computed while its logits are there: memory does not grow with N V, and no product is
    computed twice. Elsewhere (other devices and types, autocast, traced programs, torch.func transforms, forward mode)
    it is torch's `linear` and `cross_entropy`. Differentiable to any order, beyond the first by those.

    Arguments:
        features: (N, H).
        weight: (V, H).
        bias: (V,) or None.
        targets: (N,) int64 from 0 to V - 1, or `ignore_index` where a row is left out. With no target at all the loss
            is NaN, as torch's.

    Raises:
        IndexError: a target is out of bounds.
    """
    check_memory((features, weight, bias, targets))
    if not _has_kernel(features, weight, bias, targets):
        return _by_torch(features, weight, bias, targets, ignore_index)
    wanted = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (features, weight, bias))
    if not wanted:
        return _Pass(features, weight, bias, targets, ignore_index).run(())[0]
    loss: Tensor = _LinearCrossEntropy.apply(features, weight, bias, targets, ignore_index)  # type: ignore[no-untyped-call]
    return loss


def _by_torch(features: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, ignore_index: int) -> Tensor:
    return F.cross_entropy(F.linear(features, weight, bias), targets, ignore_index=ignore_index)


def _has_kernel(features: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> bool:
    floats = [t for t in (features, weight, bias) if t is not None]
    return (
        why_missing() is None
        and not torch.compiler.is_compiling()
        and not torch._C._are_functorch_transforms_active()
        and torch.autograd.forward_ad._current_level < 0
        and not torch.is_autocast_enabled("cpu")
        and features.dtype in DTYPES
        and targets.dtype == torch.int64
        and features.dim() == 2
        and targets.shape == features.shape[:1]
        and features.numel() > 0
        and features.shape[0] * weight.shape[0] * features.element_size() > BLOCK_BYTES
        and all(t.is_cpu and t.layout == torch.strided and t.dtype == features.dtype for t in floats)
        and targets.is_cpu
        and all(type(t) in ORDINARY for t in (*floats, targets))
    )


class _Pass:
    """One walk over the blocks."""

    def __init__(
        self, features: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, ignore_index: int
    ) -> None:
        self.features, self.weight, self.bias = (
            features.detach(),
            weight.detach(),
            None if bias is None else bias.detach(),
        )
        self.targets, self.ignore_index = targets.contiguous(), ignore_index
        self.function = getattr(loaded(), f"loss_block_{DTYPES[features.dtype]}")

    def run(self, needed: tuple[bool, ...]) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
        """The loss, and those gradients of features, weight and bias that are needed."""
        features, weight, bias = self.features, self.weight, self.bias
        count_of_targets = int((self.targets != self.ignore_index).sum())
        scale = 1.0 / max(count_of_targets, 1) if any(needed) else 0.0
        d_features, d_weight, d_bias = (
            None if t is None or not need else torch.empty_like(t, memory_format=torch.contiguous_format)
            for t, need in zip((features, weight, bias), needed or (False,) * 3, strict=True)
        )
        count, size = features.shape[0], weight.shape[0]
        rows = min(count, max(LEAST_ROWS, BLOCK_BYTES // (size * features.element_size())))
        logits, nats = features.new_empty(rows, size), features.new_empty(count, dtype=torch.float64)
        for start in range(0, count, rows):
            stop = min(start + rows, count)
            here, block = features[start:stop], logits[: stop - start]
            torch.mm(here, weight.T, out=block) if bias is None else torch.addmm(bias, here, weight.T, out=block)
            (targets,), copies = lend([self.targets[start:stop]])
            at = (targets, self.ignore_index, *of_new((block, nats[start:])))
            self.function(stop - start, size, *at, scale, torch.get_num_threads())
            del copies  # held until C++ has read them
            if d_features is not None:
                torch.mm(block, weight, out=d_features[start:stop])
            if d_weight is not None:
                torch.addmm(d_weight, block.T, here, beta=int(start > 0), out=d_weight)
            if d_bias is not None:
                d_bias.copy_(block.sum(0)) if start == 0 else d_bias.add_(block.sum(0))
        return (nats.sum() / count_of_targets).to(features.dtype), d_features, d_weight, d_bias


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        features, weight, bias, targets, ctx.ignore_index = arguments
        loss, *gradients = _Pass(*arguments).run(tuple(ctx.needs_input_grad[:3]))
        ctx.save_for_backward(features, weight, bias, targets, *gradients)
        return loss

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        features, weight, bias, targets, d_features, d_weight, d_bias = ctx.saved_tensors
        check_memory(grads)
        if not torch.is_grad_enabled():
            gradients = (d_features, d_weight, d_bias)
            if lies_in_memory(grads[0]) and grads[0].item() == 1:  # as in `loss.backward()`
                return (*gradients, None, None)
            return (*(None if d is None else d * grads[0] for d in gradients), None, None)
        inputs = [t for t, need in zip((features, weight, bias), ctx.needs_input_grad[:3], strict=True) if need]
        again = _by_torch(features, weight, bias, targets, ctx.ignore_index)
        found = iter(torch.autograd.grad(again, inputs, grads[0], create_graph=True))
        return (*(next(found) if need else None for need in ctx.needs_input_grad[:3]), None, None)
