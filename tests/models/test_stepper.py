"""The loop in C++ draws what the model and `sample` draw step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.kernels.sequences import machine
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import longhold
from longhold.models import stepper as stepper_module
from longhold.models.language_model import LanguageModel, LanguageModelConfig
from longhold.models.ngram import KneserNey
from longhold.models.stepper import Stepper, stepper_of
from longhold.sampling import SamplingConfig, sample

MODELS: dict[str, dict[str, Any]] = {
    "rnn": {"cell": "rnn"},
    "gru": {"cell": "gru", "num_layers": 2},
    "gru 2014": {"cell": "gru", "reset_after": False},
    "lstm": {"cell": "lstm"},
    "embedding": {"cell": "lstm", "embedding_size": 5, "num_layers": 2},
    "tied": {"cell": "gru", "embedding_size": 30, "tie_weights": True},
    "everything": {
        "cell": "lstm",
        "embedding_size": 5,
        "peephole": True,
        "coupled_gates": True,
        "proj_size": 9,
        "layer_norm": True,
        "zoneout": (0.1, 0.3),
        "learn_initial_state": True,
        "dropout": 0.5,
        "weight_dropout": 0.5,
        "recurrent_dropout": 0.5,
    },
}
RULES = {
    "greedy": SamplingConfig(temperature=0),
    "all": SamplingConfig(),
    "sharp": SamplingConfig(temperature=0.3),
    "top-k": SamplingConfig(top_k=3),
    "more than there are": SamplingConfig(top_k=100, min_p=0.0, top_p=1.0),
    "top-p": SamplingConfig(top_p=0.6),
    "min-p": SamplingConfig(min_p=0.3),
    "together": SamplingConfig(temperature=1.7, top_k=9, top_p=0.9, min_p=0.05),
}


def lively(name: str, vocab_size: int = 17, dtype: torch.dtype = torch.float64, **values: Any) -> LanguageModel:
    made = LanguageModelConfig(**{"vocab_size": vocab_size, "hidden_size": 30, **MODELS[name], **values})
    model = made.build(dtype=dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.9)
    return model


def options(config: SamplingConfig) -> dict[str, Any]:
    """A configuration as the stepper takes it."""
    return {
        "temperature": config.temperature,
        "top_k": config.top_k,
        "top_p": config.top_p or 1.0,
        "min_p": config.min_p or 0.0,
    }


def by_hand(
    model: LanguageModel,
    state: Any,
    ids: Tensor,
    steps: int,
    config: SamplingConfig,
    seed: int,
    table: Tensor | None = None,
) -> Tensor:
    generator, drawn = torch.Generator().manual_seed(seed), []
    places = torch.zeros_like(ids)
    model.eval()
    with torch.no_grad(), longhold.use_backend("reference"):
        for _ in range(steps):
            outputs, state = model(ids.unsqueeze(0), state)
            ids = sample(outputs[-1], config, generator, allowed=None if table is None else table[places] >= 0)
            places = places if table is None else table[places, ids].long()
            drawn.append(ids)
    model.train()
    return torch.stack(drawn)


def in_a_loop(
    model: LanguageModel,
    state: Any,
    ids: Tensor,
    steps: int,
    config: SamplingConfig,
    seed: int,
    table: Tensor | None = None,
) -> Tensor:
    made = stepper_of(model, len(ids))
    assert made is not None
    made.begin(state)
    if table is not None:
        made.follow(table, torch.zeros(len(ids), dtype=torch.int8))
    uniforms = torch.rand(steps, len(ids), dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    first = made.draw(ids, uniforms[:7], **options(config))
    return torch.cat([first, made.draw(first[-1], uniforms[7:], **options(config))])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("rule", RULES)
def test_the_ids_are_those_of_the_model_step_by_step(name: str, rule: str) -> None:
    model, ids = lively(name), torch.tensor([3, 0, 16])
    with torch.no_grad():
        _, state = model(torch.randint(17, (4, 3)))
    found = in_a_loop(model, state, ids, 60, RULES[rule], seed=5)
    assert torch.equal(found, by_hand(model, state, ids, 60, RULES[rule], seed=5))
    assert len(found.unique()) > 1
    assert model.training


def any_table(vocab_size: int) -> Tensor:
    """Three states; in each about half of the ids may come."""
    generator = torch.Generator().manual_seed(7)
    table = torch.randint(-3, 3, (3, vocab_size), generator=generator).clamp(min=-1).to(torch.int8)
    table[:, 0] = torch.tensor([1, 2, 0])
    return table


@pytest.mark.parametrize("vocab_size", [1, 17, 1000])
@pytest.mark.parametrize("rule", RULES)
def test_what_may_come_is_as_in_the_model_step_by_step(rule: str, vocab_size: int) -> None:
    model, table = lively("lstm", vocab_size, embedding_size=4), any_table(vocab_size)
    ids, state = torch.zeros(2, dtype=torch.int64), model.initial_state(2)
    found = in_a_loop(model, state, ids, 60, RULES[rule], 5, table)
    assert torch.equal(found, by_hand(model, state, ids, 60, RULES[rule], 5, table))
    for column in found.T.tolist():
        place = 0
        for token in column:
            place = int(table[place, token])
            assert place >= 0


def test_where_all_that_may_come_is_impossible_it_is_equally_likely() -> None:
    model, table = lively("gru"), torch.full((1, 17), -1, dtype=torch.int8)
    table[0, [3, 5, 11]] = 0
    with torch.no_grad():
        model.output.bias[[3, 5, 11]] = -torch.inf
    state, ids = model.initial_state(1), torch.tensor([0])
    found = in_a_loop(model, state, ids, 300, RULES["sharp"], 2, table)
    assert torch.equal(found, by_hand(model, state, ids, 300, RULES["sharp"], 2, table))
    assert found.unique().tolist() == [3, 5, 11]
    assert found.flatten().bincount().max() < 140
    assert in_a_loop(model, state, ids, 20, RULES["greedy"], 2, table).unique().tolist() == [3]


def test_it_stops_where_nothing_may_come() -> None:
    model, table = lively("gru"), torch.full((2, 17), -1, dtype=torch.int8)
    table[0, 4] = 1
    made = stepper_of(model, 1)
    assert made is not None
    made.follow(table, torch.zeros(1, dtype=torch.int8))
    for rule in RULES.values():
        made.follow(table, torch.zeros(1, dtype=torch.int8))
        uniforms = torch.full((9, 1), 0.5, dtype=torch.float64)
        assert made.draw(torch.tensor([0]), uniforms, **options(rule)).tolist() == [[4]]


@pytest.mark.parametrize(
    ("table", "places"),
    [
        (torch.zeros(2, 16, dtype=torch.int8), torch.zeros(2, dtype=torch.int8)),
        (torch.zeros(2, 17, dtype=torch.int64), torch.zeros(2, dtype=torch.int8)),
        (torch.zeros(0, 17, dtype=torch.int8), torch.zeros(2, dtype=torch.int8)),
        (torch.zeros(17, dtype=torch.int8), torch.zeros(2, dtype=torch.int8)),
        (torch.full((2, 17), 2, dtype=torch.int8), torch.zeros(2, dtype=torch.int8)),
        (torch.zeros(2, 17, dtype=torch.int8), torch.zeros(3, dtype=torch.int8)),
        (torch.zeros(2, 17, dtype=torch.int8), torch.tensor([0, 2], dtype=torch.int8)),
        (torch.zeros(2, 17, dtype=torch.int8), torch.tensor([-1, 0], dtype=torch.int8)),
        (torch.zeros(2, 17, dtype=torch.int8), torch.zeros(2)),
    ],
)
def test_a_table_that_does_not_fit_is_refused(table: Tensor, places: Tensor) -> None:
    made = stepper_of(lively("lstm"), 2)
    assert made is not None
    with pytest.raises(ValueError, match="expected"):
        made.follow(table, places)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("vocab_size", [1, 2, 64, 1000])
def test_any_vocabulary_in_float32(rule: str, vocab_size: int) -> None:
    model = lively("lstm", vocab_size, torch.float32, embedding_size=4)
    ids, state = torch.tensor([0]), model.initial_state(1)
    expected = by_hand(model, state, ids, 40, RULES[rule], seed=2)
    assert torch.equal(in_a_loop(model, state, ids, 40, RULES[rule], seed=2), expected)


def test_an_embedding_too_large_to_fold_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepper_module, "_FOLDED", 0)
    test_the_ids_are_those_of_the_model_step_by_step("embedding", "all")


def test_impossible_tokens_are_never_drawn() -> None:
    model = lively("gru")
    with torch.no_grad():
        model.output.bias[4:] = -torch.inf
    found = in_a_loop(model, model.initial_state(1), torch.tensor([0]), 300, SamplingConfig(temperature=50), seed=0)
    assert found.unique().tolist() == [0, 1, 2, 3]


def test_equals_are_settled_by_the_smaller_id() -> None:
    model, ids = lively("rnn"), torch.tensor([0])
    with torch.no_grad():
        model.output.weight.zero_()
        model.output.bias.copy_(torch.tensor([0.0, 5.0, 1.0, 5.0] + [-3.0] * 13))
    for config, expected in (
        (RULES["greedy"], {1}),
        (SamplingConfig(top_p=0.3), {1}),
        (SamplingConfig(top_k=1), {1, 3}),
    ):
        found = in_a_loop(model, model.initial_state(1), ids, 50, config, seed=1)
        assert set(found.flatten().tolist()) == expected


def test_it_stops_where_the_output_is_not_finite() -> None:
    model = lively("lstm")
    with torch.no_grad():
        model.output.weight.zero_()
        model.output.bias.copy_(torch.tensor([0.0] * 5 + [9.0] + [0.0] * 11))
        model.layer.weight_ih_l0[:, 5] = torch.nan
    made = stepper_of(model, 2)
    assert made is not None
    uniforms = torch.zeros(9, 2, dtype=torch.float64)
    assert made.draw(torch.tensor([0, 1]), uniforms, **options(RULES["greedy"])).tolist() == [[5, 5]]


@pytest.mark.usefixtures("all_threads")
@pytest.mark.parametrize("vocab_size", [17, 3000])
def test_threads_change_no_id(vocab_size: int) -> None:
    model, found = lively("embedding", vocab_size), []
    for threads in (1, 2, 3):
        with machine(threads):
            found.append(in_a_loop(model, model.initial_state(3), torch.tensor([1, 2, 3]), 50, RULES["all"], seed=3))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_it_is_a_snapshot() -> None:
    model, ids = lively("lstm"), torch.tensor([0])
    expected = by_hand(model, model.initial_state(1), ids, 30, RULES["all"], seed=3)
    made = stepper_of(model, 1)
    assert isinstance(made, Stepper)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    uniforms = torch.rand(30, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    assert torch.equal(made.draw(ids, uniforms, **options(RULES["all"])), expected)


def hooked(model: LanguageModel) -> None:
    model.layer.register_forward_hook(lambda *_: None)


def hooked_before(model: LanguageModel) -> None:
    model.output.register_forward_pre_hook(lambda *_: None)


def replaced(model: LanguageModel) -> None:
    model.output = nn.Sequential(model.output)


def parametrized(model: LanguageModel) -> None:
    parametrizations.weight_norm(model.layer, "weight_hh_l0")


def patched(model: LanguageModel) -> None:
    model.forward = lambda *given: (torch.zeros(1, 1, 17), ())  # type: ignore[method-assign]


def mixed(model: LanguageModel) -> None:
    model.output.float()


def half(model: LanguageModel) -> None:
    model.bfloat16()


def elsewhere(model: LanguageModel) -> None:
    model.to("meta")


@pytest.mark.parametrize(
    "change", [hooked, hooked_before, replaced, parametrized, patched, mixed, half, elsewhere], ids=lambda f: f.__name__
)
def test_what_a_loop_in_cpp_would_pass_over_is_left_to_the_model(change: Callable[[LanguageModel], None]) -> None:
    model = lively("lstm")
    assert stepper_of(model, 1) is not None
    change(model)
    assert stepper_of(model, 1) is None


def test_other_models_and_named_backends_are_left_alone() -> None:
    model = lively("lstm")
    assert stepper_of(KneserNey(order=2, vocab_size=5), 1) is None
    for name, there in (("reference", False), ("torch", False), ("cpu", True)):
        with longhold.use_backend(name):
            assert (stepper_of(model, 1) is not None) == there
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert stepper_of(model.float(), 1) is None
