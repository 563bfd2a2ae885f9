"""Metric declarations: where each metric is shown, and that a metric in a new file is shown everywhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import faceflow.metrics
from faceflow.metrics.au_scores import Prediction, evaluate
from faceflow.metrics.bootstrap import SubjectBootstrap
from faceflow.metrics.metric import Place, column_named, columns_in, declared, header_of

TOY = '''
"""Mean of recall and specificity."""
from faceflow.metrics.metric import Place, decision_metric

@decision_metric("Toy", at_val=Place.OCCURRENCE_TABLE, at_half=Place.FOLDS, intervals=True)
def toy_accuracy(counts):
    return (counts.tp / counts.positives + counts.tn / counts.negatives) / 2
'''
PROBABILITY = np.array([[0.9, 0.9], [0.6, 0.4], [0.3, 0.2], [0.2, 0.1]])
OCCURRENCE = np.array([[True, False], [False, False], [True, False], [False, False]])
# Those of the first version; what is added stands between them.
NAMES = {"f1", "f1_norm", "precision", "recall", "specificity", "accuracy", "ap", "auroc", "eer", "eer_threshold"}
NAMES |= {"icc", "pcc", "mse", "mae", "rmse", "smape", "wmape", "mape"}
KNOWN = np.ones((4, 2), np.bool_)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module beside those of the package."""
    (tmp_path / "toy.py").write_text(TOY, "utf-8")
    monkeypatch.setattr(faceflow.metrics, "__path__", [*faceflow.metrics.__path__, str(tmp_path)])
    declared.cache_clear()
    yield
    declared.cache_clear()
    sys.modules.pop("faceflow.metrics.toy", None)


@pytest.mark.parametrize(
    ("place", "headers"),
    [
        (Place.OCCURRENCE_TABLE, ["F1@val", "F1@0.5", "Prec@val", "Rec@val", "AP", "AUROC", "EER"]),
        (Place.INTENSITY_TABLE, ["F1@val", "F1@0.5", "AP", "AUROC", "ICC", "PCC", "MSE", "MAE"]),
        (Place.HEADLINE, ["F1@val", "AP", "AUROC", "ICC"]),
        (Place.FOLDS, ["F1@val", "F1@0.5", "AP", "AUROC", "ICC"]),
        (Place.CURVES, ["F1@val", "AP", "AUROC", "ICC"]),
        (Place.EXPORT, ["F1@val", "ICC"]),
    ],
)
def test_every_place_shows_its_metrics_in_their_order(place: Place, headers: list[str]) -> None:
    assert [column.header for column in columns_in(place) if column.metric.name in NAMES] == headers


def test_errors_are_better_when_lower_and_scores_when_higher() -> None:
    lower = {metric.name for metric in declared() if metric.lower_is_better and metric.name in NAMES}
    assert lower == {"eer", "mse", "mae", "rmse", "smape", "wmape", "mape"}


def test_a_name_that_no_metric_declares_is_its_own_header() -> None:
    assert (header_of("f1_0.5"), header_of("micro_f1_val")) == ("F1@0.5", "micro_f1_val")
    assert column_named("f1") is None  # a column says at which threshold


@pytest.mark.usefixtures("toy")
def test_a_metric_in_a_file_of_its_own_is_scored_shown_and_bounded() -> None:
    prediction = Prediction(probability=PROBABILITY, intensity=None)
    cuts, grades = np.array([0.25, 0.5]), np.full((4, 2), np.nan)
    found = evaluate(
        prediction, aus=("AU1", "AU2"), occurrence=OCCURRENCE, intensity=grades, observed=KNOWN, thresholds=cuts
    )
    # AU1 at 0.25: recall 2/2, specificity 1/2; at 0.5: recall 1/2, specificity 1/2. Nobody shows AU2.
    assert found.columns["toy_accuracy_val"].tolist() == pytest.approx([0.75, np.nan], nan_ok=True)
    assert found.columns["toy_accuracy_0.5"].tolist() == pytest.approx([0.5, np.nan], nan_ok=True)
    assert found.summary["toy_accuracy_val"] == 0.75
    assert [*found.columns][3:5] == ["f1_val", "f1_norm_val"]  # the usual metrics come first
    headers = [column.header for column in columns_in(Place.OCCURRENCE_TABLE)]
    assert headers.index("Rec@val") < headers.index("Toy@val") < headers.index("AP")  # with those of decisions
    assert "toy_accuracy_0.5" in {column.name for column in columns_in(Place.FOLDS)}
    intervals = SubjectBootstrap(["a", "a", "b", "b"], resamples=100, seed=0).all_intervals(
        prediction, occurrence=OCCURRENCE, intensity=grades, observed=KNOWN, thresholds=cuts
    )
    # Either subject alone has recall 1; a is specific on 0/1, b on 1/1 of the negatives.
    bounds = intervals["toy_accuracy_val"].per_au
    assert (bounds.low[0], bounds.value[0], bounds.high[0]) == (0.5, 0.75, 1.0)
