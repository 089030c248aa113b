"""The text horizon of an arm: from how much context on a model of text gains nothing more."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from longhold.errors import InputError
from longhold.inspection.context_use import first_within
from longhold.study.statistics import CONFIDENCE, DRAWS, Estimate, Interval
from longhold.study.statistics.estimates import Floats, fraction


@final
@dataclass(frozen=True)
class TextHorizon:
    """Where the excess over the full context stays within the tolerance, for the mean of the seeds.

    Weaker models can look longer: read it beside their bits and the length at which training was truncated.
    """

    lengths: tuple[int, ...]
    """Tokens of true context that were tried."""
    excess: tuple[float, ...]
    """Bits per token above those with full context, mean over seeds and segments."""
    tokens: Estimate
    """The smallest length beyond which the excess stays within the tolerance; infinite: it does not at the longest."""


def text_horizon(
    lengths: Sequence[int],
    excess: Sequence[ArrayLike],
    tolerance: float,
    confidence: float = CONFIDENCE,
    draws: int = DRAWS,
    seed: int = 0,
) -> TextHorizon:
    """The horizon of several seeds' models at the same held-out targets.

    The interval is by bootstrap, seeds crossed with contiguous segments of the text: a draw takes seeds with
    replacement and, for all of them, the same segments with replacement.

    Args:
        lengths: tokens of context, rising.
        excess: for each seed `(segments, lengths)` in bits per token.
        tolerance: bits per token up to which an excess counts as nothing.
        confidence: of the interval.
        draws: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        InputError: there is no seed, or shapes differ.
    """
    tables = [np.asarray(one, dtype=np.float64) for one in excess]
    if not tables or {table.shape for table in tables} != {(tables[0].shape[0], len(lengths))}:
        shapes = sorted({table.shape for table in tables})
        raise InputError(f"excess of shapes {shapes}: expected (segments, {len(lengths)}) of each of at least one seed")
    table = np.stack(tables)  # (seeds, segments, lengths)
    generator = np.random.default_rng(seed)
    drawn = np.array([_first(_mean(table, generator), lengths, tolerance) for _ in range(draws)])
    tail = (1 - fraction(confidence, "confidence")) / 2
    low, high = (float(end) for end in np.quantile(drawn, [tail, 1 - tail], method="inverted_cdf"))
    mean: Floats = table.mean((0, 1))
    value = _first(mean, lengths, tolerance)
    return TextHorizon(tuple(lengths), tuple(mean.tolist()), Estimate(value, Interval(low, high, confidence)))


def _mean(table: Floats, generator: np.random.Generator) -> Floats:
    seeds, segments, _ = table.shape
    rows = generator.integers(seeds, size=seeds)
    columns = generator.integers(segments, size=segments)
    mean: Floats = table[np.ix_(rows, columns)].mean((0, 1))
    return mean


def _first(excess: Floats, lengths: Sequence[int], tolerance: float) -> float:
    place = first_within(excess, tolerance)
    return float(lengths[place]) if place < len(lengths) else math.inf
