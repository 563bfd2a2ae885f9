"""Which faces are the hardest of an AU, and that their picture shows them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from faceflow.report.hardest import draw_hardest, hardest_rows
from tests.helpers.results import images, make_results


def test_surest_errors_come_first_and_missing_labels_never() -> None:
    probability = np.array([0.5, 0.95, 0.9, 0.99, 0.3, 0.05, 0.1, 0.6])[:, None]
    truth = np.array([0, 0, 0, 0, 1, 1, 1, 1])[:, None]
    observed = np.array([True, True, True, False, True, True, True, True])[:, None]
    false, missed = hardest_rows(make_results(("AU1",), probability, truth, observed), 0)
    assert false.tolist() == [1, 2, 0]
    assert missed.tolist() == [5, 6, 4]


def test_different_persons_are_shown_before_more_of_one(tmp_path: Path) -> None:
    probability = np.array([0.99, 0.98, 0.97, 0.96, 0.95])[:, None]
    results = make_results(("AU12",), probability, np.zeros((5, 1)), files=images(tmp_path, 5))
    figure = draw_hardest(results, "t", {}, persons=["anna", "anna", "anna", "ben", "cleo"])
    shown = [text.get_text() for text in figure.texts]
    assert [text for text in shown if "face" in text] == ["0.99 face0", "0.96 face3", "0.95 face4"]
    assert "5 false" in shown
    assert shown[-2:] == ["0 missed", "no positives"]


def test_faces_that_cannot_be_read_are_said_to_be_so() -> None:
    results = make_results(("AU12",), [[0.9], [0.9]], [[0], [1]], files=["nowhere.png"] * 2)
    shown = [text.get_text() for text in draw_hardest(results, "t", {}, persons=["a", "b"]).texts]
    assert "no picture can be read" in shown
    assert shown[-1] == "none missed"
