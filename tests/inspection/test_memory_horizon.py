"""Recall by lag and readable horizons on models with known memory; what cannot be tested is said."""

import pytest
import torch

from longhold.errors import InputError
from longhold.inspection import readable_horizon, recall_by_lag
from longhold.models import ClassifierConfig, KneserNey
from tests.inspection.calibration import DelayLine, LinearRecurrence, UnreliableLatch, chance_model
from tests.inspection.questions import Asked, one_symbol


def test_several_answers_of_a_sequence_are_averaged_and_batches_added_up() -> None:
    model = DelayLine(1, 2)

    def at(lag: int) -> list[Asked]:
        inputs = torch.tensor([[0, 1], [2, 2], [2, 2]])
        targets = torch.tensor([[0, 1], [0, 1], [1, 1]])  # after two steps the line is empty, and 0 is answered
        mask = torch.tensor([[True, False], [True, False], [True, True]])
        return [Asked(inputs, targets, mask)] * 3

    found = recall_by_lag(model, at, [1], chance=0.5)
    assert found.accuracy == (pytest.approx((2 / 3 + 0) / 2),)
    assert found.recall == (pytest.approx((1 / 3 - 0.5) / 0.5),)
    assert (found.sequences, found.horizon.value) == (6, 0)


def test_a_trained_model_is_tested_in_evaluation_mode_and_left_in_training() -> None:
    model = ClassifierConfig(cell="gru", vocab_size=108, num_classes=4, hidden_size=8, dropout=0.9).build()
    ask = one_symbol(4, 50, noise=100)
    assert recall_by_lag(model, ask, [1, 2], chance=0.25) == recall_by_lag(model, ask, [1, 2], chance=0.25)
    assert model.training


def test_a_probe_reads_what_a_latch_of_real_numbers_holds() -> None:
    keep = LinearRecurrence(torch.eye(1) * 2.0)  # the binary digits of all inputs are in one number
    bits = torch.randint(2, (8, 900))
    found = readable_horizon(keep, bits[..., None].float(), [1, 2, 3, 4, 5, 6, 7], symbols=bits)
    assert found.read.horizon.value == 0  # its last input is the lowest digit: no line reads it, nor the others
    assert found.read.recall[6] > 0.95  # but the first one is the sign of the number
    assert found.read.horizon.nonmonotone
    assert found.train_sequences == 600
    assert found.state_size == 1


def test_shuffled_labels_are_chance() -> None:
    found = readable_horizon(DelayLine(6, 4), torch.randint(4, (9, 900)), list(range(1, 9)))
    assert found.read.horizon.value == 5
    assert max(map(abs, found.control.recall)) < 0.15
    assert found.control.horizon.high == 0
    assert "shuffled labels: 0" in str(found)


def test_chance_is_the_commonest_symbol() -> None:
    symbols = (torch.rand(6, 900) < 0.8).long()
    found = readable_horizon(DelayLine(2, 2), symbols, [1, 3, 5])
    assert found.read.chance == pytest.approx(0.8, abs=0.02)
    assert found.read.horizon.value == 1
    assert max(map(abs, found.read.recall[1:])) < 0.2


def test_the_same_seed_gives_the_same_split() -> None:
    symbols = torch.randint(3, (6, 300))
    arguments = (DelayLine(3, 3), symbols, [1, 2, 3, 4])
    assert readable_horizon(*arguments) == readable_horizon(*arguments, rows_at_once=7)
    assert readable_horizon(*arguments).read != readable_horizon(*arguments, seed=1).read


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_an_untrained_cell_can_be_read_over_one_step(cell: str) -> None:
    model = ClassifierConfig(cell=cell, vocab_size=4, num_classes=4, hidden_size=24).build()
    found = readable_horizon(model, torch.randint(4, (12, 900)), [1, 11])
    assert found.read.recall[0] > 0.9
    assert found.state_size == (48 if cell == "lstm" else 24)


def test_what_cannot_be_tested_is_said_in_one_line() -> None:
    model, ids = DelayLine(2, 3), torch.randint(3, (5, 30))
    for call, message in [
        (lambda: recall_by_lag(model, lambda lag: [], [1], chance=0.5), "lag 1: no test sequence"),
        (lambda: recall_by_lag(model, one_symbol(3, 5), [], chance=0.5), "lags []"),
        (lambda: recall_by_lag(model, one_symbol(3, 5), [2, 1], chance=0.5), "lags [2, 1]"),
        (lambda: recall_by_lag(model, one_symbol(3, 5), [1], chance=1.0), "chance=1.0"),
        (lambda: recall_by_lag(model, lambda lag: one_symbol(3, lag)(lag), [3, 4], chance=0.5), "from 3 to 4"),
        (lambda: recall_by_lag(model, lambda lag: [Asked(ids, ids, ids < 0)], [1], chance=0.5), "has no target"),
        (lambda: readable_horizon(model, ids, [5]), "lag 5"),
        (lambda: readable_horizon(model, ids, []), "lags []"),
        (lambda: readable_horizon(model, ids, [1], test_share=1.0), "test_share=1.0"),
        (lambda: readable_horizon(model, ids[:, :2], [1]), "2 sequences"),
        (lambda: readable_horizon(model, ids - 1, [1]), "symbols"),
        (lambda: readable_horizon(model, torch.zeros(5, 30, 3), [1]), "symbols (5, 30, 3)"),
        (lambda: readable_horizon(chance_model(3), ids, [1]), "UnreliableLatch holds no real numbers"),
        (lambda: readable_horizon(KneserNey(2, 3).fit([0, 1, 2]), ids, [1]), "KneserNey holds no real numbers"),
    ]:
        with pytest.raises(InputError) as caught:
            call()
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_profile_is_told_in_a_line() -> None:
    found = recall_by_lag(UnreliableLatch(4, 1.0), one_symbol(4, 50), [1, 8], chance=0.25)
    assert str(found) == "answers over >= 8 steps (8 to >= 8) (50 sequences per lag, chance 0.25)"
