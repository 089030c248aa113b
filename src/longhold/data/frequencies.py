"""How often each token stands in a text: the guess that looks at no context."""

import numpy as np
from numpy.typing import NDArray


def log_frequencies(tokens: NDArray[np.int64], vocab_size: int) -> NDArray[np.float64]:
    """ln p of each id `(V,)` by how often it stands in `tokens` `(N,)`, each counted once more than that.

    Example:
        >>> np.exp(log_frequencies(np.array([0, 0, 1]), 3)).round(2).tolist()
        [0.5, 0.33, 0.17]
    """
    counts = np.bincount(tokens, minlength=vocab_size) + 1.0
    return np.asarray(np.log(counts / counts.sum()))
