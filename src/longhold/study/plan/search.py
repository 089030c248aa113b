"""Tuning in several dimensions by Optuna: the same trials, space and sampler seed for every arm, nothing pruned."""

from collections.abc import Sequence
from functools import lru_cache
from math import sqrt
from typing import TYPE_CHECKING, Annotated, Any, Self, final

from pydantic import Field, model_validator

from longhold.config import Config
from longhold.errors import InputError
from longhold.study.plan.tuning import Seeds, Setting
from longhold.study.rows.spec import Seed

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Positive = Annotated[float, Field(gt=0)]


@final
class Search(Config):
    """How each arm gets a learning rate and more of its own.

    Trials come one after another. Trial `i` of an arm is what Optuna's TPE sampler (Bergstra et al. 2011), started anew
    with `sampler_seed + i`, suggests after the arm's trials before it, so it follows from the plan and from rows; the
    first ten are drawn at random and therefore the same for every arm. A trial is run with each of the tuning seeds and
    told by `longhold.study.plan.tuning.worth`. In the end the trial wins that a grid's rule would choose (`Tuning`).
    Rows carry their trial, so a study goes on, and is reported, from rows alone.
    """

    trials: Annotated[int, Field(ge=1)]
    """How many, the same for every arm."""
    seeds: Seeds
    """Tuning seeds, used for nothing else."""
    level: int | None = None
    """The test_spec at which it is tuned, by its level; None where there is only one test_spec."""
    sampler_seed: Seed = 0
    """Where the sampler begins."""
    lr: tuple[Positive, Positive]
    """Lowest and highest learning rate, tried evenly by factors."""
    clip_norm: tuple[Positive, Positive] | None = None
    """Least and greatest `clip_norm`, likewise; None: the experiment's own."""
    embedding_size: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=2)] | None = None
    """Widths of embeddings to choose from; None: the experiment's own."""

    @model_validator(mode="after")
    def _is_a_space(self) -> Self:
        for name in ("lr", "clip_norm"):
            ends = getattr(self, name)
            if ends is not None and ends[0] >= ends[1]:
                raise ValueError(f"{name}={list(ends)}: expected a lowest and a higher one")
        if self.embedding_size is not None and len(set(self.embedding_size)) < len(self.embedding_size):
            raise ValueError(f"embedding_size={list(self.embedding_size)}: expected each once")
        if len(self.dimensions) < 2:
            raise ValueError("search over lr alone: expected clip_norm or embedding_size too, or else tuning")
        return self

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What is searched."""
        return tuple(name for name in ("lr", "clip_norm", "embedding_size") if getattr(self, name) is not None)

    @property
    def middle(self) -> Setting:
        """The middle of every dimension."""
        clip, sizes = self.clip_norm, self.embedding_size
        return Setting(
            sqrt(self.lr[0] * self.lr[1]),
            None if clip is None else sqrt(clip[0] * clip[1]),
            None if sizes is None else sizes[len(sizes) // 2],
        )


@lru_cache(maxsize=4096)
def suggestion(search: Search, finished: tuple[tuple[Setting, float], ...]) -> Setting:
    """The next trial after those that are reported, in their order.

    Raises:
        InputError: Optuna is not installed.
    """
    optuna = _optuna()
    space = _space(search, optuna)
    sampler = optuna.samplers.TPESampler(seed=search.sampler_seed + len(finished))
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for setting, value in finished:
        params = {name: getattr(setting, name) for name in space}
        study.add_trial(optuna.create_trial(params=params, distributions=space, value=value))
    chosen = study.ask(space).params
    return Setting(**{name: _rounded(space[name], value) for name, value in chosen.items()}, trial=len(finished))


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise InputError("a search needs Optuna, which is not installed: pip install 'longhold[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _space(search: Search, optuna: Any) -> dict[str, "BaseDistribution"]:
    space: dict[str, BaseDistribution] = {}
    for name in search.dimensions:
        values: Sequence[Any] = getattr(search, name)
        if name == "embedding_size":
            space[name] = optuna.distributions.CategoricalDistribution(tuple(values))
        else:
            space[name] = optuna.distributions.FloatDistribution(*values, log=True)
    return space


def _rounded(among: Any, value: Any) -> Any:
    """Four digits of a float, as many as a row shows, and no further than its range goes."""
    return min(max(float(f"{value:.4g}"), among.low), among.high) if isinstance(value, float) else value
