"""Locked dropout: a stack whose layers are run in turn, so that what lies between them can be multiplied by masks."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from longhold.kernels.call import StackCall, StackResult
from longhold.kernels.reference import pack_like


def in_turn(call: StackCall, run: Callable[[StackCall], StackResult]) -> StackResult:
    """Run each layer of the stack by `run`, with `call.between` on what goes from one to the next.

        input of layer l + 1 at step t, row b  =  output of layer l at t, b  *  between[l][b]

    Gal and Ghahramani 2016; the masks stand still over the steps of a call.
    """
    results = [run(call.layer(0, call.input))]
    for index, mask in enumerate(call.between, start=1):
        results.append(run(call.layer(index, _dropped(results[-1].output, mask))))
    return StackResult(
        results[-1].output,
        _joined([result.state for result in results]),
        _joined([result.states for result in results]),
        _joined([result.gates for result in results]),
    )


def _joined(layers: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    return tuple(torch.cat(field) for field in zip(*layers, strict=True))


def _dropped(output: Tensor | PackedSequence, mask: Tensor) -> Tensor | PackedSequence:
    """`output` `(T, B, D*P)`, or packed, times `mask` `(B, D*P)`."""
    if isinstance(output, Tensor):
        return output * mask
    steps = len(output.batch_sizes)
    masks = pack_like(mask.expand(steps, *mask.shape), output)
    return output._replace(data=output.data * masks.data)
