"""One direction of one layer with options as its operators take it, with the answer of the reference loop."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from longhold.cells import product, unroll
from longhold.kernels.extended_call import EXTENDED, Arguments
from tests.helpers import cotangent
from tests.kernels.sequences import _strided

KINDS = tuple(EXTENDED)
GATES = {kind: len(cell.gate_names) for kind, cell in EXTENDED.items()}


@dataclass(frozen=True)
class Case:
    """What is run; each field is the simplest as it stands."""

    kind: str
    T: int = 5
    B: int = 3
    H: int = 6
    I: int = 4  # noqa: E741 the field's name
    layer_norm: bool = False
    projection: int = 0
    """width of h, LSTM only; 0 is none"""
    peephole: bool = False
    zone_masks: bool = False
    zone_rates: tuple[float, float] = (0.0, 0.0)
    lengths: bool = False
    reset: bool = False
    mask: bool = False
    reverse: bool = False
    bias: bool = True
    strided: bool = False
    dtype: torch.dtype = torch.float64

    def __str__(self) -> str:
        options = [f"{f.name}={v}" for f in fields(self)[5:] if (v := getattr(self, f.name)) != f.default]
        return " ".join([f"{self.kind} T{self.T} B{self.B} H{self.H} I{self.I}", *options])


def is_lstm(kind: str) -> bool:
    return kind.startswith("lstm")


def leaves_of(arguments: Arguments) -> dict[str, Tensor]:
    """What a gradient is taken of, by name."""
    return {n: v for n, v in zip(Arguments._fields, arguments.leaves, strict=False) if v is not None}


def draw(case: Case, *, keep: bool = True) -> Arguments:
    """Random arguments from torch's generator. Weights are scaled so that the state neither dies nor explodes."""
    T, B, H, lstm = case.T, case.B, case.H, is_lstm(case.kind)
    rows, P = GATES[case.kind] * H, case.projection or H

    def leaf(*shape: int, scale: float = 1.0, around: float = 0.0, needed: bool = True) -> Any:
        value = around + scale * torch.randn(shape, dtype=torch.float64)
        return _strided(value, case.strided).to(case.dtype).requires_grad_() if needed else None

    def flags(share: float, *shape: int) -> Tensor:
        return _strided(torch.rand(shape) < share, case.strided)

    lengths = torch.randint(T + 1, (B,)) if case.lengths else None
    reset = flags(0.3, T, B) if case.reset else None
    if reset is not None and lengths is not None:
        reset = reset & (torch.arange(T).unsqueeze(1) < lengths)
    norm, norm_c = case.layer_norm, case.layer_norm and lstm
    keep_h = (torch.rand(B, P) < 0.7).to(case.dtype) / 0.7
    return Arguments(
        input=leaf(T, B, case.I),
        weight_ih=leaf(rows, case.I, scale=case.I**-0.5),
        weight_hh=leaf(rows, P, scale=0.7 * P**-0.5),
        bias_ih=leaf(rows, needed=case.bias),
        bias_hh=leaf(rows, needed=case.bias),
        weight_hr=leaf(P, H, scale=H**-0.5, needed=case.projection > 0),
        weight_peephole=leaf(rows - H, scale=0.5, needed=case.peephole),
        weight_norm_ih=leaf(rows, scale=0.3, around=0.8, needed=norm),
        weight_norm_hh=leaf(rows, scale=0.3, around=0.5, needed=norm),
        weight_norm_c=leaf(H, scale=0.3, around=0.8, needed=norm_c),
        bias_norm_c=leaf(H, scale=0.3, needed=norm_c and case.bias),
        h0=leaf(B, P),
        c0=leaf(B, H, needed=lstm),
        h_initial=leaf(B, P),
        c_initial=leaf(B, H, needed=lstm),
        lengths=None if lengths is None else _strided(lengths, case.strided),
        reset=reset,
        mask=_strided(keep_h, case.strided) if case.mask else None,
        zoneout_h=flags(0.4, T, B, P) if case.zone_masks else None,
        zoneout_c=flags(0.4, T, B, H) if case.zone_masks and lstm else None,
        rate_h=case.zone_rates[0],
        rate_c=case.zone_rates[1] if lstm else 0.0,
        reverse=case.reverse,
        keep=keep,
    )


def to(arguments: Arguments, dtype: torch.dtype) -> Arguments:
    """The same numbers in another type, as leaves of their own."""
    changed: list[Any] = [
        v.detach().to(dtype).requires_grad_(v.requires_grad) if isinstance(v, Tensor) and v.is_floating_point() else v
        for v in arguments
    ]
    return Arguments(*changed)


def by_operator(kind: str, a: Arguments) -> dict[str, Tensor]:
    """h, c, the final state and the gates, each as an output of `longhold::extended_<kind>_forward`."""
    h, c, h_n, c_n, gates, *_ = getattr(torch.ops.longhold, f"extended_{kind}_forward")(*a)
    return _named(kind, [h, c, h_n, c_n, gates])


def by_reference(kind: str, a: Arguments) -> dict[str, Tensor]:
    """The same by the cells and the loop over time."""
    cell, lstm = EXTENDED[kind], is_lstm(kind)
    hidden = a.weight_hh.shape[0] // GATES[kind]
    zero = {"h": torch.zeros(a.input.shape[1], a.weight_hh.shape[1]), "c": torch.zeros(a.input.shape[1], hidden)}
    a = a._replace(**{f"{field}0": zero[field].to(a.input) for field in zero if getattr(a, f"{field}0") is None})
    valid = None if a.lengths is None else torch.arange(a.input.shape[0]).unsqueeze(1) < a.lengths
    run = unroll(
        cell,
        product(a.input, a.weight_ih, a.bias_ih, a.weight_norm_ih, cell.norm_groups(hidden)),
        cell.make_state(*((a.h0, a.c0) if lstm else (a.h0,))),
        a.parameters.recurrent(cell),
        initial=cell.make_state(*((a.h_initial, a.c_initial) if lstm else (a.h_initial,))),
        valid=valid,
        reset=a.reset,
        reverse=a.reverse,
        mask_h=a.mask,
        zoneout=zones(a)[: len(cell.state_names)],
        keep_gates=True,
    )
    gates = list(run.gates)
    if kind == "lstm_coupled":
        del gates[1]
    states, final = [*run.states, None][:2], [*run.final, None][:2]
    return _named(kind, [*states, *final, torch.cat(gates, dim=-1) if gates else None])


def zones(a: Arguments) -> tuple[Any, Any]:
    pairs = ((a.zoneout_h, a.rate_h), (a.zoneout_c, a.rate_c))
    return tuple(mask if mask is not None else rate or None for mask, rate in pairs)  # type: ignore[return-value]


def _named(kind: str, values: list[Any]) -> dict[str, Tensor]:
    wanted = {"h", "h_n"} | ({"c", "c_n"} if is_lstm(kind) else set()) | (set() if GATES[kind] == 1 else {"gates"})
    return {n: v for n, v in zip(("h", "c", "h_n", "c_n", "gates"), values, strict=True) if n in wanted}


def with_gradients(run: Any, kind: str, arguments: Arguments, *, alone: bool = True) -> dict[str, Tensor]:
    """Outputs, and the gradient of every leaf for fixed random cotangents: through all outputs, and through each alone.

    A leaf that an output does not depend on counts as zero.
    """
    outputs = run(kind, arguments)
    leaves = {name: leaf for name, leaf in leaves_of(arguments).items() if leaf.requires_grad}
    found = {name: value.detach() for name, value in outputs.items()}
    for through in ["all", *outputs] if alone else ["all"]:
        picked = outputs if through == "all" else {through: outputs[through]}
        gradients = torch.autograd.grad(
            list(picked.values()),
            list(leaves.values()),
            [cotangent(name, value) for name, value in picked.items()],
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        found |= {f"d_{name} through {through}": g for name, g in zip(leaves, gradients, strict=True)}
    return found
