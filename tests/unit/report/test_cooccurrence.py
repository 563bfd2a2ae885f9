"""Co-occurrence against a table worked out by hand and against loops over faces."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from faceflow.report.cooccurrence import cooccurrence, draw_cooccurrence
from tests.helpers.results import make_results


def test_rows_are_conditions_and_the_diagonal_is_the_base_rate() -> None:
    active = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], bool)
    found = cooccurrence(active, np.ones_like(active))
    nobody = np.nan  # the third AU never occurs
    expected = [[3 / 4, 2 / 3, 0], [2 / 3, 3 / 4, 0], [nobody, nobody, 0]]
    np.testing.assert_allclose(found, expected)


def test_pairs_count_faces_where_both_labels_are_known() -> None:
    rng = np.random.default_rng(0)
    active, judged = rng.random((80, 4)) < 0.4, rng.random((80, 4)) < 0.7
    found = cooccurrence(active, judged)
    for row in range(4):
        for column in range(4):
            faces = judged[:, row] & judged[:, column] & (active[:, row] | (row == column))
            np.testing.assert_allclose(found[row, column], active[faces, column].mean())


def test_truth_prediction_and_difference_stand_side_by_side() -> None:
    truth = [[1, 1], [1, 0], [0, 0], [0, 1]]
    probability = [[0.9, 0.9], [0.9, 0.9], [0.1, 0.1], [0.1, 0.1]]
    panels = draw_cooccurrence(make_results(("AU1", "AU4"), probability, truth), "t", {}).axes
    shown = [[text.get_text() for text in panel.texts] for panel in panels]
    assert shown == [["50", "50", "50", "50"], ["50", "100", "100", "50"], ["0", "50", "50", "0"]]


@pytest.mark.parametrize("count", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_numbers_stay_within_cells_that_are_no_larger_than_they_need_to_be(count: int) -> None:
    aus = tuple(f"AU{number}" for number in range(1, count + 1))
    probability = np.eye(count)[[0] * 8]  # only the first AU is predicted, all others occur
    figure = draw_cooccurrence(make_results(aus, probability, 1 - probability), "t", {})
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    for panel in figure.axes:
        cell = panel.get_window_extent(renderer).width / count
        assert cell <= 0.8 * figure.dpi  # inches
        assert max(text.get_window_extent(renderer).width for text in panel.texts) < cell
    assert "-100" in [text.get_text() for text in figure.axes[2].texts]
