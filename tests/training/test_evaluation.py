"""Held-out loss against the same sum taken token by token."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longhold.data.batching import ContiguousBatches, RandomBatches
from longhold.errors import InputError
from longhold.models.language_model import LanguageModel
from longhold.models.ngram import KneserNey
from longhold.training import evaluate
from tests.training.program import VOCABULARY, model, tokens


def nats_one_by_one(trained: LanguageModel, ids: np.ndarray) -> list[float]:
    """`-ln p` of each token but the first, one step at a time in float64, from the initial state."""
    exact = trained.double().eval()
    state, nats = exact.initial_state(1), []
    with torch.no_grad():
        for token, following in itertools.pairwise(ids):
            logits, state = exact(torch.tensor([[token]]), state)
            nats.append(-torch.log_softmax(logits[0, 0], dim=0)[int(following)].item())
    return nats


@pytest.mark.parametrize("chunk", [1, 7, 256])
def test_the_state_is_carried_over_the_whole_stream(chunk: int) -> None:
    ids = tokens(60)
    expected = nats_one_by_one(model(), ids)
    assert evaluate(model(), ids, chunk=chunk) == pytest.approx(sum(expected) / 59, rel=1e-5)
    for form in (torch.from_numpy(ids), ids.astype(np.uint16), ids.tolist()):
        assert evaluate(model(), form, chunk=chunk) == pytest.approx(sum(expected) / 59, rel=1e-5)


@settings(max_examples=25)
@given(st.integers(2, 40), st.integers(1, 45), st.integers(1, 9))
def test_columns_are_pieces_that_begin_anew(count: int, columns: int, chunk: int) -> None:
    ids = tokens(count)
    found = evaluate(model(num_layers=1), ids, columns=columns, chunk=chunk)
    used = min(columns, count - 1)
    length = (count - 1) // used
    cuts = [column * length for column in range(used)] + [count - 1]
    pieces = [nats_one_by_one(model(num_layers=1), ids[a : b + 1]) for a, b in itertools.pairwise(cuts)]
    every = [nats for piece in pieces for nats in piece]
    assert len(every) == count - 1  # each token but the first once
    assert found == pytest.approx(sum(every) / len(every), rel=1e-5)


def test_batches_carry_where_they_are_not_fresh() -> None:
    ids = tokens(100)
    streams = ContiguousBatches(ids, batch_size=3, steps=8)
    row = 99 // 3
    used = streams.per_epoch * 8
    every = [n for c in range(3) for n in nats_one_by_one(model(), ids[c * row : c * row + used + 1])]
    assert evaluate(model(), streams) == pytest.approx(sum(every) / len(every), rel=1e-5)

    random = RandomBatches(ids, batch_size=2, steps=5, seed=4)
    every = []
    for step in range(random.per_epoch):
        batch = random.at(step)
        for column in range(2):
            piece = torch.cat([batch.inputs[:1, column], batch.targets[:, column]]).numpy()
            every += nats_one_by_one(model(), piece)
    assert evaluate(model(), random) == pytest.approx(sum(every) / len(every), rel=1e-5)


def test_a_model_without_parameters() -> None:
    counter = KneserNey(order=3, vocab_size=VOCABULARY).fit(tokens(500))
    ids = tokens(80)
    assert evaluate(counter, ids) == pytest.approx(float(counter.nats(ids)[1:].mean()), rel=1e-6)


def test_nothing_is_left_changed() -> None:
    trained = model()
    trained.train()
    trained.output.eval()
    generator = torch.get_rng_state()
    first = evaluate(trained, tokens(50))
    assert evaluate(trained, tokens(50)) == first  # no dropout
    assert trained.training
    assert not trained.output.training
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(parameter.grad is None for parameter in trained.parameters())


def test_an_untrained_uniform_model_needs_ln_v() -> None:
    flat = model()
    torch.nn.init.zeros_(flat.output.weight)
    torch.nn.init.zeros_(flat.output.bias)
    assert evaluate(flat, tokens(30)) == pytest.approx(math.log(VOCABULARY))


@pytest.mark.parametrize("count", [0, 1])
def test_too_little_to_predict(count: int) -> None:
    with pytest.raises(InputError, match=f"{count} token.*at least two"):
        evaluate(model(), tokens(count))


def test_sizes_below_one_are_refused() -> None:
    with pytest.raises(InputError, match="columns=0"):
        evaluate(model(), tokens(9), columns=0)
    with pytest.raises(InputError, match="chunk=0"):
        evaluate(model(), tokens(9), chunk=0)


@pytest.mark.parametrize("wrong", [np.zeros(9), torch.ones(9) / 2, [1.5, 2.0], np.zeros((3, 3), int), "text"], ids=str)
def test_held_out_data_that_is_no_ids_is_refused(wrong: Any) -> None:
    with pytest.raises(InputError, match=r"^held-out data of shape .*: expected token ids \(N,\)$"):
        evaluate(model(), wrong)
