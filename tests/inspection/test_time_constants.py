"""Time constants of gates set by hand, and the caution that goes with them."""

import math

import pytest
import torch

import longhold
from longhold.errors import InputError
from longhold.inspection import bias_time_constants, gates, gradient_by_lag, time_constants
from longhold.models import LanguageModelConfig, SequenceModel
from longhold.models.language_model import LanguageModel


def model_of(cell: str, **options: object) -> LanguageModel:
    return LanguageModelConfig(cell=cell, vocab_size=5, hidden_size=4, **options).build()


def still(model: LanguageModel, gate: str, taus: list[float]) -> LanguageModel:
    """All weights 0, and the keeping gate's bias such that each unit has its tau."""
    keep = torch.tensor([math.exp(-1 / tau) for tau in taus], dtype=torch.float64)
    index = model.layer.recurrence.gate_names.index(gate)
    with torch.no_grad():
        for parameter in model.layer.parameters():
            parameter.zero_()
        model.layer.bias_ih_l0[4 * index : 4 * index + 4] = torch.logit(keep).float() - 0.25
        model.layer.bias_hh_l0[4 * index : 4 * index + 4] = 0.25
    return model


@pytest.mark.parametrize(("cell", "gate"), [("lstm", "f"), ("gru", "z")])
def test_units_set_by_hand_have_the_time_constants_they_were_given(cell: str, gate: str) -> None:
    taus = [1.0, 5.0, 50.0, 500.0]
    model = still(model_of(cell), gate, taus)
    found = time_constants(model, torch.randint(5, (30, 2)))
    assert found.gate == gate
    assert found.by_bias[0].tolist() == pytest.approx(taus, rel=1e-3)
    assert found.along_path[0].tolist() == pytest.approx(taus, rel=1e-3)
    for quantile in found.by_input:
        assert quantile[0].tolist() == pytest.approx(taus, rel=1e-3)
    assert found.steps == 60


def test_biases_that_keep_for_a_million_steps_are_not_infinite() -> None:
    model = still(model_of("lstm"), "f", [1e6] * 4)
    assert time_constants(model, torch.randint(5, (3, 1))).by_bias[0].tolist() == pytest.approx([1e6] * 4, rel=1e-3)


def test_chrono_spreads_them_up_to_the_longest_lag() -> None:
    model = LanguageModelConfig(cell="lstm", vocab_size=5, hidden_size=400, init="chrono:100").build()
    found = bias_time_constants(model)
    assert 1.4 < float(found.min()) < 4
    assert 96 < float(found.max()) < 100
    assert float(found.median()) == pytest.approx(50, abs=8)
    coupled = LanguageModelConfig(
        cell="lstm", vocab_size=5, hidden_size=400, init="chrono:100", coupled_gates=True
    ).build()
    assert float(bias_time_constants(coupled).median()) == pytest.approx(50, abs=8)


def test_without_biases_a_gate_stands_at_one_half() -> None:
    class Bare(SequenceModel):
        def __init__(self) -> None:
            super().__init__()
            self.layer = longhold.GRU(3, 4, num_layers=2, bias=False)

        def initial_state(self, batch: int) -> torch.Tensor:
            return self.layer.initial_state(batch)

        def forward(self, inputs, state=None, reset=None):  # type: ignore[no-untyped-def]
            return self.layer(inputs, state, reset=reset)

    assert bias_time_constants(Bare()).flatten().tolist() == pytest.approx([1 / math.log(2)] * 8)


@pytest.mark.parametrize(("cell", "gate"), [("lstm", "f"), ("gru", "z")])
def test_those_of_a_text_are_read_off_the_gates(cell: str, gate: str) -> None:
    model = model_of(cell, num_layers=2)
    start = model_of(cell, num_layers=2)
    ids = torch.randint(5, (9, 3))
    found = time_constants(model, ids, start=start)
    values = -1 / gates(model, ids).gates[gate].double().log()
    assert found.along_path.shape == found.by_bias.shape == (2, 4)
    torch.testing.assert_close(found.by_input[2], values.flatten(1, 2).quantile(0.5, dim=1), rtol=1e-5, atol=0)
    torch.testing.assert_close(found.along_path, 1 / (1 / values).mean((1, 2)), rtol=1e-5, atol=0)
    assert found.at_start is not None
    torch.testing.assert_close(found.at_start, bias_time_constants(start))
    assert not torch.equal(found.at_start, found.by_bias)


def test_an_exponential_gradient_lets_them_be_read_as_memory() -> None:
    model = still(model_of("lstm"), "f", [20.0] * 4)
    with torch.no_grad():
        model.layer.weight_ih_l0[8:12] = torch.randn(4, 5)  # g: the cell state is driven
    ids = torch.randint(5, (60, 2))
    unmeasured = time_constants(model, ids)
    assert unmeasured.valid is None
    assert "not compared" in unmeasured.caution
    gradient = gradient_by_lag(model, ids[:-1], ids[1:], max_lag=40, dtype=torch.float64)
    found = time_constants(model, ids, gradient=gradient)
    assert found.valid is True
    assert found.measured is not None
    assert found.measured.tau == pytest.approx(20, rel=0.05)
    assert "as time constants suppose" in str(found)


def test_a_gradient_that_does_not_vanish_forbids_it() -> None:
    model = still(model_of("gru"), "z", [2.0] * 4)
    with torch.no_grad():
        model.layer.weight_hh_l0[8:12] = 8 * torch.eye(4)  # n = tanh(r * 8 h), r = 1/2: h grows from 0
    ids = torch.zeros(20, 1, dtype=torch.long)
    gradient = gradient_by_lag(model, ids, ids, max_lag=10, dtype=torch.float64)
    found = time_constants(model, ids, gradient=gradient)
    assert found.valid is False
    assert "not to be read as memory" in found.caution
    assert "grows" in str(found)


def test_an_rnn_has_none() -> None:
    with pytest.raises(InputError, match="RNN has no gate"):
        bias_time_constants(model_of("rnn"))
    with pytest.raises(InputError, match="RNN has no gate"):
        time_constants(model_of("rnn"), torch.randint(5, (3, 1)))
