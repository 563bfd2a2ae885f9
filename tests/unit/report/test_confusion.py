"""Confusion matrices against counts worked out by hand and scikit-learn's."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import confusion_matrix

from faceflow.report.confusion import (
    draw_intensity_confusion,
    draw_occurrence_confusion,
    intensity_confusion,
    occurrence_confusion,
)
from tests.helpers.results import SOME, THRESHOLD, make_results, random_results


def test_occurrence_counts_leave_missing_labels_out() -> None:
    probability = [[0.9, 0.1], [0.39, 0.4], [0.4, 0.2], [0.8, 0.9]]
    truth = [[1, 0], [1, 0], [0, 1], [1, 1]]
    observed = [[True, True], [True, True], [True, True], [False, True]]
    counts = occurrence_confusion(make_results(("AU1", "AU4"), probability, truth, observed))
    assert counts.tolist() == [[[0, 1], [1, 1]], [[1, 1], [1, 1]]]


def test_occurrence_counts_agree_with_scikit_learn() -> None:
    results = random_results(SOME, 200)
    for index, counts in enumerate(occurrence_confusion(results)):
        predicted = results.probability[:, index] >= THRESHOLD
        np.testing.assert_array_equal(counts, confusion_matrix(results.truth[:, index], predicted))


def test_intensities_are_rounded_halves_up_and_counted_in_six_grades() -> None:
    results = make_results(
        ("AU1",), np.full((5, 1), 0.5), [[1], [1], [0], [0], [1]], grades=[[2.5], [3.49], [0], [0.5], [9]]
    )
    assert results.intensity is not None
    results.intensity[1][4] = np.nan  # an occurrence label without intensity
    (counts,) = intensity_confusion(results)
    expected = np.zeros((6, 6), int)
    expected[3, 3] = 2  # labelled 3, predicted 2.5 and 3.49
    expected[0, 0] = expected[0, 1] = 1
    np.testing.assert_array_equal(counts, expected)


def test_matrices_show_counts_shares_and_what_is_missing() -> None:
    truth = np.array([[1, 0]] * 3 + [[0, 0]] * 2)
    probability = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.1], [0.9, 0.9], [0.1, 0.1]])
    results = make_results(("AU1", "AU12"), probability, truth, thresholds=[0.5, np.nan])
    shown = [text.get_text() for text in draw_occurrence_confusion(results, "t", {}).axes[0].texts]
    first, second = shown[: shown.index("AU12 lip corner puller")], shown[shown.index("AU12 lip corner puller") :]
    assert first[:2] == ["AU1 inner brow raiser", "F1 0.67   threshold 0.50"]
    assert first[-4:] == ["1\n50 %", "1\n50 %", "1\n33 %", "2\n67 %"]
    assert second[1] == "no positives"
    assert second[-4:] == ["4\n80 %", "1\n20 %", "0", "0"]


def test_intensity_matrices_show_row_shares_and_row_totals() -> None:
    results = make_results(("AU1",), [[0.9], [0.9], [0.1]], [[1], [1], [0]], grades=[[3.2], [4.0], [0.1]])
    shown = [text.get_text() for text in draw_intensity_confusion(results, "t", {}).axes[0].texts]
    assert shown[1].endswith("exact 67 %")
    assert shown[-9:] == ["100", "50", "50", "1", "0", "0", "2", "0", "0"]
