"""Which backend runs a call, and why."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from longhold.kernels.call import (
    StackCall,
    StackResult,
    check_call,
    check_devices,
    check_layouts,
    check_step,
    is_uniform,
)
from longhold.kernels.exported import is_onnx, is_written, run_written, step_written
from longhold.kernels.fused import run_torch, step_torch, torch_refusal
from longhold.kernels.locked import in_turn
from longhold.kernels.native import cpu_refusal, run_cpu
from longhold.kernels.reference import run_reference, step_reference

BACKENDS = ("reference", "torch", "cpu")


class _Requested(threading.local):
    """The backend named in this thread; torch.compile can read and guard this, which it cannot with a ContextVar."""

    name: str | None = None


_requested = _Requested()


class BackendRefused(RuntimeError):
    """The backend that was named cannot run the call; the text states why."""


@dataclass(frozen=True)
class Choice:
    """The backend of a call."""

    backend: str
    """`reference`, `torch` or `cpu`"""
    reason: str
    """why this one"""
    refused: dict[str, str] = field(default_factory=dict)
    """backends that could not run the call, with the reason"""

    def __str__(self) -> str:
        lines = [f"{self.backend}: {self.reason}"]
        lines += [f"not {name}: {reason}" for name, reason in self.refused.items()]
        return "\n".join(lines)


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Within the block every layer runs on the named backend, or refuses with `BackendRefused`.

    Arguments:
        name: `reference` (the cells and a loop in Python; does everything), `torch` (the operators behind torch.nn) or
            `cpu` (longhold's own loop in C++).
    """
    if name not in BACKENDS:
        raise ValueError(f"unknown backend {name!r}, expected one of {', '.join(BACKENDS)}")
    before = _requested.name
    _requested.name = name
    try:
        yield
    finally:
        _requested.name = before


def requested() -> str | None:
    """The backend that `use_backend` names here, or None."""
    return _requested.name


def choose(call: StackCall, *, step: bool = False) -> Choice:
    """The fastest backend that can run the call, or the one that was named.

    Arguments:
        call: what is to be run.
        step: it is one step of a cell, not a sequence.

    Raises:
        RuntimeError: the tensors of the call are on different devices.
    """
    transform = _transform()
    if torch.compiler.is_compiling() or transform is not None:
        check_devices(call)
    else:
        (check_step if step else check_call)(call)
    refusals = {
        "cpu": transform or ("it runs sequences, not single steps" if step else cpu_refusal(call)),
        "torch": transform or torch_refusal(call),
    }
    refused = {backend: refusal for backend, refusal in refusals.items() if refusal is not None}
    name = _requested.name
    if name is not None:
        if name in refused:
            raise BackendRefused(f"backend {name!r} cannot run this call: {refused[name]}")
        return Choice(name, "named by use_backend", refused)
    if "cpu" not in refused:
        return Choice("cpu", "longhold's own loop in C++ runs all that the call needs", refused)
    if "torch" not in refused:
        return _torch_or_reference(call, refused)
    return Choice("reference", "the only one that runs all that the call needs", refused)


def _torch_or_reference(call: StackCall, refused: dict[str, str]) -> Choice:
    if torch.compiler.is_compiling() and (call.lengths is not None or call.reset is not None):
        return Choice("reference", "the call is being compiled, and packing needs shapes that depend on data", refused)
    return Choice("torch", "torch's fused operators run all that the call needs", refused)


def _transform() -> str | None:
    if torch._C._are_functorch_transforms_active():
        return "a torch.func transform is active, and it has no rule for it"
    if torch.autograd.forward_ad._current_level >= 0:
        return "forward-mode differentiation is active, and it has no rule for it"
    return None


def run(call: StackCall) -> StackResult:
    """Run the call on the backend that `choose` names."""
    if call.between:
        return in_turn(call, run)
    if is_written() and (_requested.name in (None, "torch") or (_requested.name == "cpu" and is_onnx())):
        written = run_written(call)
        if written is not None:
            return written
    if _requested.name is None and _transform() is None and cpu_refusal(call) is None:
        return _run_at_once(call)  # most calls, and small ones feel every microsecond
    choice = choose(call)
    if call.checkpoint_every is not None and _transform() is not None:
        call = replace(call, checkpoint_every=None)  # which changes memory only, and transforms cannot see through it
    return _RUNNERS[choice.backend](call)


def _run_at_once(call: StackCall) -> StackResult:
    try:
        return run_cpu(call)
    except RuntimeError:
        check_devices(call)  # the extension does not know which of the layer's tensors it refused
        if torch_refusal(call) is None and not is_uniform(call):
            return run_torch(call)  # which takes some mixtures, and knows what to say of the others
        check_layouts(call)
        raise


def run_step(call: StackCall) -> tuple[Tensor, ...]:
    """One step of one layer, `call.input` being (1, B, I): the next state, each field (B, .)."""
    if is_onnx():
        return step_written(call)
    return _STEPPERS[choose(call, step=True).backend](call)


_RUNNERS = {"reference": run_reference, "torch": run_torch, "cpu": run_cpu}
_STEPPERS = {"reference": step_reference, "torch": step_torch}
