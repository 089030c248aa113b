"""The linear probe against a brute-force leave-one-out, separable classes and noise."""

import numpy as np
import pytest

from longhold.inspection.probe import _left_out_error, features, probe


def test_the_closed_form_of_leaving_one_out_is_leaving_one_out() -> None:
    generator = np.random.default_rng(0)
    vectors, labels = generator.normal(size=(25, 4)), generator.integers(3, size=25)
    found = features(vectors, vectors)
    scaled = (vectors - vectors.mean(0)) / vectors.std(0)
    wanted = np.eye(3)[labels]
    centred = wanted - wanted.mean(0)
    penalty = 2.5
    errors = []
    for out in range(25):
        kept = np.arange(25) != out
        # the intercept is fitted too and not penalised: a column of ones whose penalty is 0
        design = np.column_stack([np.ones(24), scaled[kept]])
        weights = np.linalg.solve(design.T @ design + np.diag([0.0] + [penalty] * 4), design.T @ centred[kept])
        errors.append((np.append(1.0, scaled[out]) @ weights - centred[out]) ** 2)
    closed = _left_out_error(found, centred, found.left.T @ centred, penalty)
    assert closed == pytest.approx(float(np.mean(errors)), rel=1e-9)


def test_separable_classes_are_read_perfectly_and_noise_by_chance() -> None:
    generator = np.random.default_rng(1)
    labels = generator.integers(4, size=600)
    vectors = np.column_stack([np.eye(4)[labels] + 0.1 * generator.normal(size=(600, 4)), np.full(600, 7.0)])
    found = features(vectors[:400], vectors[400:])
    assert (probe(found, labels[:400], 4) == labels[400:]).all()
    shuffled = generator.permutation(labels[:400])
    assert np.mean(probe(found, shuffled, 4) == labels[400:]) < 0.4


def test_a_state_that_never_changes_tells_the_commonest_class() -> None:
    found = features(np.ones((30, 3)), np.ones((5, 3)))
    assert probe(found, np.array([1] * 20 + [0] * 10), 2).tolist() == [1] * 5


def test_more_numbers_than_samples_are_no_trouble() -> None:
    generator = np.random.default_rng(2)
    labels = generator.integers(2, size=60)
    vectors = generator.normal(size=(60, 200)) + 1.5 * labels[:, None]
    assert (probe(features(vectors[:40], vectors[40:]), labels[:40], 2) == labels[40:]).all()
