from __future__ import annotations

import numpy as np
import pytest

from faceflow.metrics.subject_share import share_of_sums, subject_share


def probabilities(logits: object) -> np.ndarray:
    return 1 / (1 + np.exp(-np.asarray(logits, np.float64)))


def test_share_by_hand() -> None:
    # subject a: 0 and 2, b: 4 and 6; mean 3, between 2 * (4 + 4) = 16 of 9 + 1 + 1 + 9 = 20
    logits = np.array([[0.0, 1], [2, 1], [4, 3], [6, 3]])
    assert subject_share(probabilities(logits), ["a", "a", "b", "b"]).tolist() == pytest.approx([0.8, 1.0])


def test_it_is_the_correlation_ratio_of_an_analysis_of_variance() -> None:
    rng = np.random.default_rng(0)
    subjects = rng.integers(0, 5, 200)
    logits = rng.normal(size=(200, 3)) + subjects[:, None] * [0.0, 0.3, 2.0]
    within = sum(((logits[subjects == s] - logits[subjects == s].mean(axis=0)) ** 2).sum(axis=0) for s in range(5))
    expected = 1 - within / ((logits - logits.mean(axis=0)) ** 2).sum(axis=0)
    np.testing.assert_allclose(subject_share(probabilities(logits), subjects), expected, rtol=1e-6)


def test_the_share_is_undefined_without_variance_or_faces() -> None:
    assert np.isnan(subject_share([[0.2], [0.4]], ["a", "a"])).all()
    assert np.isnan(subject_share([[0.3], [0.3]], ["a", "b"])).all()
    assert np.isnan(subject_share(np.empty((0, 2)), [])).all()


def test_subjects_without_a_face_do_not_count() -> None:
    count, sums, squares = np.array([2.0, 0, 2]), np.array([[2.0], [0], [10]]), np.array([4.0 + 16 + 36])
    assert share_of_sums(count, sums, squares).tolist() == pytest.approx([0.8])
