from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.metrics import average_precision_score, precision_recall_curve

from faceflow.aus import DESCRIPTIONS
from faceflow.errors import DataError
from faceflow.metrics.evaluation import Prediction, evaluate
from faceflow.report.faces import Results, best_faces, worst_faces
from faceflow.report.picture import draw, precision_recall, results_picture

SOME = ("AU1", "AU4", "AU12")
THRESHOLD = 0.4


def predictions(
    aus: tuple[str, ...],
    probability: Any,
    truth: Any,
    observed: Any = True,
    files: list[str] | None = None,
    grades: Any = None,
    thresholds: Any = THRESHOLD,
) -> dict[str, Any]:
    """Arguments of `results_picture`; `grades` are predicted intensities, the truth is 3 where an AU occurs."""
    probability = np.asarray(probability, float)
    observed = np.broadcast_to(observed, probability.shape).copy()
    truth = np.asarray(truth, bool) & observed
    graded = np.where(observed & (grades is not None), 3.0 * truth, np.nan)
    predicted = None if grades is None else np.broadcast_to(np.asarray(grades, float), probability.shape)
    evaluation = evaluate(
        Prediction(probability=probability, intensity=predicted),
        aus=aus,
        occurrence=truth,
        intensity=graded,
        observed=observed & np.isfinite(probability),
        thresholds=np.broadcast_to(thresholds, len(aus)),
    )
    intensity = None if predicted is None else (predicted, graded)
    arrays = {"probability": probability, "truth": truth, "observed": observed, "intensity": intensity}
    return {"aus": aus, "evaluation": evaluation, "files": files, **arrays}


def random_predictions(aus: tuple[str, ...], count: int, **other: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    truth = rng.random((count, len(aus))) < 0.3
    probability = np.clip(0.5 * truth + 0.6 * rng.random(truth.shape), 0, 1)
    return predictions(aus, probability, truth, **other)


def images(folder: Path, count: int) -> list[str]:
    paths = [folder / f"face{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        cv2.imwrite(str(path), np.full((12, 10, 3), 20 * number, np.uint8))
    return list(map(str, paths))


def size(path: Path) -> tuple[int, int]:
    """Height and width of a PNG that holds more than white."""
    image = cv2.imread(str(path))
    assert image is not None
    assert image.min() < 100
    return image.shape[0], image.shape[1]


def texts(figure: Figure) -> dict[str, str]:
    """Text -> colour of the lines on the page itself."""
    return {text.get_text(): text.get_color() for text in figure.texts}


def chosen(results: dict[str, Any]) -> tuple[list[int], list[int]]:
    scored = Results(**results)
    return [face.row for face in best_faces(scored)], [face.row for face in worst_faces(scored)]


def test_curve_agrees_with_sklearn_and_its_steps_enclose_the_ap() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random(300) < 0.2
    probability = np.round(np.clip(0.3 * truth + 0.7 * rng.random(300), 0, 1), 2)
    precision, recall = precision_recall(probability, truth)
    sk_precision, sk_recall, _ = precision_recall_curve(truth, probability)
    np.testing.assert_allclose(precision[1:], sk_precision[-2::-1])
    np.testing.assert_allclose(recall[1:], sk_recall[-2::-1])
    assert recall[0] == 0
    area = float(np.sum(np.diff(recall) * precision[1:]))
    assert area == pytest.approx(average_precision_score(truth, probability))


def test_bars_marks_and_curves_carry_the_metrics() -> None:
    truth = [[1, 0], [1, 0], [0, 0], [0, 0]]
    probability = [[0.9, 0.1], [0.45, 0.1], [0.2, 0.1], [0.6, 0.1]]
    results = predictions(("AU1", "AU4"), probability, truth, grades=[[2.0, 0.0]])
    figure = draw(Results(**results), "title", {})
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


def test_occurrence_networks_get_no_icc_panel() -> None:
    figure = draw(Results(**random_predictions(("AU1", "AU4"), 20)), "t", {})
    assert len(figure.axes) == 3
    assert not any("ICC" in text for text in texts(figure))


def test_every_face_lists_found_missed_and_false_aus(tmp_path: Path) -> None:
    probability = [[0.9, 0.1, 0.8], [0.2, 0.7, 0.95]]
    truth = [[1, 0, 1], [1, 0, 1]]
    results = predictions(SOME, probability, truth, files=images(tmp_path, 2), grades=[[2.5, 1.25, 4.0]])
    results["intensity"][1][0, 0] = np.nan
    page = texts(draw(Results(**results), "t", {}))
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
    page = texts(draw(Results(**predictions(aus, probability, truth, files=images(tmp_path, 2))), "t", {}))
    assert f"missed {aus[-1]} 0.30" in page
    assert "and 3 more" in page


def test_best_faces_have_no_error_and_most_aus_of_different_kinds(tmp_path: Path) -> None:
    truth = [[1, 1, 0], [1, 1, 0], [1, 1, 1], [0, 0, 0], [0, 0, 1], [1, 1, 1]]
    probability = np.where(truth, 0.8, 0.1)
    probability[1] = 0.9, 0.9, 0.05  # clearer than row 0
    probability[5, 0] = 0.3  # missed
    best, worst = chosen(predictions(SOME, probability, truth, files=images(tmp_path, 6)))
    assert best == [2, 1, 4, 0]  # three AUs, two, one; then the second face with AU1 + AU4; never the neutral row 3
    assert worst == [5]


def test_worst_faces_have_the_most_confident_errors_of_different_kinds(tmp_path: Path) -> None:
    truth = np.zeros((6, 3), bool)
    probability = np.full((6, 3), 0.1)
    probability[:, 0] = 0.5, 0.99, 0.1, 0.98, 0.1, 0.1  # false AU1
    truth[2, 1] = True  # missed AU4 at 0.1: -log 0.1 = 2.3
    probability[4] = 0.1, 0.1, 0.7  # false AU12: -log 0.3 = 1.2
    files = images(tmp_path, 6)
    assert chosen(predictions(SOME, probability, truth, files=files)) == ([], [1, 2, 4, 3])


def test_unlabelled_and_unpredicted_aus_are_no_errors(tmp_path: Path) -> None:
    probability = [[0.9, 0.9, np.nan], [0.9, 0.1, 0.1]]
    truth = [[1, 0, 1], [1, 0, 0]]
    observed = [[True, False, True], [True, True, True]]
    best, worst = chosen(predictions(SOME, probability, truth, observed, files=images(tmp_path, 2)))
    assert sorted(best) == [0, 1]
    assert worst == []


def test_faces_that_cannot_be_read_are_passed_over(tmp_path: Path) -> None:
    files = images(tmp_path, 3)
    Path(files[0]).write_bytes(b"")
    Path(files[1]).write_bytes(b"no image")
    files.append(str(tmp_path / "absent.png"))
    best, _ = chosen(predictions(SOME, np.full((4, 3), 0.9), np.ones((4, 3)), files=files))
    assert best == [2]


def test_strip_is_left_out_without_files_or_with_none_that_can_be_read(tmp_path: Path) -> None:
    shape = {"title": "t", "protocol": {}}
    with_faces = results_picture(tmp_path / "a.png", **shape, **random_predictions(SOME, 9, files=images(tmp_path, 9)))
    without = results_picture(tmp_path / "b.png", **shape, **random_predictions(SOME, 9))
    broken = results_picture(tmp_path / "c.png", **shape, **random_predictions(SOME, 9, files=["nowhere.png"] * 9))
    assert size(with_faces)[0] > size(without)[0] + 150
    assert size(broken) == size(without)


@pytest.mark.parametrize("count", [1, 41])
def test_page_grows_with_the_aus_and_nothing_leaves_it(count: int, tmp_path: Path) -> None:
    aus = tuple(f"AU{number}" for number in DESCRIPTIONS)[:count]
    results = random_predictions(aus, 30, files=images(tmp_path, 12) + ["absent.png"] * 18, grades=np.ones(count))
    protocol = {"split": "by subject", "labels": "occurrence = intensity >= 2 on a 0-5 scale; " * 12}
    figure = draw(Results(**results), "A title with $dollars$ and a name that is long " * 3, protocol)
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
        "one row": lambda: random_predictions(SOME, 1, files=images(tmp_path, 1)),
        "no rows": lambda: predictions(SOME, np.zeros((0, 3)), np.zeros((0, 3)), files=[]),
        "no labels": lambda: predictions(SOME, np.full((5, 3), np.nan), np.zeros((5, 3)), False, images(tmp_path, 5)),
        "no thresholds": lambda: random_predictions(SOME, 9, thresholds=np.nan, files=images(tmp_path, 9)),
        "only positives": lambda: predictions(SOME, np.full((5, 3), 0.9), np.ones((5, 3)), files=images(tmp_path, 5)),
        "negative icc": lambda: predictions(SOME, np.eye(3), np.eye(3), grades=3 - 3 * np.eye(3)),
    }[case]()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = results_picture(tmp_path / "new" / "page.png", title=case, protocol={}, **results)
    assert size(path)[1] == 2100
    assert list(path.parent.iterdir()) == [path]


def test_same_results_make_the_same_file(tmp_path: Path) -> None:
    results = random_predictions(SOME, 20, files=images(tmp_path, 12) + ["absent.png"] * 8)
    first = results_picture(tmp_path / "a.png", title="t", protocol={"split": "s"}, **results)
    second = results_picture(tmp_path / "b.png", title="t", protocol={"split": "s"}, **results)
    assert first.read_bytes() == second.read_bytes()


def test_page_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "page.png"
    (path / "inside").mkdir(parents=True)
    with pytest.raises(DataError, match=r"page\.png: expected a file that can be written"):
        results_picture(path, title="t", protocol={}, **random_predictions(SOME, 5))
    assert list(tmp_path.iterdir()) == [path]
    assert list(path.iterdir()) == [path / "inside"]
