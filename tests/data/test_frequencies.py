import numpy as np
import pytest

from longhold.data.frequencies import log_frequencies


def test_each_token_counts_once_more_than_it_stands_there() -> None:
    found = log_frequencies(np.array([2, 0, 2, 2]), 4)
    assert np.exp(found).tolist() == pytest.approx([2 / 8, 1 / 8, 4 / 8, 1 / 8])
