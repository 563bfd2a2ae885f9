"""The picture of raw and centred scores shows both of every AU."""

from __future__ import annotations

import dataclasses

import numpy as np

from faceflow.report.centred import draw_centred
from faceflow.report.pictures import PICTURES
from tests.helpers.results import SOME, make_results, random_results


def test_a_panel_for_each_metric_joins_raw_and_centred_scores_of_every_au() -> None:
    raw = random_results(SOME, 60)
    perfect = make_results(SOME, raw.truth, raw.truth).evaluation
    results = dataclasses.replace(raw, centred=perfect)
    panels = draw_centred(results, "t", {"split": "s"}).axes
    for axes, metric in zip(panels, ("ap", "auroc", "f1_val"), strict=True):
        before, after = axes.lines
        assert np.asarray(before.get_xdata()).tolist() == raw.evaluation.columns[metric].tolist()
        assert np.asarray(after.get_xdata()).tolist() == [1.0] * 3
    assert panels[0].get_yticklabels()[0].get_text() == "AU1  inner brow raiser"


def test_centred_scores_without_thresholds_have_no_panel_of_f1() -> None:
    raw = random_results(SOME, 60)
    untuned = make_results(SOME, raw.probability, raw.truth, thresholds=np.nan).evaluation
    assert len(draw_centred(dataclasses.replace(raw, centred=untuned), "t", {}).axes) == 2


def test_tests_without_centred_scores_have_no_such_picture() -> None:
    (picture,) = (picture for picture in PICTURES if picture.file == "centred.png")
    assert not picture.sensible(random_results(SOME, 5))
