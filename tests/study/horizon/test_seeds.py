import math

import numpy as np
import pytest

from longhold.errors import InputError
from longhold.study.horizon import seed_horizons

LAGS = (8, 16, 32, 64, 128)


def held(until: int, recall: float = 1.0) -> list[tuple[int, float]]:
    """Recall of a model that holds a symbol so long and no longer."""
    return [(lag, recall if lag <= until else 0.0) for lag in LAGS]


def test_every_seed_is_kept_and_the_median_is_over_seeds() -> None:
    found = seed_horizons({seed: held(until) for seed, until in enumerate([8, 16, 32, 64, 16])})
    assert [found.seeds[seed].value for seed in range(5)] == [8, 16, 32, 64, 16]
    assert found.median.value == 16
    assert found.together.seeds == 5


def test_seeds_beyond_the_grid_are_censored_and_so_is_their_median() -> None:
    found = seed_horizons({seed: held(until) for seed, until in enumerate([128, 128, 128, 16, 8])})
    assert found.seeds[0].censored
    assert found.together.solved == 2  # of five, those not censored
    assert found.median.value == math.inf
    assert str(found).startswith(">= 128")
    assert found.median.interval.high == math.inf


def test_a_model_that_lapses_at_every_lag_is_not_reported_zero() -> None:
    found = seed_horizons({seed: held(128, recall=0.8) for seed in range(10)})
    assert str(found) == ">= 128 (>= 128 to >= 128)"


def test_a_model_at_chance_is_reported_zero() -> None:
    rng = np.random.default_rng(0)
    curves = {seed: [(lag, float(rng.normal(0, 0.02))) for lag in LAGS] for seed in range(10)}
    found = seed_horizons(curves)
    assert found.median.value == 0
    assert str(found).startswith("0 ")


def test_chance_models_have_an_upper_end_below_lag_one_in_nineteen_of_twenty() -> None:
    """200 groups of models that guess among 8 symbols, 1,000 sequences each."""
    rng, below = np.random.default_rng(1), 0
    for _ in range(200):
        right = rng.binomial(1000, 1 / 8, size=(10, len(LAGS))) / 1000
        recall = (right - 1 / 8) / (7 / 8)
        found = seed_horizons({seed: list(zip(LAGS, row, strict=True)) for seed, row in enumerate(recall.tolist())})
        below += found.seeds[0].value < 1 and all(one.value < 1 for one in found.seeds.values())
    assert below >= 190


def test_a_seed_that_recalls_again_at_longer_lags_is_flagged() -> None:
    dip = [(8, 1.0), (16, 0.2), (32, 0.2), (64, 0.9), (128, 0.0)]
    found = seed_horizons({0: held(32), 1: dip}, trials=1000, chance=0.125)
    assert found.nonmonotone == (1,)
    assert seed_horizons({0: held(32), 1: dip}).nonmonotone == ()  # without the number of sequences nothing is known


def test_no_seeds_are_refused() -> None:
    with pytest.raises(InputError):
        seed_horizons({})
