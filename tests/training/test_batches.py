"""The batches of a text by a configuration."""

from __future__ import annotations

import torch

from longhold.data.batching import ContiguousBatches, RandomBatches
from longhold.training import Batches, text_batches
from tests.training.program import config, tokens


def test_text_batches_take_their_shape_and_seed_from_the_configuration() -> None:
    batches = text_batches(tokens(), config(seed=9))
    expected = ContiguousBatches(tokens(), 6, 9, 9, random_offset=True)
    for step in (0, 1, batches.per_epoch, 3 * batches.per_epoch + 2):
        assert batches.at(step).inputs.shape == (9, 6)
        assert torch.equal(batches.at(step).inputs, expected.at(step).inputs)


def test_what_data_makes_is_what_training_asks_for() -> None:
    assert isinstance(text_batches(tokens(), config()), Batches)
    assert isinstance(RandomBatches(tokens(), 2, 3), Batches)
    assert not isinstance(tokens(), Batches)
    assert not isinstance(torch.arange(3), Batches)
