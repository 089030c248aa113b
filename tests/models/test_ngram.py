import copy
import math
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longhold.errors import InputError
from longhold.models.ngram import KneserNey


class SlowKneserNey:
    """Chen and Goodman's formulas over dictionaries, one probability at a time."""

    def __init__(self, tokens, order, vocab_size):
        self.order, self.vocab_size = order, vocab_size
        raw = {k: Counter(tuple(tokens[i : i + k]) for i in range(len(tokens) - k + 1)) for k in range(1, order + 1)}
        self.counts = {order: raw[order]}
        for k in range(1, order):
            left = defaultdict(set)
            for i in range(len(tokens) - k + 1):
                left[tuple(tokens[i : i + k])].add(tokens[i - 1] if i else "beginning")
            self.counts[k] = {gram: len(found) for gram, found in left.items()}
        self.discounts = {k: self.estimate(counts.values()) for k, counts in self.counts.items()}

    @staticmethod
    def estimate(values):
        n = Counter(values)
        if not (n[1] and n[2] and n[3]):
            return {1: 0.5, 2: 1.0, 3: 1.5}
        y = n[1] / (n[1] + 2 * n[2])
        d = {k: k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3)}
        return d if all(0 < d[k] <= k for k in d) else {1: 0.5, 2: 1.0, 3: 1.5}

    def probability(self, history, token):
        history = tuple(history)[-(self.order - 1) :] if self.order > 1 else ()
        return self.recurse(history, token)

    def recurse(self, history, token):
        shorter = self.recurse(history[1:], token) if history else 1 / self.vocab_size
        k = len(history) + 1
        following = {g[-1]: c for g, c in self.counts[k].items() if g[:-1] == history}
        total = sum(following.values())
        if not total:
            return shorter
        d = self.discounts[k]
        gamma = sum(d[min(c, 3)] for c in following.values()) / total
        count = following.get(token, 0)
        return (count - d[min(count, 3)] if count else 0) / total + gamma * shorter


def slow_nats(slow, tokens):
    return [-math.log(slow.probability(tokens[:i], tokens[i])) for i in range(len(tokens))]


def zipf_text(length, vocab_size, seed):
    """A Markov text with rare and frequent symbols, so that every count of counts occurs."""
    generator = np.random.default_rng(seed)
    table = generator.dirichlet(np.full(vocab_size, 0.15), size=vocab_size)
    tokens = [0]
    while len(tokens) < length:
        tokens.append(int(generator.choice(vocab_size, p=table[tokens[-1]])))
    return tokens


@pytest.mark.parametrize("order", range(1, 7))
@pytest.mark.parametrize(("length", "vocab_size"), [(1, 3), (4, 5), (60, 2), (700, 23)])
def test_agrees_with_the_formulas_of_the_paper(order, length, vocab_size):
    tokens = zipf_text(length, vocab_size, seed=order)
    held_out = zipf_text(41, vocab_size, seed=99)
    slow = SlowKneserNey(tokens, order, vocab_size)
    nats = KneserNey(order, vocab_size).fit(tokens).nats(held_out)
    np.testing.assert_allclose(nats, slow_nats(slow, held_out), rtol=1e-12)


def test_the_estimated_discounts_are_what_is_compared():
    slow = SlowKneserNey(zipf_text(700, 23, seed=3), 3, 23)
    estimated = [d for d in slow.discounts.values() if d[1] != 0.5]
    assert len(estimated) >= 2


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.lists(st.integers(0, 3), max_size=9), st.integers(1, 6))
def test_agrees_on_any_text(tokens, held_out, order):
    slow = SlowKneserNey(tokens, order, 4)
    np.testing.assert_allclose(KneserNey(order, 4).fit(tokens).nats(held_out), slow_nats(slow, held_out), rtol=1e-12)


@pytest.mark.parametrize("order", range(1, 7))
def test_sums_to_one_after_seen_and_unseen_contexts(order):
    tokens = zipf_text(500, 11, seed=0)
    model = KneserNey(order, 12).fit(tokens)  # token 11 never occurs
    contexts = [[], [11], [11, 11, 11, 11, 11, 11], tokens[:7], tokens[-7:], [tokens[0], 11, tokens[1]]]
    for context in contexts:
        total = sum(math.exp(-model.nats([*context, token])[-1]) for token in range(12))
        assert total == pytest.approx(1, abs=1e-12)


def test_the_unseen_symbol_is_possible_and_rare():
    model = KneserNey(4, 12).fit(zipf_text(500, 11, seed=0))
    last = model.nats([0, 1, 11])[-1]
    assert math.log(12) < last < 20


@pytest.fixture
def fitted():
    return KneserNey(4, 7).fit(zipf_text(400, 7, seed=5))


def random_ids(*shape, seed=0):
    return torch.randint(7, shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("order", [1, 2, 5])
def test_outputs_are_the_log_probabilities_of_every_next_token(order):
    model = KneserNey(order, 7).fit(zipf_text(400, 7, seed=5))
    inputs = random_ids(9, 3)
    outputs, _ = model(inputs)
    assert outputs.shape == (9, 3, 7)
    assert outputs.dtype == torch.float32
    for t, b, token in [(0, 0, 1), (3, 2, 6), (8, 1, 0)]:
        expected = -model.nats([*inputs[: t + 1, b].tolist(), token])[-1]
        assert outputs[t, b, token].item() == pytest.approx(expected, abs=1e-5)
    torch.testing.assert_close(outputs.exp().sum(-1), torch.ones(9, 3))


def test_chunks_with_carried_state_equal_the_whole(fitted):
    inputs = random_ids(11, 2)
    whole, last = fitted(inputs)
    state, pieces = fitted.initial_state(2), []
    for chunk in inputs.split([1, 2, 5, 3]):
        outputs, state = fitted(chunk, state)
        pieces.append(outputs)
    torch.testing.assert_close(torch.cat(pieces), whole, rtol=0, atol=0)
    assert torch.equal(state, last)
    assert torch.equal(state[0], inputs[-3:].T)


def test_reset_hides_everything_before_it(fitted):
    inputs = random_ids(10, 2)
    reset = torch.zeros(10, 2, dtype=torch.bool)
    reset[[0, 4, 5, 9], 0] = True
    begun = random_ids(1, 2, 3, seed=1)
    outputs, state = fitted(inputs, begun, reset)
    for start, stop in [(0, 4), (4, 5), (5, 9), (9, 10)]:
        alone, _ = fitted(inputs[start:stop, :1])
        torch.testing.assert_close(outputs[start:stop, :1], alone, rtol=0, atol=0)
    untouched, _ = fitted(inputs[:, 1:], begun[:, 1:])
    torch.testing.assert_close(outputs[:, 1:], untouched, rtol=0, atol=0)
    assert state[0, 0].tolist() == [-1, -1, inputs[9, 0].item()]


def test_loss_is_the_mean_over_the_targets_asked(fitted):
    inputs, targets = random_ids(6, 3), random_ids(6, 3, seed=2)
    targets[0, 0] = -100
    outputs, after = fitted(inputs)
    expected = torch.nn.functional.cross_entropy(outputs.flatten(0, 1), targets.flatten())
    nats, state = fitted.loss(inputs, targets)
    torch.testing.assert_close(nats, expected)
    assert torch.equal(state, after)


def test_select_and_bytes_follow_the_contract(fitted):
    _, state = fitted(random_ids(5, 3))
    assert torch.equal(fitted.select(state, torch.tensor([2, 0, 0])), state[:, [2, 0, 0]])
    assert fitted.state_bytes(batch=2) == 2 * 3 * 8


def test_a_copy_answers_alike(fitted):
    assert np.array_equal(copy.deepcopy(fitted).nats([1, 2, 3]), fitted.nats([1, 2, 3]))


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: KneserNey(0, 5), "order=0"),
        (lambda: KneserNey(2, 0), "vocab_size=0"),
        (lambda: KneserNey(2, 5).fit([]), "0 tokens"),
        (lambda: KneserNey(2, 5).fit([0, 5]), "expected 0 to 4"),
        (lambda: KneserNey(2, 5).fit([[0, 1]]), "shape"),
        (lambda: KneserNey(2, 5).nats([1]), "not been fitted"),
        (lambda: KneserNey(2, 5).fit([0, 1])(torch.zeros(2, 3, dtype=torch.long), torch.zeros(1, 1, 1)), "state"),
    ],
)
def test_bad_input_is_one_line(attempt, message):
    with pytest.raises(InputError, match=message) as caught:
        attempt()
    assert "\n" not in str(caught.value)
