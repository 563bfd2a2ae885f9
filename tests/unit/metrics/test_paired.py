"""Means of two models over the AUs for which both have a score."""

from __future__ import annotations

import numpy as np
import pytest

from faceflow.metrics.au_scores import Evaluation
from faceflow.metrics.paired import paired_means

NAN = np.nan


def evaluation(aus: tuple[str, ...], **columns: list[float]) -> Evaluation:
    values = {name: np.array(column) for name, column in columns.items()}
    summary = dict.fromkeys(values, 0.0) | {"micro_f1_val": 0.5}
    return Evaluation(aus=aus, rows=4, columns=values, summary=summary)


def test_means_are_over_the_aus_where_both_are_defined() -> None:
    first = evaluation(("AU1", "AU4", "AU12", "AU25"), f1_val=[0.2, 0.4, NAN, 0.9], auroc=[0.5, 0.6, 0.7, 0.8])
    second = evaluation(("AU12", "AU4", "AU1"), f1_val=[0.3, 0.8, 0.6], auroc=[NAN, NAN, NAN], icc=[0.1, 0.2, 0.3])
    found = paired_means(first, second)
    assert set(found) == {"f1_val", "auroc"}, "the micro F1 has no value by AU, and icc only one model"
    assert found["f1_val"].aus == ("AU1", "AU4")
    assert (found["f1_val"].first, found["f1_val"].second) == (pytest.approx(0.3), pytest.approx(0.7))
    assert found["auroc"].aus == ()
    assert np.isnan([found["auroc"].first, found["auroc"].second]).all()
