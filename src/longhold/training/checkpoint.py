"""All that a run needs to go on, as tensors and a document for the one-file format. Nothing is pickled."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeAlias

import torch
from torch import Tensor

from longhold.errors import InputError
from longhold.models.contract import SequenceModel, State, map_state, state_leaves

Generators: TypeAlias = dict[str, Tensor]
"""States of torch's generators by device type, `uint8`."""


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


_ADDED_LATER = {"averaged"}


@dataclass
class Position:
    """Where a run stands between two steps; with the plan, all that decides what comes."""

    counters: Counters = field(default_factory=Counters)
    """Numbers."""
    state: State | None = None
    """What the model carries to the next batch: the rows of this worker, detached; None before the first."""
    best: dict[str, Tensor] | None = None
    """Weights of the best evaluation."""
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
    tensors |= {f"best/{name}": tensor for name, tensor in (position.best or {}).items()}
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

    A run may go on with another number of workers, if it divides the rows; a worker that was not there before draws its
    masks from a generator of its own.

    Raises:
        InputError: the checkpoint is of another model or optimizer.
    """
    # Cloned: what a file was read into need not be aligned, and kernels may round differently on such memory.
    groups = _grouped({name: tensor.clone() for name, tensor in tensors.items()})
    counters = document.get("counters")
    known = {entry.name for entry in fields(Counters)}
    if not isinstance(counters, dict) or not known - _ADDED_LATER <= counters.keys() <= known:
        raise InputError("the checkpoint was written by another version of longhold: start over in another folder")
    try:
        model.load_state_dict(groups.get("model", {}))
        optimizer.load_state_dict({**optimizer.state_dict(), "state": _numbered(groups.get("optimizer", {}))})
    except (RuntimeError, ValueError, KeyError) as error:
        first = " ".join(str(error).split())[:200]
        raise InputError(f"the checkpoint does not fit the model or the optimizer: {first}") from None
    _set_generators(groups["generator"], rank)
    state = None
    if document["carried"]:
        state = _rows_of(model, groups.get("state", {}), rank, world)
    return Position(Counters(**counters), state, groups.get("best"), groups.get("average", {}))


def generators_of(device: torch.device) -> Generators:
    """The states of the generators that a model on `device` draws from."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def _set_generators(stored: Mapping[str, Tensor], rank: int) -> None:
    if f"{rank}/cpu" not in stored:
        torch.manual_seed(int(stored["0/cpu"].long().sum()) + rank)
        return
    torch.set_rng_state(stored[f"{rank}/cpu"])
    if f"{rank}/cuda" in stored and torch.cuda.is_available():
        torch.cuda.set_rng_state(stored[f"{rank}/cuda"])


def _join_rows(model: SequenceModel, states: Sequence[State]) -> list[Tensor]:
    leaves = [[leaf.cpu() for leaf in state_leaves(state)] for state in states]
    return [torch.cat(parts, dim=model.state_batch_dim) for parts in zip(*leaves, strict=True)]


def _rows_of(model: SequenceModel, stored: Mapping[str, Tensor], rank: int, world: int) -> State:
    """The carried state of one worker: its share of the rows, in the model's own tree."""
    template = model.detach(model.initial_state(1))
    leaves = [stored[str(number)] for number in range(len(stored))]
    given = list(state_leaves(template))
    if len(given) != len(leaves):
        raise InputError(f"the checkpoint carries a state of {len(leaves)} tensors, the model one of {len(given)}")
    iterator = iter(zip(given, leaves, strict=True))

    def stored_leaf(_: Tensor) -> Tensor:
        like, leaf = next(iterator)
        return leaf.to(like.device)

    whole = map_state(stored_leaf, template)
    rows = leaves[0].shape[model.state_batch_dim] if leaves else 0
    if world == 1 or not leaves:
        return whole
    width = rows // world
    return model.select(whole, torch.arange(rank * width, (rank + 1) * width))


def _grouped(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    groups: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        group, _, rest = name.partition("/")
        groups.setdefault(group, {})[rest] = tensor
    return groups


def _numbered(entries: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in entries.items():
        number, _, key = name.partition("/")
        state.setdefault(int(number), {})[key] = tensor
    return state
