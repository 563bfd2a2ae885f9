"""Every score that declares an interval over subjects has one, and the scores stay the same."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from faceflow.data.sources import FaceTable
from faceflow.errors import ConfigError
from faceflow.evaluation.intervals import Bootstrap, with_intervals
from faceflow.evaluation.scoring import SplitScorer
from faceflow.metrics.au_scores import Evaluation, Prediction
from tests.helpers.networks import label_table, network_spec

SPEC = network_spec(aus=("AU1",))
LABELS = [5, 0, 5, 0]


def by_subjects(subjects: list[str], labels: list[float] = LABELS) -> FaceTable:
    return dataclasses.replace(label_table("faces", {"AU1": labels}), subjects=np.array(subjects))


def scored(tables: list[FaceTable], probability: list[float], bootstrap: Bootstrap) -> dict[str, Evaluation]:
    scorer, rows = SplitScorer(tables, SPEC), np.arange(len(probability))
    prediction = Prediction(probability=np.array(probability)[:, None], intensity=None)
    evaluations = scorer.score(rows, prediction, {"AU1": 0.5})
    return with_intervals(evaluations, scorer, tables, rows, prediction, bootstrap)


def test_two_subjects_are_drawn_alone_or_together() -> None:
    # F1 is 1 on the first subject and 0 on the second; a draw of both gives 2 * 1 / (2 + 1 + 1) = 0.5.
    table = by_subjects(["p", "p", "q", "q"])
    summary = scored([table], [0.9, 0.1, 0.1, 0.9], Bootstrap(resamples=400, seed=0))["faces"].summary
    assert (summary["f1_val_low"], summary["f1_val"], summary["f1_val_high"]) == (0.0, 0.5, 1.0)


def test_a_single_subject_says_nothing_of_others() -> None:
    table = by_subjects(["p", "p", "p", "p"])
    summary = scored([table], [0.9, 0.1, 0.1, 0.9], Bootstrap(resamples=50, seed=0))["faces"].summary
    assert summary["f1_val"] == 0.5
    assert math.isnan(summary["f1_val_low"])
    assert math.isnan(summary["f1_val_high"])


def test_scores_stay_as_they_are_and_each_set_has_its_own_interval() -> None:
    tables = [by_subjects(["p", "p", "q", "q"]), dataclasses.replace(by_subjects(["r", "r", "s", "s"]), name="other")]
    probability = [0.9, 0.1, 0.1, 0.9, 0.9, 0.1, 0.9, 0.1]
    bare = scored(tables, probability, Bootstrap(resamples=0, seed=0))
    found = scored(tables, probability, Bootstrap(resamples=100, seed=0))
    assert bare.keys() == found.keys() == {"faces", "other", "all"}
    for name, evaluation in bare.items():
        assert "f1_val_low" not in evaluation.summary
        shared = {key: found[name].summary[key] for key in evaluation.summary}
        np.testing.assert_equal(shared, dict(evaluation.summary))
    assert (found["other"].summary["f1_val_low"], found["other"].summary["f1_val_high"]) == (1.0, 1.0)
    assert found["faces"].columns["f1_val_low"].tolist() == [0.0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resamples": -1, "seed": 0}, "bootstrap.resamples: expected a whole number >= 0, got -1"),
        ({"resamples": 1.5, "seed": 0}, "bootstrap.resamples: expected a whole number >= 0, got 1.5"),
        ({"resamples": 1, "seed": None}, "bootstrap.seed: expected a whole number >= 0, got None"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Bootstrap(**settings)
