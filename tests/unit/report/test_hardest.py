"""Which faces are the hardest for an AU, and that the picture shows them."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg

from faceflow.report.hardest import draw_hardest, hardest_rows
from tests.helpers.results import images, make_results


def test_surest_errors_come_first_and_missing_labels_never() -> None:
    probability = np.array([0.5, 0.95, 0.9, 0.99, 0.3, 0.05, 0.1, 0.6])[:, None]
    truth = np.array([0, 0, 0, 0, 1, 1, 1, 1])[:, None]
    observed = np.array([True, True, True, False, True, True, True, True])[:, None]
    false, missed = hardest_rows(make_results(("AU1",), probability, truth, observed), 0)
    assert false.tolist() == [1, 2, 0]
    assert missed.tolist() == [5, 6, 4]


def test_different_subjects_are_shown_before_more_of_one(tmp_path: Path) -> None:
    probability = np.array([0.99, 0.98, 0.97, 0.96, 0.95])[:, None]
    people = ["anna", "anna", "anna", "ben", "cleo"]
    results = make_results(("AU12",), probability, np.zeros((5, 1)), files=images(tmp_path, 5), subjects=people)
    figure = draw_hardest(results, "t", {})
    shown = [text.get_text() for text in figure.texts]
    assert [text for text in shown if "0." in text or "face" in text] == [
        *("0.99", "face0"),
        *("0.96", "face3"),
        *("0.95", "face4"),
    ]
    assert "5 false" in shown
    assert shown[-2:] == ["0 missed", "no positives"]


def test_long_file_names_keep_their_end_and_touch_no_neighbour(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    files = [
        str(Path(file).rename(folder / f"subject{n}_frame_000000{n}.png")) for n, file in enumerate(images(tmp_path, 3))
    ]
    results = make_results(("AU12",), [[0.99], [0.98], [0.97]], np.zeros((3, 1)), files=files)
    figure = draw_hardest(results, "t", {})
    renderer = FigureCanvasAgg(figure).get_renderer()
    names = [text for text in figure.texts if "…" in text.get_text()]
    assert [text.get_text() for text in names] == [f"…_frame_000000{n}" for n in range(3)]
    places = [text.get_window_extent(renderer) for text in names]
    gaps = [right.x0 - left.x1 for left, right in itertools.pairwise(places)]
    assert min(gaps) > 0.02 * figure.dpi  # inches


def test_unreadable_faces_are_reported() -> None:
    results = make_results(("AU12",), [[0.9], [0.9]], [[0], [1]], files=["nowhere.png"] * 2)
    shown = [text.get_text() for text in draw_hardest(results, "t", {}).texts]
    assert "no image can be read" in shown
    assert shown[-1] == "none missed"
