"""One direction of one layer as the operators take it, with the answer of the cells and the reference loop."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from longhold.cells import product, unroll
from longhold.kernels.call import DirectionParameters
from longhold.kernels.extension import loaded
from longhold.kernels.operators import RECURRENCES
from tests.helpers import cotangent

KINDS = tuple(RECURRENCES)
GATES = {"rnn_tanh": 1, "rnn_relu": 1, "gru": 3, "lstm": 4}


@dataclass(frozen=True)
class Case:
    """What is run; each field is the simplest as it stands."""

    kind: str
    T: int = 5
    B: int = 3
    H: int = 6
    I: int = 4  # noqa: E741 the field's name
    lengths: bool = False
    reset: bool = False
    mask: bool = False
    reverse: bool = False
    bias: bool = True
    strided: bool = False
    dtype: torch.dtype = torch.float64

    def __str__(self) -> str:
        flags = [n for n in ("lengths", "reset", "mask", "reverse", "strided") if getattr(self, n)]
        flags += [] if self.bias else ["no bias"]
        return " ".join([f"{self.kind} T{self.T} B{self.B} H{self.H} I{self.I}", *flags])


class Sequence(NamedTuple):
    """The operators' arguments, in their order."""

    input: Tensor
    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None
    h0: Tensor
    c0: Tensor | None
    h_initial: Tensor
    c_initial: Tensor | None
    lengths: Tensor | None
    reset: Tensor | None
    mask: Tensor | None
    reverse: bool

    @property
    def leaves(self) -> dict[str, Tensor]:
        """What a gradient is taken of, by name."""
        return {n: v for n, v in zip(self._fields[:9], self[:9], strict=True) if v is not None}


def draw(case: Case) -> Sequence:
    """Random arguments from torch's generator. Weights are scaled so that the state neither dies nor explodes."""
    rows, lstm = GATES[case.kind] * case.H, case.kind == "lstm"

    def leaf(*shape: int, scale: float = 1.0) -> Tensor:
        value = scale * torch.randn(shape, dtype=torch.float64)
        return _strided(value, case.strided).to(case.dtype).requires_grad_()

    lengths = torch.randint(case.T + 1, (case.B,)) if case.lengths else None
    reset = None
    if case.reset:
        reset = torch.rand(case.T, case.B) < 0.3
        if lengths is not None:
            reset &= torch.arange(case.T).unsqueeze(1) < lengths
        reset = _strided(reset, case.strided)
    keep = (torch.rand(case.B, case.H) < 0.7).to(case.dtype) / 0.7
    return Sequence(
        input=leaf(case.T, case.B, case.I),
        weight_ih=leaf(rows, case.I, scale=case.I**-0.5),
        weight_hh=leaf(rows, case.H, scale=0.7 * case.H**-0.5),
        bias_ih=leaf(rows) if case.bias else None,
        bias_hh=leaf(rows) if case.bias else None,
        h0=leaf(case.B, case.H),
        c0=leaf(case.B, case.H) if lstm else None,
        h_initial=leaf(case.B, case.H),
        c_initial=leaf(case.B, case.H) if lstm else None,
        lengths=_strided(lengths, case.strided) if lengths is not None else None,
        reset=reset,
        mask=_strided(keep, case.strided) if case.mask else None,
        reverse=case.reverse,
    )


def _strided(value: Tensor, strided: bool) -> Tensor:
    """The same numbers with a gap after each one and the dimensions in memory in another order."""
    if not strided:
        return value
    turned = value.permute(*reversed(range(value.dim()))).contiguous()
    return turned.repeat_interleave(2, dim=-1)[..., ::2].permute(*reversed(range(value.dim())))


def to(sequence: Sequence, dtype: torch.dtype) -> Sequence:
    """The same numbers in another type, as leaves of their own."""
    changed: list[Any] = [
        v.detach().to(dtype).requires_grad_(v.requires_grad) if isinstance(v, Tensor) and v.is_floating_point() else v
        for v in sequence
    ]
    return Sequence(*changed)


Run = Callable[[str, Sequence], dict[str, Tensor]]


def by_operator(kind: str, sequence: Sequence) -> dict[str, Tensor]:
    """h, for the LSTM c, and the final state, each as an output of `longhold::<kind>_forward`."""
    h, c, h_n, c_n, *_ = getattr(torch.ops.longhold, f"{kind}_forward")(*sequence, 1)
    return {"h": h, "h_n": h_n} | ({"c": c, "c_n": c_n} if kind == "lstm" else {})


def by_reference(kind: str, s: Sequence) -> dict[str, Tensor]:
    """The same by the cells and the loop over time."""
    cell = RECURRENCES[kind]
    valid = None if s.lengths is None else torch.arange(s.input.shape[0]).unsqueeze(1) < s.lengths
    run = unroll(
        cell,
        product(s.input, s.weight_ih, s.bias_ih, None),
        cell.make_state(*(v for v in (s.h0, s.c0) if v is not None)),
        DirectionParameters(s.weight_ih, s.weight_hh, s.bias_ih, s.bias_hh).recurrent(cell),
        initial=cell.make_state(*(v for v in (s.h_initial, s.c_initial) if v is not None)),
        valid=valid,
        reset=s.reset,
        reverse=s.reverse,
        mask_h=s.mask,
    )
    fields = ("h", "c") if kind == "lstm" else ("h",)
    return dict(zip(fields, run.states, strict=True)) | dict(zip((f"{f}_n" for f in fields), run.final, strict=True))


def with_gradients(run: Run, kind: str, sequence: Sequence, *, alone: bool = True) -> dict[str, Tensor]:
    """Outputs, and the gradient of every leaf for fixed random cotangents: through all outputs, and through each alone.

    A leaf that an output does not depend on counts as zero.
    """
    outputs, leaves = run(kind, sequence), sequence.leaves
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


@contextmanager
def machine(threads: int = 1, instruction_set: str | None = None) -> Iterator[None]:
    """Within the block torch has that many threads and the extension uses that instruction set."""
    before, set_before = torch.get_num_threads(), loaded().instruction_set()
    torch.set_num_threads(threads)
    if instruction_set is not None:
        loaded().use_instruction_set(instruction_set)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        loaded().use_instruction_set(set_before)


def random_cases(default: int) -> int:
    """How many random cases to run: LONGHOLD_RANDOM_CASES, or the suite's own number."""
    return int(os.environ.get("LONGHOLD_RANDOM_CASES", default))
