"""Reliability diagrams against scikit-learn and against bins filled by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from faceflow.metrics.calibration import reliability
from faceflow.report.reliability import draw_calibration
from tests.helpers.results import make_results


def test_bins_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    probability = np.round(rng.random(500), 2)  # many on the edges of bins
    truth = rng.random(500) < probability**2
    found = reliability(probability, truth, bins=10)
    frequency, confidence = calibration_curve(truth, probability, n_bins=10)
    np.testing.assert_allclose(found.frequency, frequency)
    np.testing.assert_allclose(found.confidence, confidence)
    assert found.count.sum() == 500


def test_calibration_error_weighs_bins_by_their_faces() -> None:
    found = reliability(np.array([0.1, 0.1, 0.1, 0.9]), np.array([False, False, True, False]))
    assert found.count.tolist() == [3, 1]
    assert found.ece == pytest.approx((3 * abs(1 / 3 - 0.1) + 0.9) / 4)


def test_a_calibrated_network_has_no_error() -> None:
    probability = np.repeat([0.25, 0.75], 4)
    found = reliability(probability, np.array([1, 0, 0, 0, 1, 1, 1, 0], bool))
    assert found.ece == pytest.approx(0)


def test_diagrams_leave_missing_labels_out_and_name_what_cannot_be_drawn() -> None:
    probability = [[0.2, 0.2], [0.8, 0.2], [0.9, 0.2]]
    observed = [[True, True], [True, True], [False, True]]
    results = make_results(("AU1", "AU4"), probability, [[0, 0], [1, 0], [0, 0]], observed)
    first, second = draw_calibration(results, "t", {}).axes
    assert first.get_title("left") == "AU1  ECE 0.20"
    np.testing.assert_allclose(first.lines[1].get_xydata(), [[0.2, 0], [0.8, 1]])
    assert [text.get_text() for text in second.texts] == ["no positives"]
