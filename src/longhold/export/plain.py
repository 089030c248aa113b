"""A model in which torch.nn's layers stand in place of longhold's, for tools that know torch.nn only."""

import copy
from typing import Any, TypeVar

from torch import nn

from longhold.errors import InputError
from longhold.layers.to_torch import TorchTwin

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def to_torch(model: ModuleT) -> ModuleT:
    """A copy of a model with the torch.nn module that it equals in place of each layer and cell of longhold.

    The copy has weights of its own and gives the same outputs. torch.onnx.export, torch.jit.script, quantize_dynamic
    and torch.export take it, and what they save needs no longhold. Tied weights stay tied.

    Raises:
        InputError: it is no torch module, or one of the layers has what torch.nn does not; see its own `to_torch`.

    Example:
        >>> torch.jit.script(longhold.export.to_torch(model)).save("model.pt")
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"to_torch takes a torch.nn.Module, got {type(model).__name__}")
    layers = {name: part for name, part in model.named_modules() if isinstance(part, TorchTwin)}
    copied: dict[int, Any] = {}
    for name, layer in layers.items():
        try:
            layer.to_torch()
        except InputError as error:
            raise InputError(f"{name}: {error}" if name else str(error)) from None
    for layer in layers.values():
        copied[id(layer)] = copy.deepcopy(layer, copied).to_torch()
    return copy.deepcopy(model, copied)
