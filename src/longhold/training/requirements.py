"""What a model and its device must have to be trained."""

import torch
from torch import nn

from longhold.errors import InputError


def require_trainable(model: nn.Module) -> None:
    """Refuse a model that autograd cannot reach.

    Raises:
        InputError: naming the model and the reason.
    """
    name, parameters = type(model).__name__, list(model.parameters())
    if not any(parameter.requires_grad for parameter in parameters):
        raise InputError(f"{name} has no parameter to train: expected one with requires_grad=True at least")
    if any(parameter.is_inference() for parameter in parameters):
        raise InputError(f"{name} was made under torch.inference_mode(), so it cannot be trained: make it outside")
    if any(parameter.is_meta for parameter in parameters):
        raise InputError(f"{name} is on the meta device, which holds no numbers to train")


def require_precision(precision: str, device: torch.device) -> None:
    """Refuse a precision that the device has not.

    Raises:
        InputError: naming the device and what it lacks.
    """
    if precision == "float32":
        return
    if not torch.amp.is_autocast_available(device.type):
        raise InputError(f"precision='bfloat16': torch has no autocast for {device.type}; use float32")
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        name = torch.cuda.get_device_name(device)
        raise InputError(
            f"precision='bfloat16': {name} computes no bfloat16 (compute capability 8.0 does); use float32"
        )
    if device.type == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        raise InputError("precision='bfloat16': this processor has no AVX-512 for bfloat16; use float32")
