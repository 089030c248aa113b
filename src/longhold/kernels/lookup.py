"""The input's share of the pre-activations, and its gradients: a product, or for token ids a look-up in C++."""

import torch
import torch.nn.functional as F
from torch import Tensor

from longhold.kernels.extension import loaded


def is_ids(x: Tensor) -> bool:
    """Whether an input is token ids, which stand for one-hot vectors, and not features."""
    return x.dtype == torch.int64


def one_hot(ids: Tensor, size: int, like: Tensor) -> Tensor:
    """The vectors that ids stand for, (..., size) in the dtype of `like`; IndexError as `check_ids` says it."""
    check_ids(ids, size)
    return F.one_hot(ids, size).to(like.dtype)


def check_ids(ids: Tensor, size: int) -> None:
    """IndexError unless each id is from 0 to `size` - 1.

    Only on the CPU and outside of traced programs: elsewhere looking at a value waits for the device or cannot be done,
    and torch's own operators find out.
    """
    traced = torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()
    if traced or ids.device.type != "cpu" or ids.numel() == 0:
        return
    smallest, largest = (int(value) for value in ids.aminmax())
    if smallest < 0 or largest >= size:
        wrong = next(value for value in ids.flatten().tolist() if not 0 <= value < size)
        raise IndexError(f"ids should be from 0 to {size - 1}, got {wrong}")


def input_share(x: Tensor, weight_ih: Tensor, bias: Tensor | None) -> Tensor:
    """`x W_ih^T + b` as dense (T, B, G*H), for the extension to work on.

    Arguments:
        x: (T, B, I) features, or (T, B) int64 ids from 0 to I - 1: then each row is a column of W_ih plus the bias.
        weight_ih: (G*H, I), float32 or float64 on the CPU.
        bias: (G*H,) or None.

    Raises:
        IndexError: an id is none of those.
    """
    if not is_ids(x):
        return F.linear(x, weight_ih, bias).contiguous()
    width, size = weight_ih.shape
    ids, weight_ih, bias = x.contiguous(), weight_ih.contiguous(), None if bias is None else bias.contiguous()
    share = weight_ih.new_empty(*ids.shape, width)
    addresses = [ids.data_ptr(), weight_ih.data_ptr(), 0 if bias is None else bias.data_ptr(), share.data_ptr()]
    function = loaded().gather_float if weight_ih.dtype == torch.float32 else loaded().gather_double
    function(ids.numel(), size, width, addresses, torch.get_num_threads())
    return share


def input_gradients(
    x: Tensor, weight_ih: Tensor, d_gates: Tensor, *, needs_input: bool, has_bias: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of `input_share`'s arguments, each empty where there is none, given that of its result.

    For ids the rows of `d_gates` are summed into the columns of d_weight_ih: the same bits for any number of threads.
    """
    if not is_ids(x):
        flat = d_gates.flatten(0, 1)
        d_input = d_gates @ weight_ih if needs_input else weight_ih.new_empty(0)
        return d_input, flat.T @ x.flatten(0, 1), flat.sum(0) if has_bias else weight_ih.new_empty(0)
    (width, size), ids, d_gates = weight_ih.shape, x.contiguous(), d_gates.contiguous()
    d_weight, d_bias = (
        weight_ih.new_empty(width, size),
        weight_ih.new_empty(width) if has_bias else weight_ih.new_empty(0),
    )
    addresses = [ids.data_ptr(), d_gates.data_ptr(), d_weight.data_ptr(), d_bias.data_ptr() if has_bias else 0]
    function = loaded().scatter_float if weight_ih.dtype == torch.float32 else loaded().scatter_double
    function(ids.numel(), size, width, addresses, torch.get_num_threads())
    return weight_ih.new_empty(0), d_weight, d_bias
