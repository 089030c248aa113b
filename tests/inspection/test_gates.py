"""Gates as the cells' own step functions give them, and how often they are shut or open."""

import pytest
import torch

from longhold.cells import GRUState, LSTMState
from longhold.cells.gru import GRUWeights, gru_step
from longhold.cells.lstm import LSTMWeights, lstm_step
from longhold.errors import InputError
from longhold.inspection import gates
from longhold.models import ClassifierConfig, LanguageModelConfig
from tests.inspection.calibration import DelayLine


def test_an_lstms_gates_are_those_of_its_steps() -> None:
    model = LanguageModelConfig(cell="lstm", vocab_size=5, hidden_size=3, embedding_size=2).build(dtype=torch.float64)
    ids = torch.randint(5, (4, 2))
    record = gates(model, ids)
    layer, state = model.layer, LSTMState(torch.zeros(2, 3).double(), torch.zeros(2, 3).double())
    for step in range(4):
        gates_x = model.embedding(ids[step]) @ layer.weight_ih_l0.T + layer.bias_ih_l0
        state, expected = lstm_step(gates_x, state, LSTMWeights(layer.weight_hh_l0, layer.bias_hh_l0))
        torch.testing.assert_close(record.c[0, step], state.c)
        torch.testing.assert_close(record.h[0, step], state.h)
        for letter in "ifgo":
            torch.testing.assert_close(record.gates[letter][0, step], getattr(expected, letter))


def test_a_grus_gates_begin_from_the_given_state_and_at_resets() -> None:
    model = ClassifierConfig(cell="gru", vocab_size=5, hidden_size=3, num_classes=2).build(dtype=torch.float64)
    ids, reset = torch.randint(5, (3, 2)), torch.tensor([[False, False], [False, True], [False, False]])
    start = torch.randn(1, 2, 3, dtype=torch.float64)
    record = gates(model, ids, start, reset)
    layer, h = model.layer, start[0]
    for step in range(3):
        h = torch.where(reset[step, :, None], 0.0, h)
        gates_x = layer.weight_ih_l0.T[ids[step]] + layer.bias_ih_l0
        state, expected = gru_step(gates_x, GRUState(h), GRUWeights(layer.weight_hh_l0, layer.bias_hh_l0))
        h = state.h
        torch.testing.assert_close(record.gates["z"][0, step], expected.z)
        torch.testing.assert_close(record.gates["r"][0, step], expected.r)
    assert record.c is None


def test_an_rnn_has_states_and_no_gates() -> None:
    model = LanguageModelConfig(cell="rnn", vocab_size=5, hidden_size=3, num_layers=2).build()
    record = gates(model, torch.randint(5, (4, 2)))
    assert record.h.shape == (2, 4, 2, 3)
    assert record.gates == {}
    assert "no gates" in str(record)


def test_saturation_is_a_share_of_steps() -> None:
    model = LanguageModelConfig(cell="lstm", vocab_size=5, hidden_size=2).build()
    with torch.no_grad():
        for parameter in model.layer.parameters():
            parameter.zero_()
        model.layer.bias_ih_l0.copy_(torch.tensor([-9.0, 0.0, 9.0, 9.0, 9.0, 0.0, 0.0, -9.0]))  # i i f f g g o o
    i, f, g, o = gates(model, torch.randint(5, (4, 2))).saturation()
    assert [gate.gate for gate in (i, f, g, o)] == ["i", "f", "g", "o"]
    assert (i.low, i.high) == (0.5, 0.0)
    assert (f.low, f.high) == (0.0, 1.0)
    assert (g.low, g.high, g.high_by_unit) == (0.0, 0.5, ((1.0, 0.0),))
    assert o.low_by_unit == ((0.0, 1.0),)
    assert str(f) == "gate f: mean 1.000, 0.0% shut, 100.0% open"


def test_dropout_is_off_and_the_model_is_left_in_training() -> None:
    model = LanguageModelConfig(cell="gru", vocab_size=5, hidden_size=8, num_layers=2, dropout=0.9).build()
    ids = torch.randint(5, (4, 2))
    first, second = gates(model, ids), gates(model, ids)
    assert torch.equal(first.h, second.h)
    assert model.training
    assert not first.h.requires_grad


def test_a_model_without_a_layer_is_refused() -> None:
    with pytest.raises(InputError, match="DelayLine holds 0 layers"):
        gates(DelayLine(2, 2), torch.zeros(2, 2, dtype=torch.long))


def test_a_model_that_calls_its_layer_twice_is_refused() -> None:
    model = LanguageModelConfig(cell="rnn", vocab_size=5, hidden_size=3).build()

    def again(*_: object) -> None:
        model.layer(torch.zeros(1, 1, dtype=torch.long))

    model.output.register_forward_pre_hook(again)
    with pytest.raises(InputError, match="2 times"):
        gates(model, torch.zeros(2, 2, dtype=torch.long))
