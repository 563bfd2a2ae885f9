"""faceflow-compare and faceflow.compare on tests written by the commands."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

import faceflow
from tests.helpers.compared import predictions
from tests.integration.command import Faces, Outcome, evaluate, run


def test_runs_are_named_without_a_key_and_compared(trained: Outcome, faces: Faces, tmp_path: Path) -> None:
    tested = evaluate(trained, tmp_path / "a=1, b", *faces.overrides)
    done = run("compare", tmp_path, str(trained.folder), str(tested.folder), f"output={tmp_path / 'found'}")
    assert done.code == 0, done.stderr
    rows = pd.read_csv(tmp_path / "found/comparison.csv")
    assert set(rows["run"]) == {"a=1, b"}
    assert rows["difference"].dropna().abs().max() < 1e-6
    assert not {"win", "loss"} & set(rows["verdict"])
    recorded = trained.metrics()["test"]["faces"]["per_au"] if "faces" in trained.metrics()["test"] else {}
    for au, scores in recorded.items():
        row = rows[(rows["metric"] == "f1_val") & (rows["au"] == au)].iloc[0]
        if scores["f1_val"] is not None:
            assert abs(row["score_reference"] - scores["f1_val"]) < 1e-6
    assert "Results: " in done.stdout

    again = faceflow.compare(
        trained.folder, tested.folder, metrics=["f1_val"], output=tmp_path / "python", config_dir=None
    )
    pd.testing.assert_frame_equal(again.table, rows[rows["metric"] == "f1_val"], check_dtype=False)
    assert again.picture.is_file()


def test_a_foreign_table_is_refused_in_one_line(trained: Outcome, tmp_path: Path) -> None:
    predictions(1).rename(columns={"subject": "id"}).to_csv(tmp_path / "tool.csv", index=False)
    done = run("compare", tmp_path, str(trained.folder), str(tmp_path / "tool.csv"), f"output={tmp_path / 'found'}")
    assert done.code == 2
    assert done.error.endswith("tool.csv: expected a column 'subject', got dataset, filename, id, AU1_prob, "
                               "AU1_occurs, AU6_prob, ...; rename 'id' to 'subject'")  # fmt: skip
    assert not (tmp_path / "found").exists()


def test_a_typing_error_names_what_was_meant(trained: Outcome, tmp_path: Path) -> None:
    done = run("compare", tmp_path, str(trained.folder), str(trained.folder), "levl=0.01")
    assert done.code == 2
    assert "did you mean 'level'?" in done.error
