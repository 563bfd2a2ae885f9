"""The files of a test contain its results, by row and by AU."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lightning.pytorch.loggers import CSVLogger

from faceflow.evaluation.scoring import SplitScorer
from faceflow.evaluation.test_report import publish_test, report_test
from faceflow.evaluation.testing import TestScores
from faceflow.metrics.au_scores import Prediction
from faceflow.models.checkpoint import Payload
from tests.helpers.calibration import calibration_of
from tests.helpers.contexts import run_context
from tests.helpers.networks import label_table, network_spec

NAN = math.nan
SPEC = network_spec(levels=5)
PAYLOAD = Payload(spec=SPEC, protocol={"split": "by subject"}, seen=[], config={}, versions={})


def scores() -> TestScores:
    tables = [label_table("one", {"AU1": [0, 5], "AU12": [NAN, 3]}), label_table("two", {"AU1": [4, 0]})]
    prediction = Prediction(
        probability=np.array([[0.1, 0.9, 0.7, 0.6], [0.5, 0.8, 0.5, 0.5]]).T,
        intensity=np.array([[0.5, 4.5, 3.0, 1.0], [1.0, 3.0, 1.0, 1.0]]).T,
    )
    scorer = SplitScorer(tables, SPEC)
    evaluations = scorer.score(np.arange(4), prediction, {"AU1": 0.65})
    return TestScores(tables=tables, scorer=scorer, evaluations=evaluations, prediction=prediction)


def report(output: Path) -> None:
    splits = {"test": list(scores().tables)}
    report_test(scores(), PAYLOAD, run_context(output), title="Test", splits=splits, extra={"checkpoint": "best.ckpt"})


def test_numbers_are_written_by_data_set_with_their_protocol(tmp_path: Path) -> None:
    report(tmp_path)
    content = json.loads((tmp_path / "metrics.json").read_text("utf-8"))
    assert content["checkpoint"] == "best.ckpt"
    assert content["protocol"] == {"split": "by subject"}
    assert {name: found["rows"] for name, found in content["test"].items()} == {"one": 2, "two": 2, "all": 4}
    assert content["test"]["all"]["per_au"]["AU1"]["f1_val"] == 1.0
    assert content["test"]["all"]["per_au"]["AU1"]["f1_0.5"] == pytest.approx(0.8)  # 0.6 is a false alarm
    assert content["test"]["all"]["per_au"]["AU12"]["f1_val"] is None
    per_au = pd.read_csv(tmp_path / "per_au.csv")
    assert per_au["au"].tolist() == ["AU1", "AU12", "AU1", "AU12", "AU1", "AU12"]
    assert not (tmp_path / "report.html").exists(), "pictures=false"


def test_predictions_stand_beside_the_labels_of_their_rows(tmp_path: Path) -> None:
    report(tmp_path)
    frame = pd.read_csv(tmp_path / "predictions.csv")
    assert frame["dataset"].tolist() == ["one", "one", "two", "two"]
    assert frame["subject"].tolist() == ["/one/0.png", "/one/1.png", "/two/0.png", "/two/1.png"]
    assert frame["AU1_prob"].tolist() == pytest.approx([0.1, 0.9, 0.7, 0.6])
    assert frame["AU1_int"].tolist() == [0.5, 4.5, 3.0, 1.0]
    assert frame["AU1_occurs"].tolist() == [0, 1, 1, 0]
    assert frame["AU12_occurs"].tolist() == pytest.approx([NAN, 1, NAN, NAN], nan_ok=True)
    assert frame["AU12"].tolist() == pytest.approx([NAN, 3, NAN, NAN], nan_ok=True)


def test_loggers_are_told_the_scores(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path, name="log", version=0)
    splits = {"test": list(scores().tables)}
    told = {"loggers": [logger], "checkpoint": None, "title": "Test", "splits": splits, "extra": {}, "baseline": None}
    publish_test(scores(), PAYLOAD, run_context(tmp_path), **told)  # type: ignore[arg-type]
    logged = pd.read_csv(tmp_path / "log" / "version_0" / "metrics.csv")
    assert logged["test/one/f1_val/AU1"].tolist() == [1.0]
    assert logged["test/f1_0.5"].tolist() == pytest.approx([0.8])
    assert "test/f1_val/AU12" not in logged, "undefined"
    assert (tmp_path / "metrics.json").is_file()


def test_calibrated_probabilities_have_their_errors_before_and_after(tmp_path: Path) -> None:
    calibration = calibration_of(SPEC.aus)
    payload = dataclasses.replace(PAYLOAD, calibration=calibration)
    found, before = scores(), scores().prediction
    after = Prediction(probability=calibration.apply(before.probability, SPEC.aus), intensity=before.intensity)
    found = dataclasses.replace(found, prediction=after)
    report_test(found, payload, run_context(tmp_path), title="Test", splits={"test": list(found.tables)}, extra={})
    frame = pd.read_csv(tmp_path / "calibration.csv").set_index(["dataset", "au"])
    assert frame["observed"].to_dict()[("all", "AU1")] == 4
    brier = np.mean((before.probability[:, 0] - np.array([0, 1, 1, 0])) ** 2)
    assert frame.loc[("all", "AU1"), "brier_before"] == pytest.approx(brier)
    assert set(frame.index.get_level_values("dataset")) == {"one", "two", "all"}
    content = json.loads((tmp_path / "metrics.json").read_text("utf-8"))
    assert content["probability_calibration"]["all"]["ece"] == pytest.approx(frame.loc["all", "ece"].mean())
    report(tmp_path / "plain")
    assert not (tmp_path / "plain" / "calibration.csv").exists()
