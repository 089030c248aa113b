"""Every horizon that the rows hold, with everything it depends on."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from longhold.errors import InputError
from longhold.study.claims.readings import Language, Reading, seed_reading, trained_reading
from longhold.study.claims.rows import Run, runs
from longhold.study.claims.sentences import HORIZONS, place, setting
from longhold.study.claims.sides import Side, one_per_seed, side_of, solved_by_seed
from longhold.study.horizon import (
    Modes,
    SeedHorizons,
    TrainedHorizon,
    modes,
    outcomes,
    seed_horizons,
    trained_horizon,
)
from longhold.study.statistics import LEAST_SEEDS


@final
@dataclass(frozen=True)
class StatedHorizon:
    """One horizon of one arm: protocol, task, size, budget and learning rate go with it."""

    protocol: str
    """trained, extrapolated, capacity or readable."""
    side: Side
    """The rows it rests on; they have one task, one size and one budget."""
    horizon: TrainedHorizon | SeedHorizons
    """The horizon: of the group for the trained one, of every seed for the others."""
    recall_by_lag: Mapping[int, Modes]
    """At each lag every seed's recall, and whether it falls into two modes."""

    @property
    def indicative(self) -> bool:
        """Fewer than `LEAST_SEEDS` seeds."""
        return len({run.seed for run in self.side.runs}) < LEAST_SEEDS

    @property
    def rows(self) -> tuple[str, ...]:
        """The ids of the rows."""
        return tuple(run.id for run in self.side.runs)

    @property
    def reading(self) -> Reading:
        """The figure with its interval, in both languages."""
        if isinstance(self.horizon, TrainedHorizon):
            return trained_reading(self.horizon)
        return seed_reading(self.horizon.together, self.horizon.longest)

    def text(self, language: Language = "en") -> str:
        """A sentence that names everything the horizon depends on."""
        where, how = place(self.side.runs, self.protocol, language), setting(self.side)[language]
        what, figure = HORIZONS[self.protocol][language], self.reading[language]
        return {
            "en": f"{where}: {what} of {self.side.arm} {figure}{self._remarks()['en']}. {how}.",
            "zh": f"{where}：{self.side.arm} 的{what}为 {figure}{self._remarks()['zh']}。{how}。",
        }[language]

    def _remarks(self) -> Reading:
        english, chinese = [], []
        split = [lag for lag, known in self.recall_by_lag.items() if known.bimodal]
        if split:
            lags = ", ".join(str(lag) for lag in split)
            english.append(f"seeds fall into two modes at lag {lags}")
            chinese.append(f"在延迟 {lags} 处种子分为两群")
        if isinstance(self.horizon, TrainedHorizon) and self.horizon.left_censored:
            lag = self.horizon.lags[0]
            recall = f"{np.median(self.recall_by_lag[lag].values):.2f}"
            english.append(f"median recall at lag {lag} is {recall}")
            chinese.append(f"延迟 {lag} 处的回忆率中位数为 {recall}")
        if isinstance(self.horizon, SeedHorizons) and self.horizon.nonmonotone:
            seeds = ", ".join(str(seed) for seed in self.horizon.nonmonotone)
            english.append(f"recall rises again at longer lags in seed {seeds}")
            chinese.append(f"种子 {seeds} 的回忆率在更长的延迟处回升")
        if self.indicative:
            english.append("indicative")
            chinese.append("仅供参考")
        return {"en": "".join(f"; {one}" for one in english), "zh": "".join(f"；{one}" for one in chinese)}


def horizons(rows: Iterable[Mapping[str, Any]]) -> list[StatedHorizon]:
    """The horizon of every protocol, task, arm, size and budget among the rows; none is merged with another.

    Rows of tuning, of protocols without a horizon, and of runs without lags are passed over.

    Raises:
        InputError: two rows are for the same seed and lag.
    """
    groups = defaultdict[tuple[Any, ...], list[Run]](list)
    for run in runs(rows):
        if run.protocol in HORIZONS and (run.level is not None if run.protocol == "trained" else _tested(run)):
            size = run.columns["hidden_size"], run.columns["parameters"], run.budget
            groups[run.protocol, run.task, run.arm, *size, None if run.protocol == "trained" else run.level].append(run)
    return [_stated(protocol, arm, found) for (protocol, _, arm, *_), found in groups.items()]


def _tested(run: Run) -> bool:
    return run.failed or bool(run.by_lag)


def _stated(protocol: str, arm: str, found: list[Run]) -> StatedHorizon:
    side = side_of(f"{protocol} horizon", arm, found)
    recall = defaultdict[int, list[float]](list)
    if protocol == "trained":
        known = outcomes(solved_by_seed(protocol, side))
        side = Side(arm, tuple(run for run in side.runs if run.seed not in known.incomplete))
        for run in side.runs:
            recall[run.level or 0].append(run.recall)
        return StatedHorizon(protocol, side, trained_horizon(known), _by_lag(recall))
    curves = _curves(protocol, side)
    for curve in curves.values():
        for lag, value in curve:
            recall[lag].append(value)
    return StatedHorizon(protocol, side, _of_seeds(side, curves), _by_lag(recall))


def _curves(protocol: str, side: Side) -> dict[int, list[tuple[int, float]]]:
    """Recall by lag of every seed; a run that failed recalls nothing."""
    tested = {tuple(lag for lag, _ in run.by_lag) for run in side.runs if not run.failed}
    if len(tested) != 1:
        raise InputError(f"{protocol} horizon of {side.arm!r}: tested at {len(tested)} sets of lags, expected one")
    nothing = [(lag, 0.0) for lag in min(tested)]
    return {run.seed: nothing if run.failed else run.by_lag for run in one_per_seed(f"{protocol} horizon", side)}


def _of_seeds(side: Side, curves: dict[int, list[tuple[int, float]]]) -> SeedHorizons:
    """With the test for recall that rises again where scores are shares of right answers."""
    columns = next(run.columns for run in side.runs if not run.failed)
    counted = columns.get("unit") == "accuracy" and columns.get("test_sequences")
    if not counted:
        return seed_horizons(curves)
    return seed_horizons(curves, trials=int(counted), chance=float(columns["chance"]))


def _by_lag(recall: Mapping[int, list[float]]) -> dict[int, Modes]:
    return {lag: modes(known) for lag, known in sorted(recall.items())}
