"""faceflow-test labels=check: on the unseen subjects of a checkpoint, and with the predictions of folds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import faceflow
from tests.integration.command import AUS, Faces, Outcome, evaluate, make_faces, run

PREDICTED = "predictions.csv"


@pytest.fixture
def own(tmp_path: Path) -> Faces:
    """Ten subjects with four images each, and their coders."""
    faces = make_faces(tmp_path / "own")
    frame = faces.read()
    frame["coder"] = ["ann", "bob"] * (len(frame) // 2)
    faces.write(frame)
    return faces


def write_folds(folder: Path, faces: Faces, wrong: int) -> Path:
    """Predictions of two folds that agree with all labels of AU1 but one, as a training with folds writes them."""
    frame = faces.read()
    occurs = (frame["AU1"].astype(int) >= 2).to_numpy()
    probability = np.where(occurs, 0.9, 0.1)
    probability[wrong] = 0.02 if occurs[wrong] else 0.98
    columns = {"dataset": "own", "filename": frame["filename"], "subject": "own/" + frame["subject"]}
    rows = pd.DataFrame({**columns, "AU1_prob": probability, "AU1_occurs": occurs.astype(int)})
    for place, part in enumerate((rows[:20], rows[20:]), 1):
        (folder / f"fold{place}").mkdir(parents=True)
        part.to_csv(folder / f"fold{place}" / PREDICTED, index=False)
        (folder / f"fold{place}/metrics.json").write_text("{}", "utf-8")
    (folder / "config.yaml").write_text("task: train\n", "utf-8")
    record = {"folds": {"fold1": {}, "fold2": {}}, "protocol": {"split": "2 folds by subject"}}
    (folder / "metrics.json").write_text(json.dumps(record), "utf-8")
    return folder


@pytest.mark.slow
def test_folds_find_the_label_that_they_contradict(own: Faces, tmp_path: Path) -> None:
    folds = write_folds(tmp_path / "folds", own, wrong=13)
    before = own.csv.read_bytes()
    done = run("test", tmp_path / "out", "labels=check", f"predictions={folds}", *own.overrides)
    assert done.code == 0, done.stderr
    rows, truth = done.table("label_check.csv"), own.read().iloc[13]
    assert rows[["rank", "filename", "au", "label", "coder"]].to_numpy().tolist() == [
        [1, truth["filename"], "AU1", int(int(truth["AU1"]) >= 2), "bob"]
    ]
    assert own.csv.read_bytes() == before, "no label changes"
    assert done.files() == {
        *("label_check.csv", "metrics.json", "report.html", "test.log", "pictures/suspicious_labels.png"),
    }
    found = done.metrics()
    assert found["label_check"]["by"]["coder"]["bob"]["suspicious"] == 1
    assert found["label_check"]["labels"] == 40
    assert found["protocol"]["split"] == "2 folds by subject"
    page = (done.folder / "report.html").read_text("utf-8")
    for text in ("Suspicious labels by coder", "labels that are probably wrong", "of 40"):
        assert text in page
    again = run("test", tmp_path / "out", "labels=check", f"predictions={folds}", *own.overrides)
    assert "overwrite=true" in again.error
    from_python = faceflow.test(
        ["labels=check", f"predictions={folds}", *own.overrides], output=tmp_path / "python", overwrite=False
    )
    assert from_python.table.empty
    assert from_python.metrics["label_check"] == found["label_check"]


def test_a_test_shows_suspicious_labels_beside_unchanged_scores(trained: Outcome, faces: Faces, tmp_path: Path) -> None:
    plain = evaluate(trained, tmp_path / "plain", *faces.overrides)
    checked = evaluate(trained, tmp_path / "checked", *faces.overrides, "labels=check", "pictures=true")
    pd.testing.assert_frame_equal(checked.table("per_au.csv"), plain.table("per_au.csv"))
    pd.testing.assert_frame_equal(checked.table(PREDICTED), plain.table(PREDICTED))
    assert checked.table("label_check.csv").empty, "eight faces are too few to check anything"
    assert f"not checked: {', '.join(AUS)} (fewer than 10 labels of 0, or of 1)" in " ".join(checked.stdout.split())
    assert checked.metrics()["label_check"]["suspicious"] == 0
    assert "per_au.csv, predictions.csv, label_check.csv" in checked.stdout
    assert "Suspicious labels" in (checked.folder / "report.html").read_text("utf-8")
    assert not (plain.folder / "label_check.csv").exists()


def test_labels_of_known_subjects_are_not_checked(trained: Outcome, faces: Faces, tmp_path: Path) -> None:
    frame = faces.read()
    tested = set(trained.table(PREDICTED)["filename"])
    known = faces.write(frame[~frame["filename"].isin(tested)], "known.csv")
    where = (f"checkpoint={trained.checkpoint()}", "accelerator=cpu", "loader.workers=0", "labels=check")
    refused = run("test", tmp_path / "a", *where, "data=csv", f"data.labels={known}", f"data.images={faces.images}")
    assert refused.code == 2
    assert "expected subjects that the checkpoint has not seen, got none: a network repeats" in refused.error
    everybody = run("test", tmp_path / "b", *where, "subset=all", *faces.overrides)
    assert everybody.code == 2
    assert "subset: expected unseen with labels=check, got 'all'" in everybody.error
