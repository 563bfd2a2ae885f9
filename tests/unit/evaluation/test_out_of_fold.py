"""Predictions of folds for faces unseen in training, looked up by data set and file name."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from faceflow.errors import ConfigError, DataError
from faceflow.evaluation.out_of_fold import read_out_of_fold
from tests.helpers.networks import label_table

HEADER = "dataset,filename,subject,AU1_prob,AU1_occurs"


def write(folder: Path, folds: Mapping[str, list[str]], *, header: str = HEADER, **protocol: str) -> Path:
    """Write what a run with folds leaves behind, as far as it is read."""
    for name, rows in folds.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "metrics.json").write_text("{}", "utf-8")
        (folder / name / "predictions.csv").write_text("\n".join([header, *rows, ""]), "utf-8")
    (folder / "config.yaml").write_text("task: train\n", "utf-8")
    record = {"folds": {name: {} for name in folds}, "protocol": {"split": "2 folds", **protocol}}
    (folder / "metrics.json").write_text(json.dumps(record), "utf-8")
    return folder


FOLDS = {"fold1": ["one,/one/2.png,p,0.6,1"], "fold2": ["one,/one/0.png,q,0.1,0", "one,/one/1.png,q,,0"]}


def test_faces_are_found_whatever_fold_tested_them(tmp_path: Path) -> None:
    found = read_out_of_fold(str(write(tmp_path, FOLDS)))
    assert (found.aus, found.graded, found.protocol["split"]) == (("AU1",), False, "2 folds")
    np.testing.assert_array_equal(found.of_faces([label_table("one", {"AU1": [0, 0, 1]})]), [[0.1], [np.nan], [0.6]])


def test_one_data_set_can_have_another_name_now(tmp_path: Path) -> None:
    folds = {name: [row.replace("one,", "before,") for row in rows] for name, rows in FOLDS.items()}
    found = read_out_of_fold(str(write(tmp_path, folds)))
    np.testing.assert_array_equal(found.of_faces([label_table("one", {"AU1": [0, 0, 1]})])[2], [0.6])


def test_data_sets_with_equal_file_names_are_told_apart(tmp_path: Path) -> None:
    folds = {"fold1": ["one,/one/0.png,p,0.6,1"], "fold2": ["two,/one/0.png,p,0.2,1", "two,/two/0.png,p,0.3,1"]}
    tables = [label_table(name, {"AU1": [0]}) for name in ("one", "two")]
    np.testing.assert_array_equal(read_out_of_fold(str(write(tmp_path, folds))).of_faces(tables), [[0.6], [0.3]])


def test_a_face_of_several_folds_has_the_mean_of_those_that_know_the_au(tmp_path: Path) -> None:
    rows = {"fold1": ["one,/one/0.png,p,0.6,1,0.9"], "fold2": ["one,/one/0.png,p,0.2,1,"]}
    found = read_out_of_fold(str(write(tmp_path, rows, header=f"{HEADER},AU4_prob")))
    np.testing.assert_allclose(found.of_faces([label_table("one", {"AU1": [0]})]), [[0.4, 0.9]])


def test_faces_without_prediction_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = read_out_of_fold(str(write(tmp_path, FOLDS)))
    with caplog.at_level(logging.WARNING):
        values = found.of_faces([label_table("one", {"AU1": [0] * 5})])
    assert np.isnan(values[:, 0]).tolist() == [False, True, False, True, True]
    assert f"2 of 5 faces have no prediction in '{tmp_path}'" in caplog.text


def test_other_data_is_refused(tmp_path: Path) -> None:
    found = read_out_of_fold(str(write(tmp_path, FOLDS)))
    with pytest.raises(
        DataError, match=r"data: expected the faces .* such as /one/2.png of one, got /two/0.png of two;"
    ):
        found.of_faces([label_table("two", {"AU1": [0]})])


def test_folders_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="predictions: expected the folder of a run with folds, got 'nowhere'"):
        read_out_of_fold("nowhere")
    with pytest.raises(DataError, match="without a readable metrics.json"):
        read_out_of_fold(str(tmp_path))
    lost = write(tmp_path / "lost", FOLDS)
    (lost / "fold2/predictions.csv").unlink()
    with pytest.raises(DataError, match=r"fold2/predictions.csv: expected the predictions of a test, got none"):
        read_out_of_fold(str(lost))
    torn = write(tmp_path / "torn", {"fold1": ["one,/one/0.png,p,high,1"]})
    with pytest.raises(DataError, match=r"fold1/predictions.csv: expected the predictions of a test, got none"):
        read_out_of_fold(str(torn))
    seen = write(tmp_path / "seen", FOLDS, caution="includes subjects seen in training or validation")
    with pytest.raises(DataError, match=r"got '.*seen': includes subjects seen in training or validation; name"):
        read_out_of_fold(str(seen))
