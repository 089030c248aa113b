"""When training ends before its last step; the last step is `TrainConfig.steps`, which `pace` fits to a time budget.

Patience        held-out loss has not reached a new low for several evaluations (`TrainConfig.patience`)
Solved          recall on the last batches has reached a level (`stop_at` of a study's run)
FarFromChance   loss stays far above that of a uniform guess: training has diverged

Training also ends where a loss, a gradient or a weight is not finite, and after a signal; see `session` and `signals`.
"""

import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, final

FAR: Final = 1.5
"""Times the loss of a guess from which on a loss is far above it; a network that has learned nothing has about that."""

EVALUATIONS: Final = 2
"""Evaluations in a row far above chance after which training has diverged."""

WINDOW: Final = 20
"""Last batches over which recall is averaged to tell whether a task is solved."""


class Stopping(Protocol):
    """A rule that ends training, from one figure after another."""

    def observe(self, figure: float) -> bool:
        """Take the next figure; returns whether training ends here."""


@final
@dataclass
class Patience:
    """Ends training after so many evaluations in a row without a new lowest held-out loss."""

    limit: int | None
    """How many; None never ends it."""
    lowest: float | None = None
    """The lowest loss so far."""
    since_lowest: int = 0
    """Evaluations since that one."""

    def observe(self, figure: float) -> bool:
        """Take the held-out loss of an evaluation."""
        if self.lowest is None or figure < self.lowest:
            self.lowest, self.since_lowest = figure, 0
        else:
            self.since_lowest += 1
        return self.limit is not None and self.since_lowest >= self.limit


@final
@dataclass
class FarFromChance:
    """Ends training as diverged after `EVALUATIONS` evaluations in a row with a loss far above a uniform guess."""

    chance: float | None
    """Loss of that guess; None never ends it."""
    in_a_row: int = 0
    """Evaluations so far."""

    def observe(self, figure: float) -> bool:
        """Take the loss of an evaluation, training or held-out, whichever is lower."""
        self.in_a_row = self.in_a_row + 1 if self.is_far(figure) else 0
        return self.in_a_row >= EVALUATIONS

    def is_far(self, loss: float) -> bool:
        """Returns whether a loss is more than `FAR` times that of the guess."""
        return self.chance is not None and loss > FAR * self.chance


@final
class Solved:
    """Ends training once recall, averaged over the last `WINDOW` batches, has reached a level."""

    def __init__(self, level: float | None, is_solved: Callable[[float], bool]) -> None:
        """Watch the batches of a run.

        Args:
            level: recall at which training ends; None never ends it.
            is_solved: whether a mean recall counts as solved.
        """
        self.first: int | None = None
        """The batch, from 1, at which the last ones first counted as solved."""
        self._level, self._is_solved = level, is_solved
        self._batches = 0
        self._recent: deque[float] = deque(maxlen=WINDOW)

    def observe(self, figure: float) -> bool:
        """Take the recall of a batch."""
        self._batches += 1
        self._recent.append(figure)
        if len(self._recent) < WINDOW:
            return False
        recall = statistics.fmean(self._recent)
        if self.first is None and self._is_solved(recall):
            self.first = self._batches
        return self._level is not None and recall >= self._level
