"""Horizons of one model: how far back it answers, and how far back its state can be read.

They are different quantities and are never merged: a symbol may be in the state that the model's own output never uses.
What it uses of a text is a third, `longhold.inspection.context_use`. All are lags in steps.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longhold.errors import InputError
from longhold.inspection.frozen import frozen_copy
from longhold.inspection.h50 import Horizon, h50
from longhold.inspection.probe import features, probe
from longhold.inspection.state_map import flat_state
from longhold.models import SequenceModel
from longhold.models.contract import evaluation_mode

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]


class SupervisedBatch(Protocol):
    """Sequences with questions, as a `longhold.tasks.TaskBatch` has them."""

    @property
    def inputs(self) -> Tensor:
        """`(T, B)` ids or `(T, B, F)` features"""

    @property
    def targets(self) -> Tensor:
        """`(T, B)` class ids"""

    @property
    def mask(self) -> Tensor:
        """`(T, B)` bool: where there is a target"""


@dataclass(frozen=True)
class RecallByLag:
    """How well one model answers at each lag, and its H50."""

    lags: tuple[int, ...]
    """steps"""
    accuracy: tuple[float, ...]
    """mean over sequences of the fraction of target steps that are right"""
    recall: tuple[float, ...]
    """(accuracy - chance) / (1 - chance)"""
    chance: float
    """accuracy of guessing"""
    sequences: int
    """fresh sequences at each lag"""
    horizon: Horizon
    """the last lag before isotonic recall first falls below one half; see `longhold.inspection.h50`"""

    def __str__(self) -> str:
        return f"answers over {self.horizon} ({self.sequences:,} sequences per lag, chance {self.chance:.3g})"


def recall_by_lag(
    model: SequenceModel,
    batches_at: Callable[[int], Iterable[SupervisedBatch]],
    lags: Sequence[int],
    *,
    chance: float,
) -> RecallByLag:
    """Test a trained model at each lag on fresh sequences, and give its H50.

    Of a model that was trained on a stated distribution of lags this is its *extrapolated horizon*; where it tests
    for `n` symbols at a fixed lag and `n` takes the place of the lag, its *capacity*. A model trained anew for each lag
    has no single profile: that is the *trained horizon*, over seeds.

    Args:
        model: any `SequenceModel`; runs in evaluation mode, without a graph.
        batches_at: the test batches of a lag, the same number of sequences at each.
        lags: in steps, positive and rising.
        chance: accuracy of guessing.

    Raises:
        InputError: as `h50`, or where a lag has no sequence, has none with a target, or has more of them than another.
    """
    found = [_accuracy(model, lag, batches_at(lag)) for lag in lags]
    counts = {count for _, count in found}
    if len(counts) > 1:
        raise InputError(f"from {min(counts)} to {max(counts)} sequences per lag: expected the same number at each")
    accuracy = tuple(value for value, _ in found)
    return _recalled(lags, accuracy, chance, *counts)


def _recalled(lags: Sequence[int], accuracy: tuple[float, ...], chance: float, *counts: int) -> RecallByLag:
    if not 0 <= chance < 1:
        raise InputError(f"chance={chance}: expected at least 0 and below 1")
    recall = tuple((value - chance) / (1 - chance) for value in accuracy)
    trials = counts[0] if counts else 0
    horizon = h50(lags, recall, trials=trials, chance=chance)
    return RecallByLag(tuple(lags), accuracy, recall, chance, trials, horizon)


def _accuracy(model: SequenceModel, lag: int, batches: Iterable[SupervisedBatch]) -> tuple[float, int]:
    right, count = 0.0, 0
    with torch.no_grad(), evaluation_mode(model):
        for batch in batches:
            outputs, _ = model(batch.inputs)
            targets = batch.mask.sum(0)
            if not bool((targets > 0).all()):
                raise InputError(f"lag {lag}: a sequence has no target")
            hits = ((outputs.argmax(-1) == batch.targets) & batch.mask).sum(0)
            right += float((hits.double() / targets).sum())
            count += len(targets)
    if count == 0:
        raise InputError(f"lag {lag}: no test sequence")
    return right / count, count


@dataclass(frozen=True)
class ReadableHorizon:
    """What a linear read-out of one model's frozen state still holds about the input of each lag."""

    read: RecallByLag
    """on test sequences that the probes have not seen; lag k is the input k steps before the last one"""
    control: RecallByLag
    """the same probes trained on shuffled labels: anything above chance is the method's, not the state's"""
    train_sequences: int
    """sequences the probes were fitted to"""
    state_size: int
    """real numbers in the state; counters and the like are not read"""

    def __str__(self) -> str:
        return (
            f"a linear probe reads the state over {self.read.horizon} "
            f"(shuffled labels: {self.control.horizon.value}; {self.train_sequences:,} sequences fitted, "
            f"{self.read.sequences:,} tested, state of {self.state_size:,} numbers)"
        )


def readable_horizon(
    model: SequenceModel,
    inputs: Tensor,
    lags: Sequence[int],
    *,
    symbols: Tensor | None = None,
    test_share: float = 1 / 3,
    seed: int = 0,
    rows_at_once: int = 256,
) -> ReadableHorizon:
    """Fit, for each lag, a linear probe from the state after the last step to the symbol that came in `lag` steps ago.

    One state per sequence, so that samples are independent; sequences are split into training and test by `seed`. Ridge
    regression with its penalty from the training sequences alone (`longhold.inspection.probe`): a lower bound of what a
    linear read-out can have, and few sequences for a large state make it a loose one. Chance is the fraction of the
    commonest symbol.

    Args:
        model: any `SequenceModel` with a state of real numbers.
        inputs: `(T, B)` ids or `(T, B, F)` features, rows independent of each other.
        lags: in steps, positive and rising, below T.
        symbols: `(T, B)` class ids to be read; None: the inputs themselves, which then must be ids.
        test_share: fraction of the sequences kept for the test.
        seed: of the split and of the shuffling.
        rows_at_once: sequences of one call of the model.

    Raises:
        InputError: as `h50`, or for a lag that the sequences do not have, symbols that are not ids, a fraction outside
            (0, 1), too few sequences for a split, or a state that is not of real numbers.
    """
    labels = _labels(inputs, symbols, lags)
    classes = int(labels.max()) + 1
    states = _last_states(model, inputs, rows_at_once)
    order = np.random.default_rng(seed).permutation(len(states))
    tested = round(test_share * len(states))
    if not 0 < test_share < 1 or len(states) - tested < 2 or tested < 1:
        raise InputError(f"test_share={test_share} of {len(states)} sequences: expected some for the test, 2 to fit")
    test, train = order[:tested], order[tested:]
    vectors = features(states[train], states[test])
    shuffled = np.random.default_rng([seed, 1]).permutation(train)
    chance = float(np.bincount(labels.reshape(-1)).max() / labels.size)
    at = [labels[len(labels) - 1 - lag] for lag in lags]

    def profile(taught: _Ints) -> RecallByLag:
        right = tuple(float((probe(vectors, row[taught], classes) == row[test]).mean()) for row in at)
        return _recalled(lags, right, chance, tested)

    return ReadableHorizon(profile(train), profile(shuffled), len(train), states.shape[1])


def _labels(inputs: Tensor, symbols: Tensor | None, lags: Sequence[int]) -> _Ints:
    given = inputs if symbols is None else symbols
    if given.is_floating_point() or given.dim() != 2 or given.shape != inputs.shape[:2]:
        raise InputError(f"symbols {tuple(given.shape)} of {given.dtype}: expected class ids of the inputs' (T, B)")
    if len(lags) and max(lags) >= len(given):
        raise InputError(f"lag {max(lags)}: sequences of {len(given)} steps have no such input")
    labels: _Ints = given.cpu().numpy().astype(np.int64)
    if not labels.size or labels.min() < 0:
        raise InputError("symbols: expected ids of at least 0, and some")
    return labels


def _last_states(model: SequenceModel, inputs: Tensor, rows_at_once: int) -> _Floats:
    frozen = frozen_copy(model, None)
    with torch.no_grad():
        states = [flat_state(frozen, frozen(part)[1]) for part in torch.split(inputs, rows_at_once, dim=1)]
    vectors: _Floats = torch.cat(states).double().cpu().numpy()
    return vectors
