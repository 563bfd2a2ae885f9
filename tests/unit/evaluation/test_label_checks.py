"""Which label checks are refused, and for whom a suspicious label counts."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from faceflow.errors import ConfigError, DataError
from faceflow.evaluation.known_faces import Overlap
from faceflow.evaluation.label_checks import check_settings, check_tested_labels, check_unseen
from faceflow.evaluation.scoring import SplitScorer
from faceflow.evaluation.testing import TestScores
from faceflow.metrics.au_scores import Prediction
from tests.helpers.networks import label_table, network_spec


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": "faces.csv"}, r"labels: expected check or null, got 'faces.csv'; name a table .* data.labels=FILE"),
        ({"subset": "all"}, "subset: expected unseen with labels=check, got 'all': a network repeats the labels"),
        ({"labels": None, "predictions": "run"}, "labels: expected check with predictions=run, got null"),
        ({"predictions": "run", "others": {"onnx": None, "baseline": "built_in"}}, "baseline: expected null with pred"),
    ],
)
def test_settings_that_contradict_are_refused(changes: dict[str, Any], message: str) -> None:
    settings: dict[str, Any] = {"labels": "check", "predictions": None, "subset": "unseen", "others": {}}
    check_settings(**settings)
    with pytest.raises(ConfigError, match=message):
        check_settings(**settings | changes)


def test_labels_that_the_network_learned_are_not_checked() -> None:
    unsure = np.zeros(2, np.bool_)
    check_unseen(
        [Overlap(seen=np.array([True, True]), unsure=unsure), Overlap(seen=np.array([True, False]), unsure=unsure)]
    )
    with pytest.raises(
        DataError, match=r"expected subjects that the checkpoint has not seen, got none.*protocol=kfold"
    ):
        check_unseen([Overlap(seen=np.array([True, True]), unsure=unsure)])


def test_intensities_are_checked_as_occurrence_and_rows_keep_their_coder() -> None:
    graded = [0, 1, 2, 5] * 6
    coded = dataclasses.replace(label_table("one", {"AU1": graded}), coders=np.array(["ann", "bob"] * 12))
    tables = [coded, dataclasses.replace(label_table("two", {"AU12": [0, 3]}), has_subjects=False)]
    probability = np.array([0.1, 0.1, 0.9, 0.9] * 6 + [0.5, 0.5])[:, None] * np.ones((1, 2))
    probability[3] = 0.02  # of a face with intensity 5, coded by bob
    scorer = SplitScorer(tables, network_spec(levels=5))
    prediction = Prediction(probability=probability, intensity=probability * 5)
    scores = TestScores(
        tables=tables,
        scorer=scorer,
        evaluations=scorer.score(np.arange(26), prediction, {}),
        prediction=prediction,
    )
    check = check_tested_labels(scores)
    assert check.errors.checked.sum(axis=0).tolist() == [24, 0], "two labels of AU12 are too few"
    assert np.argwhere(check.errors.suspicious).tolist() == [[3, 0]]
    assert check.faces.loc[3].to_dict() == {
        **{"dataset": "one", "filename": "/one/3.png", "subject": check.faces["subject"][3], "coder": "bob"},
    }
    assert check.faces[["subject", "coder"]].iloc[24].tolist() == ["", ""]
    assert check.groups["coder"]["suspicious"].to_dict() == {"bob": 1, "ann": 0}
    assert check.groups["dataset"]["labels"].to_dict() == {"one": 24}
