"""Several hypotheses at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from statsmodels.stats.multitest import multipletests

from longhold.errors import InputError


@final
@dataclass(frozen=True)
class Holm:
    """What remains significant in a family of hypotheses."""

    p_values: Mapping[str, float]
    """Each hypothesis with its adjusted p-value."""
    rejected: frozenset[str]
    """The hypotheses rejected: adjusted p-value below the family's level."""
    level: float
    """What the p-value of a hypothesis not rejected would have had to be below: alpha / (those not rejected)."""


def holm(p_values: Mapping[str, float], alpha: float = 0.05) -> Holm:
    """Holm's step-down procedure (1979, Scandinavian Journal of Statistics 6(2)).

    The chance of rejecting any true hypothesis is at most alpha, however the hypotheses hang together.

    Example:
        >>> found = holm({"a": 0.01, "b": 0.04, "c": 0.03})
        >>> sorted(found.rejected), found.p_values["c"], round(found.level, 4)
        (['a'], 0.06, 0.025)

    Raises:
        InputError: a p-value is not in [0, 1], alpha not between 0 and 1, or there is no hypothesis.
    """
    if not p_values:
        raise InputError("an empty family: expected at least one hypothesis")
    for name, p_value in p_values.items():
        if not 0 <= p_value <= 1:
            raise InputError(f"p-value {p_value} of {name!r}: expected a number from 0 to 1")
    if not 0 < alpha < 1:
        raise InputError(f"alpha={alpha}: expected a number between 0 and 1")
    _, adjusted, _, _ = multipletests(list(p_values.values()), alpha=alpha, method="holm")
    known = {name: float(p) for name, p in zip(p_values, adjusted, strict=True)}
    rejected = frozenset(name for name, p in known.items() if p < alpha)
    return Holm(known, rejected, alpha / max(1, len(known) - len(rejected)))
