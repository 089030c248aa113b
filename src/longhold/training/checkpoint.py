"""All that a run needs to resume, as tensors and a document for the one-file format. Nothing is pickled.

A checkpoint from a stranger is safe to open, as a model file is: all of it is held against the model, the optimizer and
the generators that are there before anything is put back, and nothing is built on the file's word alone.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import chain
from typing import Any, Final

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from longhold.errors import InputError
from longhold.models.contract import SequenceModel, State, map_state, state_leaves
from longhold.training.best import Best
from longhold.training.generators import Generators


@dataclass
class Counters:
    """The numbers of a run between two steps."""

    step: int = 0
    """Steps taken."""
    smoothed: float | None = None
    """Exponential mean of the training loss, nats per token."""
    window_loss: float = 0.0
    """Sum of the losses since the last log line."""
    window_steps: int = 0
    """Steps since the last log line."""
    best_step: int | None = None
    """Step of the best evaluation."""
    best_held_out: float | None = None
    """Its nats per token."""
    last_held_out: float | None = None
    """Nats per token of the last evaluation."""
    evaluations_since_best: int = 0
    """Evaluations since the best one."""
    tokens: int = 0
    """Targets trained on, over all workers."""
    step_seconds: float = 0.0
    """Time spent in steps, without evaluation, samples and files."""
    seconds: float = 0.0
    """All time spent so far, over all processes that worked on the run."""
    finished: bool = False
    """Whether the run is over."""
    stopped_early: bool = False
    """Whether it is over because held-out loss no longer fell."""
    averaged: int = 0
    """Steps whose weights are in the average."""
    steps: int | None = None
    """Steps in the whole run where a time budget has moved its end; None: those of the plan."""
    evaluations_lost: int = 0
    """Evaluations in a row in which training and held-out loss were far above chance."""
    diverged: bool = False
    """Whether it is over because it diverged; the weights are then those of the best evaluation."""


_ADDED_LATER = {"averaged", "steps", "evaluations_lost", "diverged"}
_COUNTERS = TypeAdapter(Counters)
_MOST: Final = 2**53
_EDITED: Final = "the checkpoint was edited"
_OTHER: Final = "the checkpoint does not fit the model or the optimizer"
_GROUPS: Final = {"model", "best", "average", "optimizer", "state", "generator"}
_NEVER_NEGATIVE = ("step_seconds", "seconds")

_OPTIMIZER_STATE: dict[type[torch.optim.Optimizer], set[str]] = {
    torch.optim.AdamW: {"step", "exp_avg", "exp_avg_sq"},
    torch.optim.SGD: {"momentum_buffer"},
}
"""What the optimizers keep for a parameter that has taken a step."""


@dataclass
class Position:
    """Where a run stands between two steps; with the plan, all that decides what comes."""

    counters: Counters = field(default_factory=Counters)
    """Numbers."""
    state: State | None = None
    """What the model carries to the next batch: the rows of this worker, detached; None before the first."""
    best: Best = field(default_factory=Best)
    """The best evaluation and its weights."""
    average: dict[str, Tensor] = field(default_factory=dict)
    """Mean of the weights by parameter name; empty before the first that is averaged."""


def pack(
    model: SequenceModel,
    optimizer: torch.optim.Optimizer,
    position: Position,
    states: Sequence[State | None],
    generators: Sequence[Generators],
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A checkpoint's tensors and document.

    Args:
        model: its `state_dict` is stored under `model/`.
        optimizer: its state is stored under `optimizer/<parameter>/<key>`, parameters numbered in its own order.
        position: counters go to the document, best weights under `best/`, averaged ones under `average/`.
        states: the carried state of each worker, by rank; stored as one state of all rows, by leaf, under `state/`.
        generators: those of each worker, stored under `generator/<rank>/<device>`.
    """
    tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"best/{name}": tensor for name, tensor in (position.best.weights or {}).items()}
    tensors |= {f"average/{name}": tensor for name, tensor in position.average.items()}
    for number, entries in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{number}/{key}": torch.as_tensor(v) for key, v in entries.items() if v is not None}
    whole = _join_rows(model, [state for state in states if state is not None])
    tensors |= {f"state/{number}": leaf for number, leaf in enumerate(whole)}
    for rank, group in enumerate(generators):
        tensors |= {f"generator/{rank}/{device}": state for device, state in group.items()}
    return tensors, {"counters": asdict(position.counters), "carried": position.state is not None}


def unpack(
    tensors: Mapping[str, Tensor],
    document: Mapping[str, Any],
    model: SequenceModel,
    optimizer: torch.optim.Optimizer,
    rank: int = 0,
    world: int = 1,
) -> Position:
    """Put a checkpoint back into the model, the optimizer and torch's generators, and give the worker's position.

    A run may resume with another number of workers, if it divides the rows; a worker that was not there before draws
    its masks from a generator of its own.

    Raises:
        InputError: the checkpoint is of another model, optimizer or version, or was edited. Nothing was put back then.
    """
    # Cloned: what a file was read into need not be aligned, and kernels may round differently on such memory.
    groups = _grouped({name: tensor.clone() for name, tensor in tensors.items()})
    counters, carried = counters_of(document), document.get("carried")
    if not isinstance(carried, bool) or not groups.keys() <= _GROUPS:
        raise InputError(f"{_EDITED}: carried={carried!r:.40}, {min(groups.keys() - _GROUPS, default='')!r:.60}")
    weights, parameters = model.state_dict(), dict(model.named_parameters())
    _require_like("model", groups.get("model", {}), weights)
    if "best" in groups:
        _require_like("best", groups["best"], weights)
    if counters.averaged or "average" in groups:
        _require_like("average", groups.get("average", {}), parameters)
    numbered = _optimizer_state(groups.get("optimizer", {}), optimizer)
    generator = _generator(groups.get("generator", {}), rank)
    state = _rows_of(model, groups.get("state", {}), rank, world) if carried else None
    model.load_state_dict(groups["model"])
    optimizer.load_state_dict({**optimizer.state_dict(), "state": numbered})
    _set_generators(groups["generator"], rank, generator)
    best = Best(counters.best_held_out, counters.best_step, groups.get("best"))
    return Position(counters, state, best, groups.get("average", {}))


def counters_of(document: Mapping[str, Any]) -> Counters:
    """The counters in a checkpoint's document.

    Raises:
        InputError: they are of another version, or no counters.
    """
    counters = document.get("counters")
    known = {entry.name for entry in fields(Counters)}
    if not isinstance(counters, dict) or not known - _ADDED_LATER <= counters.keys() <= known:
        raise InputError("the checkpoint was written by another version of longhold: start over in another folder")
    try:
        found = _COUNTERS.validate_json(json.dumps(counters), strict=True)
    except ValidationError as error:
        raise InputError(f"{_EDITED}: counter {error.errors()[0]['loc'][0]} is no number of its kind") from None
    for name, value in asdict(found).items():
        if value is not None and not (0 if _counts(name, value) else -_MOST) <= value <= _MOST:
            raise InputError(f"{_EDITED}: counter {name} is {value!r:.40}")
    if found.steps is not None and found.steps < max(1, found.step):
        raise InputError(f"{_EDITED}: counter steps is {found.steps}, below step {found.step}")
    return found


def _counts(name: str, value: float) -> bool:
    return isinstance(value, int) or name in _NEVER_NEGATIVE


def _require_like(group: str, stored: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> None:
    """`InputError` unless the tensors have the names, shapes and types of those that are there."""
    odd = min(stored.keys() ^ like.keys(), default=None)
    if odd is not None:
        raise InputError(f"{_OTHER}: {group}/{odd!r:.60} is on one side only")
    for name, tensor in stored.items():
        there = like[name]
        if tensor.shape != there.shape or tensor.dtype != there.dtype:
            raise InputError(f"{_OTHER}: {group}/{name} is {_kind(tensor)} there and {_kind(there)} here")


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)!r:.60}"


def _optimizer_state(stored: Mapping[str, Tensor], optimizer: torch.optim.Optimizer) -> dict[int, dict[str, Tensor]]:
    """What the optimizer kept, by parameter and name."""
    parameters = list(chain.from_iterable(group["params"] for group in optimizer.param_groups))
    left, state = dict(stored), dict[int, dict[str, Tensor]]()
    expected = _OPTIMIZER_STATE[type(optimizer)]
    for number, parameter in enumerate(parameters):
        entries = {key: left.pop(f"{number}/{key}") for key in expected if f"{number}/{key}" in left}
        if not entries:
            continue
        like = {key: entries.get("step", parameter) if key == "step" else parameter for key in expected}
        _require_like(f"optimizer/{number}", entries, like)
        step = entries.get("step")
        if step is not None and not (step.shape == () and step.dtype.is_floating_point and 0 <= float(step) <= _MOST):
            raise InputError(f"{_EDITED}: optimizer/{number}/step is {step.flatten()[:1].tolist()}, expected a number")
        state[number] = entries
    if left:
        raise InputError(f"{_OTHER}: optimizer/{min(left)!r:.60} is on one side only")
    return state


def _generator(stored: Mapping[str, Tensor], rank: int) -> Tensor | None:
    """The state of the worker's own generator, None for a worker that was not there before."""
    now = torch.get_rng_state()
    for name in ("0/cpu", f"{rank}/cpu"):
        state = stored.get(name)
        if state is None:
            continue
        if state.dtype != now.dtype or state.shape != now.shape or not _draws(state):
            raise InputError(f"{_EDITED}: generator/{name} is no state of a generator")
    if "0/cpu" not in stored:
        raise InputError(f"{_EDITED}: generator/0/cpu is missing")
    return stored.get(f"{rank}/cpu")


def _draws(state: Tensor) -> bool:
    try:
        torch.Generator().set_state(state)
    except RuntimeError:
        return False
    return True


def _set_generators(stored: Mapping[str, Tensor], rank: int, own: Tensor | None) -> None:
    if own is None:
        torch.manual_seed(int(stored["0/cpu"].long().sum()) + rank)
        return
    torch.set_rng_state(own)
    if f"{rank}/cuda" in stored and torch.cuda.is_available():
        try:
            torch.cuda.set_rng_state(stored[f"{rank}/cuda"])
        except (RuntimeError, TypeError):
            raise InputError(f"{_EDITED}: generator/{rank}/cuda is no state of a generator") from None


def _join_rows(model: SequenceModel, states: Sequence[State]) -> list[Tensor]:
    leaves = [[leaf.cpu() for leaf in state_leaves(state)] for state in states]
    return [torch.cat(parts, dim=model.state_batch_dim) for parts in zip(*leaves, strict=True)]


def _rows_of(model: SequenceModel, stored: Mapping[str, Tensor], rank: int, world: int) -> State:
    """Returns the carried state of one worker: its part of the rows, in the model's own tree."""
    template, dim = model.detach(model.initial_state(1)), model.state_batch_dim
    given = {str(number): leaf for number, leaf in enumerate(state_leaves(template))}
    if not given and not stored:
        return template
    rows = min((leaf.shape[dim] for leaf in stored.values() if leaf.ndim > dim), default=0)
    if rows == 0 or rows % world:
        raise InputError(f"{_EDITED}: it carries a state of {rows} rows, which {world} workers cannot share")
    _require_like("state", stored, {name: _with_rows(leaf, dim, rows) for name, leaf in given.items()})
    leaves = iter(stored[name].to(leaf.device) for name, leaf in given.items())
    whole = map_state(lambda _: next(leaves), template)
    if world == 1:
        return whole
    width = rows // world
    return model.select(whole, torch.arange(rank * width, (rank + 1) * width))


def _with_rows(leaf: Tensor, dim: int, rows: int) -> Tensor:
    """A tensor of the leaf's shape but for its rows, without memory."""
    shape = list(leaf.shape)
    shape[dim] = rows
    return leaf.new_empty(shape, device="meta")


def _grouped(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    groups: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        group, _, rest = name.partition("/")
        groups.setdefault(group, {})[rest] = tensor
    return groups
