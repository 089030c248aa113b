"""How often each token stands in a text: the guess that looks at no context."""

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 20  # tokens that are widened at once


def log_frequencies(tokens: NDArray[np.integer], vocab_size: int) -> NDArray[np.float64]:
    """ln p of each id `(V,)` by how often it stands in `tokens` `(N,)`, each counted once more than that.

    Example:
        >>> np.exp(log_frequencies(np.array([0, 0, 1]), 3)).round(2).tolist()
        [0.5, 0.33, 0.17]
    """
    counts = token_counts(tokens, vocab_size) + 1.0
    return np.asarray(np.log(counts / counts.sum()))


def token_counts(tokens: NDArray[np.integer], vocab_size: int) -> NDArray[np.int64]:
    """How often each id `(V,)` stands in `tokens` `(N,)`."""
    counts = np.zeros(vocab_size, dtype=np.int64)
    for start in range(0, len(tokens), _BLOCK):
        counts += np.bincount(tokens[start : start + _BLOCK], minlength=vocab_size)
    return counts
