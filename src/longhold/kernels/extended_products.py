"""What is done over all steps at once, by torch: the input's layer norm, and gradients that are one product."""

import torch
import torch.nn.functional as F
from torch import Tensor

from longhold.cells.recurrence import NORM_EPS
from longhold.kernels.extended_call import Arguments, Shape


def input_bias(n: Shape, a: Arguments) -> Tensor | None:
    """What is added before the loop: both biases, but not the one inside the reset product."""
    if a.bias_ih is None or a.bias_hh is None:
        return None
    if not n.splits_candidate:
        return a.bias_ih + a.bias_hh
    return torch.cat([a.bias_ih[: 2 * n.H] + a.bias_hh[: 2 * n.H], a.bias_ih[2 * n.H :]])


def normalize_input(n: Shape, product_x: Tensor, a: Arguments) -> Tensor:
    """The input's product after its layer norm, (T, B, G*H), with the bias."""
    assert a.weight_norm_ih is not None
    bias, groups = input_bias(n, a), list(n.groups)
    gains = torch.split(a.weight_norm_ih, groups)
    shifts = [None] * len(groups) if bias is None else torch.split(bias, groups)
    parts = zip(torch.split(product_x, groups, dim=-1), gains, shifts, strict=True)
    normed = [F.layer_norm(part, gain.shape, gain, shift, NORM_EPS) for part, gain, shift in parts]
    return normed[0] if len(normed) == 1 else torch.cat(normed, dim=-1)


def input_norm_backward(n: Shape, a: Arguments, product_x: Tensor, d_gates: Tensor) -> tuple[Tensor, Tensor | None]:
    """The gradients of the input's product and of its gain, from that of what was normalized."""
    if a.weight_norm_ih is None:
        return d_gates, None
    groups, results = list(n.groups), []
    parts, gradients = (torch.split(all_groups, groups, dim=-1) for all_groups in (product_x, d_gates))
    for part, d, gain in zip(parts, gradients, torch.split(a.weight_norm_ih, groups), strict=True):
        normed, mean, scale = torch.ops.aten.native_layer_norm(part, gain.shape, None, None, NORM_EPS)
        rule = torch.ops.aten.native_layer_norm_backward
        d_part, _, _ = rule(d, part, gain.shape, mean, scale, gain, None, [True, False, False])
        # its own gain's gradient is a small difference of large numbers where the mean is large
        results.append((d_part, (d * normed).sum((0, 1))))
    d_product_x, d_gain = zip(*results, strict=True)
    return torch.cat(d_product_x, dim=-1), torch.cat(d_gain)


def weight_gradient(n: Shape, d_product: Tensor, before: Tensor, operand2: Tensor | None) -> Tensor:
    """The gradient of `weight_hh`; `operand2` is what the candidate's own product saw, in the original GRU."""
    flat = d_product.flatten(0, 1)
    if n.kind != "gru_before" or operand2 is None:
        return flat.T @ before.flatten(0, 1)
    cut = 2 * n.H
    return torch.cat([flat[:, :cut].T @ before.flatten(0, 1), flat[:, cut:].T @ operand2.flatten(0, 1)])


def operands(a: Arguments, h: Tensor) -> Tensor:
    """The h that each step's recurrent product saw, (T, B, P)."""
    assert a.h0 is not None
    if a.reverse:
        before = torch.cat([h[1:], a.h0.unsqueeze(0)])
        if a.lengths is not None:
            last = torch.arange(h.shape[0], device=h.device).unsqueeze(1) == a.lengths - 1
            before = torch.where(last.unsqueeze(-1), a.h0, before)
    else:
        before = torch.cat([a.h0.unsqueeze(0), h[:-1]])
    if a.reset is not None and a.h_initial is not None:
        cuts = torch.cat([a.reset[1:], torch.zeros_like(a.reset[:1])]) if a.reverse else a.reset
        before = torch.where(cuts.unsqueeze(-1), a.h_initial, before)
    return before if a.mask is None else before * a.mask
