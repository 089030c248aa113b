"""Costs against counts written out by hand, and against the model as it runs."""

from typing import Any

import pytest

from longhold.errors import InputError
from longhold.models.budget import parameter_count
from longhold.models.cost import cost, flops_per_token, state_bytes
from longhold.models.language_model import LanguageModelConfig
from longhold.models.network import Architecture, NetworkConfig, Sizes, network_for

I, O, H = 7, 3, 10  # noqa: E741 the field's letters


def config(cell: str, continuous: bool = False, **values: Any) -> NetworkConfig:
    sizes = Sizes(input_size=I, output_size=O, continuous=continuous)
    return network_for(Architecture(cell=cell, **values), sizes, hidden_size=H)


@pytest.mark.parametrize(("cell", "gates"), [("rnn", 1), ("irnn", 1), ("gru", 3), ("lstm", 4)])
@pytest.mark.parametrize("layers", [1, 3])
def test_recurrent_layers_by_hand(cell: str, gates: int, layers: int) -> None:
    recurrent, out = 2 * gates * H * H, 2 * H * O
    above = (layers - 1) * 2 * gates * H * (H + H)
    looked_up = config(cell, num_layers=layers)
    assert flops_per_token(looked_up, 50) == recurrent + above + out
    assert (
        flops_per_token(config(cell, num_layers=layers, embedding_size=4))
        == 2 * gates * H * 4 + recurrent + above + out
    )
    assert flops_per_token(config(cell, True, num_layers=layers)) == 2 * gates * H * I + recurrent + above + out
    fields = 2 if cell == "lstm" else 1
    assert state_bytes(looked_up, 50) == fields * layers * H * 4


@pytest.mark.parametrize("tokens", [1, 2, 60])
def test_the_transformer_by_hand(tokens: int) -> None:
    inner = 2 * 6  # two heads, H/2 = 5 rounded up to 6
    attention = 2 * H * 3 * inner + 2 * 2 * tokens * inner + 2 * inner * H
    perceptron = 2 * 2 * H * 4 * H
    made = config("transformer", num_layers=3)
    assert flops_per_token(made, tokens) == 3 * (attention + perceptron) + 2 * H * O
    assert (
        flops_per_token(config("transformer", True, num_layers=3), tokens) == flops_per_token(made, tokens) + 2 * I * H
    )
    assert state_bytes(made, tokens) == 3 * (2 * tokens * inner * 4 + 8)
    windowed = made.model_copy(update={"window": 5})
    assert flops_per_token(windowed, 60) == flops_per_token(made, 5)
    parameters = 3 * ((H + 1) * 3 * inner + (inner + 1) * H + (H + 1) * 4 * H + (4 * H + 1) * H + 2 * H)
    assert parameter_count(made) == parameters + I * H + H + (H + 1) * O


@pytest.mark.parametrize(("cell", "maps"), [("mingru", 2), ("minlstm", 3)])
def test_the_minimal_cells_by_hand(cell: str, maps: int) -> None:
    block = 2 * H * maps * H + 2 * H * H + 2 * 2 * H * 2 * H
    made = config(cell, num_layers=3)
    assert flops_per_token(made, 9) == 3 * block + 2 * H * O
    assert state_bytes(made, 9) == 3 * H * 4
    parameters = 3 * ((H + 1) * maps * H + (H + 1) * H + (H + 1) * 2 * H + (2 * H + 1) * H + 2 * H)
    assert parameter_count(made) == parameters + I * H + H + (H + 1) * O


def test_the_others_by_hand() -> None:
    perceptron = 2 * 2 * H * 2 * H
    assert flops_per_token(config("lru", num_layers=1)) == 2 * H * 2 * H * 2 + perceptron + 2 * H * O
    # read-outs h W_z.. and R h by blocks of 5
    assert (
        flops_per_token(config("slstm", num_layers=1)) == 2 * H * 4 * H + 2 * 2 * 5 * 20 + 2 * H * H + perceptron + 60
    )
    # q k^T, (scores) v, q C, k^T v in two heads of 5
    inside = 2 * 2 * (5 + 5 + 25 + 25)
    assert (
        flops_per_token(config("mlstm", num_layers=1))
        == 2 * H * 4 * H + 2 * H * 4 + inside + 2 * H * H + perceptron + 60
    )
    assert flops_per_token(config("echo")) == 2 * I * H + 2 * H * H + 2 * (H + I) * O
    assert state_bytes(config("mlstm", num_layers=1), 9) == 2 * (25 + 5 + 1) * 4
    assert state_bytes(config("deltanet", num_layers=1), 9) == (2 * 25 + 3 * 3 * H) * 4
    assert state_bytes(config("mamba2", num_layers=1), 9) == (16 * 2 * H + 3 * (2 * H + 32)) * 4


def test_a_language_model_has_a_cost_too() -> None:
    made = LanguageModelConfig(cell="gru", vocab_size=28, hidden_size=H, embedding_size=H, tie_weights=True)
    assert flops_per_token(made) == 2 * 3 * H * 2 * H + 2 * H * 28


def test_all_of_it() -> None:
    made = config("echo")
    found = cost(made, 20)
    assert (found.parameters, found.fixed) == ((H + I + 1) * O, H * H + H * I)
    assert (found.state_bytes, found.tokens) == (4 * H, 20)
    assert found.flops_per_token == flops_per_token(made, 20)
    assert cost(config("lstm")).fixed == 0


def test_lengths_that_cannot_be() -> None:
    with pytest.raises(InputError, match="tokens=0: expected 1 or more"):
        flops_per_token(config("rnn"), 0)
    with pytest.raises(InputError, match="tokens=-1: expected 0 or more"):
        state_bytes(config("rnn"), -1)
