from __future__ import annotations

import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from faceflow.aus import DESCRIPTIONS
from faceflow.errors import DataError
from faceflow.report.example_faces import Results, best_faces, worst_faces
from faceflow.report.figure_page import save
from faceflow.report.results_picture import draw_results
from tests.helpers.results import SOME, images, make_results, random_results


def size(path: Path) -> tuple[int, int]:
    """Height and width of a PNG that holds more than white."""
    image = cv2.imread(str(path))
    assert image is not None
    assert image.min() < 100
    return image.shape[0], image.shape[1]


def texts(figure: Figure) -> dict[str, str]:
    """Text -> colour of the lines on the page itself."""
    return {text.get_text(): text.get_color() for text in figure.texts}


def draw_to(path: Path, results: Results, title: str, protocol: dict[str, str]) -> Path:
    return save(draw_results(results, title, protocol), path, dpi=150)


def chosen(results: Results) -> tuple[list[int], list[int]]:
    return [face.row for face in best_faces(results)], [face.row for face in worst_faces(results)]


def test_bars_marks_and_curves_carry_the_metrics() -> None:
    truth = [[1, 0], [1, 0], [0, 0], [0, 0]]
    probability = [[0.9, 0.1], [0.45, 0.1], [0.2, 0.1], [0.6, 0.1]]
    results = make_results(("AU1", "AU4"), probability, truth, grades=[[2.0, 0.0]])
    figure = draw_results(results, "title", {})
    bars, icc, curve, empty = figure.axes
    # AU1 at 0.4: two hits, one false alarm; at 0.5: one hit, one false alarm, one miss.
    assert [bar.get_width() for bar in bars.patches] == [pytest.approx(0.8), 0]
    marks = {line.get_label(): line.get_xdata() for line in bars.lines}
    np.testing.assert_allclose(marks["F1 at 0.5"], [0.5, np.nan])
    np.testing.assert_allclose(marks["base rate"], [0.5, 0.0])
    assert [label.get_text() for label in bars.get_yticklabels()] == ["AU1  inner brow raiser", "AU4  brow lowerer"]
    assert "no positives" in [text.get_text() for text in bars.texts]
    assert [bar.get_width() for bar in icc.patches] == [0, 0]  # a constant prediction agrees with nothing
    base_rate, line, point = curve.lines
    assert base_rate.get_ydata() == [0.5, 0.5]
    np.testing.assert_allclose(line.get_xdata(), [0, 0.5, 0.5, 1, 1])
    np.testing.assert_allclose(line.get_ydata(), [1, 1, 0.5, 2 / 3, 0.5])
    np.testing.assert_allclose([*point.get_xdata(), *point.get_ydata()], [1, 2 / 3])
    assert [text.get_text() for text in empty.texts] == ["no positives"]
    assert not empty.lines
    assert "F1 at validation thresholds, mean 0.80" in texts(figure)
    assert (curve.get_xlabel(), curve.get_ylabel()) == ("recall", "precision")


def test_occurrence_networks_get_no_icc_panel() -> None:
    figure = draw_results(random_results(("AU1", "AU4"), 20), "t", {})
    assert len(figure.axes) == 3
    assert not any("ICC" in text for text in texts(figure))


def test_every_face_lists_found_missed_and_false_aus(tmp_path: Path) -> None:
    probability = [[0.9, 0.1, 0.8], [0.2, 0.7, 0.95]]
    truth = [[1, 0, 1], [1, 0, 1]]
    results = make_results(SOME, probability, truth, files=images(tmp_path, 2), grades=[[2.5, 1.25, 4.0]])
    results.intensity[1][0, 0] = np.nan
    page = texts(draw_results(results, "t", {}))
    found, missed, false = (
        page[text] for text in ("AU1 0.90 (2.5 / ?)", "missed AU1 0.20 (2.5 / 3)", "false AU4 0.70 (1.2 / 0)")
    )
    assert page["AU12 0.80 (4.0 / 3)"] == page["AU12 0.95 (4.0 / 3)"] == found
    assert len({found, missed, false}) == 3
    assert {"face0.png", "face1.png"} <= set(page)


def test_long_lists_of_aus_show_errors_first_and_count_the_rest(tmp_path: Path) -> None:
    aus = tuple(f"AU{number}" for number in list(DESCRIPTIONS)[:11])
    truth = np.ones((2, 11), bool)
    probability = np.array([[0.9] * 10 + [0.3], [0.9] * 11])
    page = texts(draw_results(make_results(aus, probability, truth, files=images(tmp_path, 2)), "t", {}))
    assert f"missed {aus[-1]} 0.30" in page
    assert "and 3 more" in page


def test_best_faces_have_no_error_and_most_aus_of_different_kinds(tmp_path: Path) -> None:
    truth = [[1, 1, 0], [1, 1, 0], [1, 1, 1], [0, 0, 0], [0, 0, 1], [1, 1, 1]]
    probability = np.where(truth, 0.8, 0.1)
    probability[1] = 0.9, 0.9, 0.05  # clearer than row 0
    probability[5, 0] = 0.3  # missed
    best, worst = chosen(make_results(SOME, probability, truth, files=images(tmp_path, 6)))
    assert best == [2, 1, 4, 0]  # three AUs, two, one; then the second face with AU1 + AU4; never the neutral row 3
    assert worst == [5]


def test_worst_faces_have_the_most_confident_errors_of_different_kinds(tmp_path: Path) -> None:
    truth = np.zeros((6, 3), bool)
    probability = np.full((6, 3), 0.1)
    probability[:, 0] = 0.5, 0.99, 0.1, 0.98, 0.1, 0.1  # false AU1
    truth[2, 1] = True  # missed AU4 at 0.1: -log 0.1 = 2.3
    probability[4] = 0.1, 0.1, 0.7  # false AU12: -log 0.3 = 1.2
    files = images(tmp_path, 6)
    assert chosen(make_results(SOME, probability, truth, files=files)) == ([], [1, 2, 4, 3])


def test_unlabelled_and_unpredicted_aus_are_no_errors(tmp_path: Path) -> None:
    probability = [[0.9, 0.9, np.nan], [0.9, 0.1, 0.1]]
    truth = [[1, 0, 1], [1, 0, 0]]
    observed = [[True, False, True], [True, True, True]]
    best, worst = chosen(make_results(SOME, probability, truth, observed, files=images(tmp_path, 2)))
    assert sorted(best) == [0, 1]
    assert worst == []


def test_faces_that_cannot_be_read_are_passed_over(tmp_path: Path) -> None:
    files = images(tmp_path, 3)
    Path(files[0]).write_bytes(b"")
    Path(files[1]).write_bytes(b"no image")
    files.append(str(tmp_path / "absent.png"))
    best, _ = chosen(make_results(SOME, np.full((4, 3), 0.9), np.ones((4, 3)), files=files))
    assert best == [2]


@pytest.mark.slow
def test_strip_is_left_out_without_files_or_with_none_that_can_be_read(tmp_path: Path) -> None:
    with_faces = draw_to(tmp_path / "a.png", random_results(SOME, 9, files=images(tmp_path, 9)), "case", {"split": "s"})
    without = draw_to(tmp_path / "b.png", random_results(SOME, 9), "case", {"split": "s"})
    broken = draw_to(tmp_path / "c.png", random_results(SOME, 9, files=["nowhere.png"] * 9), "case", {"split": "s"})
    assert size(with_faces)[0] > size(without)[0] + 150
    assert size(broken) == size(without)


@pytest.mark.parametrize("count", [1, pytest.param(41, marks=pytest.mark.slow)])
def test_page_grows_with_the_aus_and_nothing_leaves_it(count: int, tmp_path: Path) -> None:
    aus = tuple(f"AU{number}" for number in DESCRIPTIONS)[:count]
    results = random_results(aus, 30, files=images(tmp_path, 12) + ["absent.png"] * 18, grades=np.ones(count))
    protocol = {"split": "by subject", "labels": "occurrence = intensity >= 2 on a 0-5 scale; " * 12}
    figure = draw_results(results, "A title with $dollars$ and a name that is long " * 3, protocol)
    page, width, height = figure.bbox, *figure.get_size_inches()
    assert width == 14
    assert height > 0.25 * count
    for text in figure.texts:
        box = text.get_window_extent()
        assert page.x0 <= box.x0 <= box.x1 <= page.x1, text.get_text()
        assert page.y0 <= box.y0 <= box.y1 <= page.y1, text.get_text()
    for axes in figure.axes[:3]:  # both panels of bars and the first curve
        box = axes.get_tightbbox()
        assert box is None or (page.x0 <= box.x0 <= box.x1 <= page.x1 and page.y0 <= box.y0 <= box.y1 <= page.y1)


@pytest.mark.parametrize("case", ["one row", "no rows", "no labels", "no thresholds", "only positives", "negative icc"])
def test_thin_data_still_make_a_page_without_warnings(case: str, tmp_path: Path) -> None:
    results = {
        "one row": lambda: random_results(SOME, 1, files=images(tmp_path, 1)),
        "no rows": lambda: make_results(SOME, np.zeros((0, 3)), np.zeros((0, 3)), files=[]),
        "no labels": lambda: make_results(SOME, np.full((5, 3), np.nan), np.zeros((5, 3)), False, images(tmp_path, 5)),
        "no thresholds": lambda: random_results(SOME, 9, thresholds=np.nan, files=images(tmp_path, 9)),
        "only positives": lambda: make_results(SOME, np.full((5, 3), 0.9), np.ones((5, 3)), files=images(tmp_path, 5)),
        "negative icc": lambda: make_results(SOME, np.eye(3), np.eye(3), grades=3 - 3 * np.eye(3)),
    }[case]()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = draw_to(tmp_path / "new" / "page.png", results, case, {})
    assert size(path)[1] == 2100
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.slow
def test_same_results_make_the_same_file(tmp_path: Path) -> None:
    results = random_results(SOME, 20, files=images(tmp_path, 12) + ["absent.png"] * 8)
    first = draw_to(tmp_path / "a.png", results, "t", {"split": "s"})
    second = draw_to(tmp_path / "b.png", results, "t", {"split": "s"})
    assert first.read_bytes() == second.read_bytes()


def test_page_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "page.png"
    (path / "inside").mkdir(parents=True)
    with pytest.raises(DataError, match=r"page\.png: expected a writable file"):
        draw_to(path, random_results(SOME, 5), "t", {})
    assert list(tmp_path.iterdir()) == [path]
    assert list(path.iterdir()) == [path / "inside"]
