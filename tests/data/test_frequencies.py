import numpy as np
import pytest

from longhold.data import frequencies
from longhold.data.frequencies import log_frequencies, token_counts


def test_each_token_counts_once_more_than_it_stands_there() -> None:
    found = log_frequencies(np.array([2, 0, 2, 2]), 4)
    assert np.exp(found).tolist() == pytest.approx([2 / 8, 1 / 8, 4 / 8, 1 / 8])


def test_long_texts_are_counted_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frequencies, "_BLOCK", 7)
    tokens = np.random.default_rng(0).integers(0, 5, 100).astype(np.uint16)
    assert token_counts(tokens, 6).tolist() == [int((tokens == token).sum()) for token in range(6)]
