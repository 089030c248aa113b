"""A reading against one pass of the model over the whole sequence, and its cuts against none."""

import math

import pytest
import torch

from longhold.errors import InputError
from longhold.inspection import gates, reading
from longhold.models import LanguageModelConfig, SequenceModel
from tests.inspection.calibration import DelayLine

BEGIN = 2


def model_of(cell: str, **options: object) -> SequenceModel:
    return LanguageModelConfig(cell=cell, vocab_size=7, hidden_size=5, num_layers=2, **options).build().double()


@pytest.mark.parametrize("length", [1, 2, 255, 256, 257, 515])
def test_chunks_of_any_length_give_what_one_pass_gives(length: int) -> None:
    model, ids = model_of("lstm"), torch.randint(7, (length,))
    found = reading.read(model, ids, begin=BEGIN, likeliest=3)
    inputs = torch.cat([torch.tensor([BEGIN]), ids])[:, None]
    with torch.no_grad():
        logs = model(inputs)[0][:, 0].log_softmax(-1)
    expected = torch.stack([-logs[place, token] / math.log(2) for place, token in enumerate(ids)])
    torch.testing.assert_close(found.bits, expected)
    torch.testing.assert_close(found.probabilities, logs.exp().sort(descending=True).values[:, :3])
    assert found.likeliest.shape == (length + 1, 3)
    whole = gates(model, inputs)
    torch.testing.assert_close(found.h, whole.h[:, 1:, 0])
    torch.testing.assert_close(found.c, whole.c[:, 1:, 0])
    for letter in "ifgo":
        torch.testing.assert_close(found.gates[letter], whole.gates[letter][:, 1:, 0])


def test_a_rank_counts_the_tokens_that_were_more_probable() -> None:
    model, ids = model_of("gru"), torch.randint(7, (40,))
    found = reading.read(model, ids, begin=BEGIN, likeliest=7)
    for place, token in enumerate(ids.tolist()):
        assert found.likeliest[place].tolist().index(token) + 1 == found.rank[place]


def test_an_rnn_has_no_gates_and_no_more_odds_than_tokens() -> None:
    found = reading.read(model_of("rnn"), torch.tensor([1, 2, 3]), begin=BEGIN, likeliest=99)
    assert found.c is None
    assert found.gates == {}
    assert found.likeliest.shape == (4, 7)
    torch.testing.assert_close(found.probabilities.sum(1), torch.ones(4, dtype=torch.float64))


def test_dropout_does_not_act_and_the_mode_is_given_back() -> None:
    model, ids = model_of("lstm", dropout=0.5), torch.randint(7, (20,))
    model.train()
    twice = [reading.read(model, ids, begin=BEGIN).bits for _ in range(2)]
    assert torch.equal(*twice)
    assert model.training


def test_whoever_is_told_of_the_steps_can_stop_them() -> None:
    told: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        told.append((done, total))
        if done > 300:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reading.read(model_of("rnn"), torch.randint(7, (2000,)), begin=BEGIN, on_step=stop)
    assert told == [(256, 2001), (512, 2001)]


@pytest.mark.parametrize(("ids", "likeliest"), [(torch.tensor([]).long(), 3), (torch.tensor([1]), 0)])
def test_nothing_to_read_or_to_keep_is_refused(ids: torch.Tensor, likeliest: int) -> None:
    with pytest.raises(InputError, match="at least one token"):
        reading.read(model_of("rnn"), ids, begin=BEGIN, likeliest=likeliest)


def test_a_model_without_a_recurrent_layer_is_refused() -> None:
    with pytest.raises(InputError, match="DelayLine holds 0 layers"):
        reading.read(DelayLine(3, 7), torch.tensor([1]), begin=BEGIN)
