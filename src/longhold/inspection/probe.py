"""A linear probe: which of K classes a vector of numbers holds, by ridge regression on one-hot labels."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import svd

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]

_PENALTIES = 10.0 ** np.arange(-6, 4)  # as fractions of the mean squared singular value


@final
@dataclass(frozen=True, eq=False)
class Features:
    """Training and test vectors in the form that any number of probes can be fitted to."""

    left: _Floats
    """`(N, r)`, left singular vectors of the standardised training vectors"""
    singular: _Floats
    """`(r,)`"""
    test: _Floats
    """`(M, r)`, the test vectors in the basis of the right singular vectors"""


def features(train: _Floats, test: _Floats) -> Features:
    """Standardise by the training vectors `(N, D)` (features that never change are dropped) and take their SVD."""
    mean, spread = train.mean(0), train.std(0)
    kept = spread > 1e-12 * max(1.0, float(spread.max()))
    scaled = (train[:, kept] - mean[kept]) / spread[kept]
    left, singular, right = svd(scaled, full_matrices=False)
    sound = singular > 1e-10 * singular.max(initial=0.0)
    right = right[sound]
    return Features(left[:, sound], singular[sound], (test[:, kept] - mean[kept]) / spread[kept] @ right.T)


def probe(vectors: Features, labels: _Ints, classes: int) -> _Ints:
    r"""The class of each test vector, `(M,)`, by a linear read-out trained on `labels` `(N,)`.

    Ridge regression on one-hot labels, the largest output wins. The penalty is the one of ten, a factor 10 apart, with
    the least squared error in leave-one-out validation, which has a closed form: \(e_i / (1 - h_{ii})\).
    """
    wanted = np.eye(classes)[labels]  # (N, K)
    mean = wanted.mean(0)
    projected = vectors.left.T @ (wanted - mean)
    penalties = _PENALTIES * float(np.mean(vectors.singular**2)) if vectors.singular.size else _PENALTIES
    errors = [_left_out_error(vectors, wanted - mean, projected, penalty) for penalty in penalties]
    best = penalties[int(np.argmin(errors))]
    weights = (vectors.singular / (vectors.singular**2 + best))[:, None] * projected
    answers: _Ints = (vectors.test @ weights + mean).argmax(1)
    return answers


def _left_out_error(vectors: Features, wanted: _Floats, projected: _Floats, penalty: float) -> float:
    shrink = vectors.singular**2 / (vectors.singular**2 + penalty)
    leverage = (vectors.left**2) @ shrink + 1 / len(wanted)
    residual = wanted - vectors.left @ (shrink[:, None] * projected)
    return float(np.mean((residual / np.maximum(1 - leverage, 1e-12)[:, None]) ** 2))
