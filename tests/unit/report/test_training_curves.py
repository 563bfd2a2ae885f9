"""Training curves show the values in metrics.csv and mark the chosen checkpoint."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg

from faceflow.report.training_curves import draw_training


def history() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "epoch": [0, 1, 2, 3],
            "train/loss": [0.9, 0.8, 0.7, 0.6],
            "train/supervised/task_loss": [0.9, 0.8, 0.7, 0.6],
            "val/f1_val": [0.2, np.nan, 0.5, 0.4],
            "val/f1_val/AU1": [0.1, np.nan, 0.6, 0.3],
            "val/f1_val/AU12": [0.3, np.nan, 0.4, 0.5],
        }
    )


def test_curves_skip_epochs_without_validation_and_mark_the_best() -> None:
    figure = draw_training(history(), "t", {}, monitor="val/f1_val", best=0.5)
    loss, validation, rate, aus = figure.axes
    curve, best = loss.lines
    np.testing.assert_allclose(curve.get_ydata(), [0.9, 0.8, 0.7, 0.6])
    assert list(best.get_xdata()) == [2, 2]
    np.testing.assert_allclose(validation.lines[0].get_xydata(), [[0, 0.2], [2, 0.5], [3, 0.4]])
    assert [text.get_text() for text in rate.texts] == ["not recorded"]
    np.testing.assert_allclose(aus.images[0].get_array(), [[0.1, 0.6, 0.3], [0.3, 0.4, 0.5]])
    assert [label.get_text() for label in aus.get_yticklabels()] == ["AU1", "AU12"]
    assert [text.get_text() for text in aus.texts] == ["0.60", "0.40"]


def test_terms_of_a_sum_are_drawn_beside_it() -> None:
    def drawn(*terms: str) -> list[str]:
        frame = history().drop(columns="train/supervised/task_loss").assign(**dict.fromkeys(terms, 0.1))
        lines = draw_training(frame, "t", {}, monitor="val/icc", best=0.5).axes[0].lines
        return [str(line.get_label()) for line in lines]

    fixmatch = ("train/fixmatch/task_loss", "train/fixmatch/consistency_loss")
    assert drawn(*fixmatch) == ["task", "consistency", "sum"]
    assert drawn(*fixmatch, "train/miro/reg_loss") == ["fixmatch task", "fixmatch consistency", "miro reg", "sum"]
    assert drawn(fixmatch[0]) == ["loss"]


def test_one_epoch_has_one_tick() -> None:
    axes = draw_training(history()[:1], "t", {}, monitor="val/f1_val", best=0.2).axes[0]
    low, high = axes.get_xlim()
    assert [place for place in axes.get_xticks() if low <= place <= high] == [0]


def test_a_history_without_validation_still_makes_a_page() -> None:
    figure = draw_training(history()[["epoch", "train/loss"]], "t", {}, monitor="val/f1_val", best=0.5)
    assert len(figure.axes) == 3


def test_the_epoch_of_the_best_value_is_marked_where_low_is_good_too() -> None:
    frame = history().assign(**{"val/mse": [3.0, np.nan, 1.0, 2.0]})
    _, line = draw_training(frame, "t", {}, monitor="val/mse", best=np.float32(2.0)).axes[0].lines
    assert list(line.get_xdata()) == [3, 3]


def test_the_note_on_the_dashed_line_stands_clear_of_the_axis_below_which_it_stands() -> None:
    figure = draw_training(history(), "t", {}, monitor="val/f1_val", best=0.5)
    renderer = FigureCanvasAgg(figure).get_renderer()
    (note,) = (text for text in figure.texts if text.get_text().startswith("Dashed line"))
    label = figure.axes[0].xaxis.label
    figure.draw(renderer)
    assert [axes.get_xlabel() for axes in figure.axes] == ["epoch"] * 4
    assert label.get_window_extent(renderer).y0 - note.get_window_extent(renderer).y1 > 0.03 * figure.dpi  # inches
