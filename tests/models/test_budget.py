"""The budget solver against closed formulas and against every size tried one after the other."""

from typing import Any, get_args

import pytest
import torch

from longhold.errors import InputError
from longhold.models.budget import fixed_count, parameter_count, solve_hidden_size
from longhold.models.classifier import ClassifierConfig
from longhold.models.language_model import LanguageModelConfig
from longhold.models.model_config import ModelConfig
from longhold.models.network import Architecture, CellName, Sizes, network_for


def config(**values: Any) -> LanguageModelConfig:
    return LanguageModelConfig(**{"vocab_size": 28, "hidden_size": 16, **values})


@pytest.mark.parametrize(("cell", "gates"), [("rnn", 1), ("gru", 3), ("lstm", 4)])
@pytest.mark.parametrize(("hidden", "layers", "embedding"), [(1, 1, None), (256, 1, None), (33, 3, 10)])
def test_counts_follow_the_formula(cell: str, gates: int, hidden: int, layers: int, embedding: int | None) -> None:
    width, vocabulary = embedding or 28, 28
    recurrent = gates * hidden * (width + hidden + 2) + (layers - 1) * gates * hidden * (2 * hidden + 2)
    expected = recurrent + vocabulary * (hidden + 1) + (vocabulary * width if embedding else 0)
    made = config(cell=cell, hidden_size=hidden, num_layers=layers, embedding_size=embedding)
    assert parameter_count(made) == expected


def test_tied_weights_count_once() -> None:
    free = config(cell="lstm", embedding_size=16)
    assert parameter_count(free) - parameter_count(config(cell="lstm", embedding_size=16, tie_weights=True)) == 28 * 16


VARIETY: list[ModelConfig] = [
    config(cell="rnn"),
    config(cell="gru", num_layers=3, learn_initial_state=True),
    config(cell="lstm", embedding_size=16, tie_weights=True, layer_norm=True),
    config(cell="lstm", proj_size=4, peephole=True),
    config(cell="lstm", coupled_gates=True, init="orthogonal"),
    ClassifierConfig(cell="gru", vocab_size=9, num_classes=2, hidden_size=7, init="chrono:20"),
    *(network_for(Architecture(cell=cell), Sizes(input_size=9, output_size=2)) for cell in get_args(CellName)),
    network_for(Architecture(cell="transformer"), Sizes(input_size=9, output_size=2)).model_copy(
        update={"num_heads": 5}
    ),
]


@pytest.mark.parametrize("made", VARIETY, ids=lambda made: made.cell)
def test_the_solution_is_the_closest_of_all_sizes(made: ModelConfig) -> None:
    sizes = range(made.smallest_hidden_size, 40)
    counts = {size: parameter_count(made.with_hidden_size(size)) for size in sizes}
    assert list(counts.values()) == sorted(set(counts.values()))
    highest = counts[35]
    for target in {
        counts[sizes[0]],
        counts[20],
        counts[20] + 1,
        highest,
        *range(counts[sizes[0]], highest, max(397, highest // 9)),
    }:
        best = min(sizes, key=lambda size: (abs(counts[size] - target), size))
        assert solve_hidden_size(made, target) == best


def test_a_budget_below_the_smallest_names_both_numbers() -> None:
    least = parameter_count(config(cell="lstm", hidden_size=1))
    with pytest.raises(InputError, match=rf"{least - 1} parameters .* at least {least} "):
        solve_hidden_size(config(cell="lstm"), least - 1)
    assert solve_hidden_size(config(cell="lstm"), least) == 1


def test_counting_draws_no_random_number() -> None:
    before = torch.get_rng_state()
    solve_hidden_size(config(cell="lstm", init="orthogonal", embedding_size=4), 10_000_000)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_never_trained_is_counted_apart() -> None:
    sizes = Sizes(input_size=9, output_size=2)
    echo = network_for(Architecture(cell="echo"), sizes, hidden_size=20)
    assert (parameter_count(echo), fixed_count(echo)) == (2 * (20 + 9 + 1), 20 * 20 + 20 * 9)
    assert fixed_count(network_for(Architecture(cell="lstm"), sizes)) == 0
