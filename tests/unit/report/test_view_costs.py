"""Tables and a picture of the cost of views."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from faceflow.report.view_costs import ViewScores, draw_views, kept, views_frame, views_table
from tests.helpers.results import make_results

TRUTH = [[1], [1], [0], [0]]


def scores() -> list[ViewScores]:
    """A view that ranks all faces right, one with a positive in the second and the last place, and its only step."""
    right, wrong = ([[0.9], [0.8], [0.2], [0.1]], [[0.8], [0.1], [0.9], [0.2]])
    named = (("eval", "", right), ("strong", "", wrong), ("strong", "tone.gamma", right))
    return [
        ViewScores(view=view, step=step, evaluation=make_results(("AU1",), probability, TRUTH).evaluation)
        for view, step, probability in named
    ]


def test_what_is_kept_is_the_share_of_the_first_ap() -> None:
    assert kept(scores()) == pytest.approx([1.0, 0.5, 1.0])  # (1/2 + 2/4) / 2


def test_without_positives_nothing_is_kept_or_lost() -> None:
    nobody = make_results(("AU1",), [[0.5], [0.5]], [[0], [0]]).evaluation
    assert np.isnan(kept([ViewScores(view="eval", step="", evaluation=nobody)])).all()


def test_the_file_has_a_row_per_view_and_step() -> None:
    frame = views_frame(scores())
    assert list(frame.columns) == ["view", "step", "faces", "ap", "auroc", "f1_val", "ap_kept"]
    assert frame["step"].tolist() == ["", "", "tone.gamma"]
    assert frame["faces"].tolist() == [4, 4, 4]
    assert frame["auroc"].tolist() == pytest.approx([1.0, 0.25, 1.0])


def test_icc_is_there_where_intensities_are() -> None:
    graded = make_results(("AU1",), [[0.9], [0.2]], [[1], [0]], grades=[[3], [1]]).evaluation
    assert "icc" in views_frame([ViewScores(view="eval", step="", evaluation=graded)])


def test_the_table_names_a_view_once_and_says_what_is_kept() -> None:
    text = io.StringIO()
    Console(file=text, width=100).print(views_table(scores(), protocol={"split": "by subject"}))
    rows = [line.split() for line in text.getvalue().splitlines()]
    assert ["eval", "1.000", "1.000", "1.000", "100", "%"] in rows
    assert ["strong", "0.500", "0.250", "0.500", "50", "%"] in rows
    assert ["tone.gamma", "1.000", "1.000", "1.000", "100", "%"] in rows
    assert "split: by subject" in text.getvalue()


def test_the_picture_has_a_bar_as_long_as_each_ap() -> None:
    (axes,) = draw_views(scores(), "What views cost", {"split": "by subject"}).axes
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([1.0, 0.5, 1.0])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["eval", "strong", "strong: tone.gamma"]
