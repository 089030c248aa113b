import sys

import pytest

from longhold.errors import InputError
from longhold.study.plan.search import Search, suggestion
from longhold.study.plan.tuning import Setting, best_setting, worth
from tests.study.tiny import row, spec

SEARCH = Search(trials=20, seeds=(90,), lr=(1e-3, 1e-1), clip_norm=(0.1, 10.0), embedding_size=(4, 8, 16))


def trials(search: Search, count: int, value) -> list[Setting]:
    told: tuple[tuple[Setting, float], ...] = ()
    for _ in range(count):
        setting = suggestion(search, told)
        told = (*told, (setting, value(setting)))
    return [setting for setting, _ in told]


def test_trials_follow_from_the_plan_and_from_what_was_told() -> None:
    pytest.importorskip("optuna", reason="optuna is not installed")
    one = trials(SEARCH, 16, lambda s: s.lr)
    suggestion.cache_clear()
    assert trials(SEARCH, 16, lambda s: s.lr) == one
    assert [setting.trial for setting in one] == list(range(16))
    other = trials(SEARCH, 16, lambda s: -s.lr)
    assert other[:10] == one[:10]
    assert other[10:] != one[10:]
    assert trials(SEARCH.model_copy(update={"sampler_seed": 100}), 3, lambda s: s.lr) != one[:3]


def test_trials_stay_inside_the_space_and_go_where_it_is_better() -> None:
    pytest.importorskip("optuna", reason="optuna is not installed")
    found = trials(SEARCH, 24, lambda s: s.lr + (s.embedding_size == 8))
    for setting in found:
        assert 1e-3 <= setting.lr <= 1e-1
        assert 0.1 <= setting.clip_norm <= 10
        assert setting.embedding_size in (4, 8, 16)
        assert setting.lr == float(f"{setting.lr:.4g}")
    late = [setting.embedding_size == 8 for setting in found[12:]]
    assert sum(late) >= 8
    assert max(s.lr for s in found[12:]) > 0.05


def test_dimensions_that_are_not_searched_are_the_experiments_own() -> None:
    narrow = Search(trials=2, seeds=(90,), lr=(1e-3, 1e-1), embedding_size=(4, 8))
    assert narrow.dimensions == ("lr", "embedding_size")
    assert narrow.middle == Setting(pytest.approx(1e-2), None, 8)
    pytest.importorskip("optuna", reason="optuna is not installed")
    assert all(setting.clip_norm is None for setting in trials(narrow, 3, lambda s: 0.0))


def test_without_optuna_a_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    suggestion.cache_clear()
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"pip install 'longhold\[tune\]'") as refused:
        suggestion(SEARCH, ())
    assert "\n" not in str(refused.value)


def test_a_trial_is_worth_more_that_solves_and_more_that_solves_sooner() -> None:
    def made(seed: int, solved: bool, **changes: object):
        return row(spec(seed=seed), solved=solved, **changes)

    assert worth([made(0, True, solved_step=30)]) == 2 - 30 / 150
    assert worth([made(0, True, solved_step=150), made(1, False, recall=0.5)]) == 0.75
    assert worth([made(0, False, recall=None, score=None)]) == -1
    assert worth([made(0, True, solved_step=150)]) >= 1 >= worth([made(0, False, recall=1.2)])


def test_the_best_trial_is_the_one_that_a_grid_would_take() -> None:
    soon, late = ([row(spec(seed=seed), solved_step=step) for seed in (0, 1)] for step in (40, 90))
    half = [row(spec(seed=0), solved_step=1), row(spec(seed=1), solved=False)]
    found = {Setting(0.1, trial=0): half, Setting(0.2, trial=1): late, Setting(0.3, trial=2): soon}
    assert best_setting(found) == Setting(0.3, trial=2)
    assert best_setting({**found, Setting(0.01, trial=3): soon}) == Setting(0.01, trial=3)
