"""Summary of folds: means and deviations over folds, and scores of all predictions pooled."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from faceflow.errors import DataError
from faceflow.evaluation.fold_scores import FinishedFold, report_folds
from faceflow.evaluation.intervals import Bootstrap
from faceflow.metrics.audited import Audit
from tests.helpers.contexts import run_context
from tests.helpers.networks import label_table

PROTOCOL = {"split": "2 folds by subject", "labels": "faces: occurrence = 1"}
# Of one fold: F1 at the threshold of validation, the best epoch, and rows of subject, probability and label.
FOLDS = {
    "fold1": (1.0, 0.75, [("p", 0.6, 1), ("p", 0.4, 0)], 0.5),
    "fold2": (2 / 3, 0.25, [("q", 0.6, 0), ("q", 0.7, 0), ("r", 0.9, 1)], 0.65),
}


def finish(output: Path, name: str, *, tested: bool = True, centred: bool = False) -> FinishedFold:
    f1, best, rows, threshold = FOLDS[name]
    folder = output / name
    folder.mkdir(parents=True)
    record: dict[str, Any] = {"monitor": {"metric": "val/f1_val", "best": best}, "run": {"data": {}}}
    if tested:
        scores = {"f1_val": f1, "f1_0.5": None, "ap": 0.5, "auroc": 0.5}
        summary = {"valid_aus": 1.0, **scores}
        counts = {"positives": float(sum(label for _, _, label in rows)), "observed": float(len(rows))}
        per_au = {"AU1": {"threshold_val": threshold, **counts, **scores}}
        record["test"] = {"faces": {"rows": len(rows), "summary": summary, "per_au": per_au}}
        frame = pd.DataFrame(rows, columns=["subject", "AU1_prob", "AU1_occurs"])
        if centred:  # which separates the classes at 0.5
            sure = {"threshold_val": 0.5, **dict.fromkeys(scores, 1.0)}
            record["centred"] = {
                "test": {"faces": {"rows": len(rows), "summary": {**summary, **sure}, "per_au": {"AU1": sure}}}
            }
            frame["AU1_prob_centred"] = 0.25 + frame["AU1_occurs"] / 2
        frame.insert(0, "dataset", "faces")
        frame.insert(1, "filename", [f"{name}/{row}" for row in range(len(rows))])
        frame.to_csv(folder / "predictions.csv", index=False)
    (folder / "metrics.json").write_text(json.dumps(record), "utf-8")
    tests = [label_table("faces", {"AU1": [float(label) for _, _, label in rows]})]
    return FinishedFold(name=name, folder=folder, tests=tests, aus=("AU1",))


def report(
    output: Path,
    finished: list[FinishedFold],
    *,
    tested: bool = True,
    audit: Audit | None = None,
    **protocol: str,
) -> float:
    return report_folds(
        run_context(output, seed=3),
        finished,
        unit="fold",
        protocol=protocol | PROTOCOL,
        monitor="val/f1_val",
        tested=tested,
        graded=False,
        bootstrap=Bootstrap(resamples=20, seed=0),
        audit=audit,
        started=0.0,
    )


def test_means_are_over_folds_and_pooled_scores_over_faces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(tmp_path, [finish(tmp_path, name) for name in FOLDS]) == 0.5
    content = json.loads((tmp_path / "metrics.json").read_text("utf-8"))
    assert content["monitor"] == {"metric": "val/f1_val", "best": 0.5}
    assert content["run"]["seed"] == 3
    assert content["mean"]["f1_val"] == pytest.approx(5 / 6)
    assert content["std"]["f1_val"] == pytest.approx(math.sqrt(2) / 6)  # sample deviation of 1 and 2/3
    assert content["pooled"]["f1_val"] == pytest.approx(2 * 2 / (2 * 2 + 1))  # 0.7 is the one false alarm
    assert content["pooled"]["f1_0.5"] == pytest.approx(2 * 2 / (2 * 2 + 2))  # 0.6 is another
    assert content["per_au"]["f1_0.5"]["AU1"]["folds"] == 0
    folds = pd.read_csv(tmp_path / "folds.csv")
    assert folds["fold"].tolist()[:2] == ["fold1", "fold2"]
    assert folds["images"].tolist()[:2] == [2, 3]
    assert "icc" not in folds
    per_au = pd.read_csv(tmp_path / "folds_per_au.csv")
    f1 = per_au[per_au["metric"] == "f1_val"].iloc[0]
    assert (f1["fold1"], f1["fold2"]) == pytest.approx((1, 2 / 3))
    printed = capsys.readouterr().out
    assert "Mean of the best val/f1_val: 0.5000" in printed
    assert (tmp_path / "folds.txt").read_text("utf-8").splitlines()[0] == "Test by fold"


def test_f1_of_guessing_is_shown_beside_scores(tmp_path: Path) -> None:
    report(tmp_path, [finish(tmp_path, name) for name in FOLDS])
    folds = pd.read_csv(tmp_path / "folds.csv").set_index("fold")
    # The AU occurs on 1 of 2 faces and on 1 of 3: 2b / (1 + b), and b.
    assert folds.loc[["fold1", "fold2", "mean", "pooled"], "f1_always"].tolist() == pytest.approx(
        [1 / 1.5, 0.5, (1 / 1.5 + 0.5) / 2, 0.8 / 1.4]  # 2 of 5 faces of all folds
    )
    assert folds.loc[["fold1", "fold2", "mean", "pooled"], "f1_prior"].tolist() == pytest.approx(
        [1 / 2, 1 / 3, (1 / 2 + 1 / 3) / 2, 2 / 5]
    )
    per_au = pd.read_csv(tmp_path / "folds_per_au.csv").set_index("metric")
    assert per_au.loc["f1_always", ["fold1", "fold2", "pooled"]].tolist() == pytest.approx([1 / 1.5, 0.5, 0.8 / 1.4])
    assert math.isnan(per_au.loc["f1_prior", "low"]), "no interval: nobody looked"
    by_fold, by_au = (tmp_path / "folds.txt").read_text("utf-8").split("F1@val by AU")
    assert [line.split()[:8] for line in by_fold.splitlines() if line.startswith(("fold ", "fold1"))] == [
        ["fold", "images", "subjects", "AUs", "always", "prior", "F1@val", "F1@0.5"],
        ["fold1", "2", "2", "1", "0.667", "0.500", "1.000", "-"],
    ]
    row = next(line for line in by_au.splitlines() if line.startswith("AU1"))
    assert row.split()[4:8] == ["0.571", "0.400", "1.000", "0.667"]
    assert "over all folds together" in " ".join(by_au.split())


def test_records_without_counts_have_no_guesses(tmp_path: Path) -> None:
    finished = [finish(tmp_path, name) for name in FOLDS]
    for fold in finished:
        path = fold.folder / "metrics.json"
        path.write_text(path.read_text("utf-8").replace('"positives"', '"before"'), "utf-8")
    report(tmp_path, finished)
    folds = pd.read_csv(tmp_path / "folds.csv").set_index("fold")
    assert folds["f1_always"].isna().all()
    assert folds.loc["fold1", "f1_val"] == 1.0


def test_centred_scores_are_summed_up_beside_the_raw_ones(tmp_path: Path) -> None:
    report(tmp_path / "raw", [finish(tmp_path / "raw", name) for name in FOLDS])
    report(tmp_path / "both", [finish(tmp_path / "both", name, centred=True) for name in FOLDS])
    raw, both = (json.loads((tmp_path / name / "metrics.json").read_text("utf-8")) for name in ("raw", "both"))
    assert {key: both[key] for key in ("mean", "std", "pooled", "per_au")} == {
        key: raw[key] for key in ("mean", "std", "pooled", "per_au")
    }
    assert both["centred"]["mean"]["f1_val"] == both["centred"]["pooled"]["f1_val"] == 1.0
    per_au = pd.read_csv(tmp_path / "both" / "folds_per_au.csv").query("metric == 'f1_val'").set_index("model")
    assert per_au["fold2"].to_dict() == pytest.approx({"tested": 2 / 3, "centred": 1.0})
    folds = pd.read_csv(tmp_path / "both" / "folds.csv").query("fold == 'fold2'").set_index("model")
    assert folds["f1_val"].to_dict() == pytest.approx({"tested": 2 / 3, "centred": 1.0})
    text = (tmp_path / "both" / "folds.txt").read_text("utf-8")
    assert "Test by fold, centred by subject" in text
    assert "F1@val by AU, centred by subject" in text


def test_centred_scores_of_some_folds_are_not_summed_up(tmp_path: Path) -> None:
    report(tmp_path, [finish(tmp_path, "fold1", centred=True), finish(tmp_path, "fold2")])
    assert "centred" not in json.loads((tmp_path / "metrics.json").read_text("utf-8"))
    assert "model" not in pd.read_csv(tmp_path / "folds.csv")


def test_without_tests_the_monitored_metric_stands_for_scores(tmp_path: Path) -> None:
    assert report(tmp_path, [finish(tmp_path, name, tested=False) for name in FOLDS], tested=False) == 0.5
    assert pd.read_csv(tmp_path / "folds.csv")["val/f1_val"].tolist()[:2] == [0.75, 0.25]
    assert not (tmp_path / "folds_per_au.csv").exists()


def test_legacy_numbers_are_called_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(tmp_path, [finish(tmp_path, name) for name in FOLDS], legacy="chosen on the test faces")
    assert "Mean of the best val/f1_val (legacy): 0.5000" in capsys.readouterr().out
    assert (tmp_path / "folds.txt").read_text("utf-8").startswith("Legacy test by fold")


def test_a_fold_without_its_record_is_refused(tmp_path: Path) -> None:
    finished = [finish(tmp_path, name) for name in FOLDS]
    (tmp_path / "fold2" / "metrics.json").unlink()
    with pytest.raises(DataError, match=r"fold2/metrics.json: expected the record of a finished fold"):
        report(tmp_path, finished)
    assert not (tmp_path / "metrics.json").exists()


def test_groups_are_those_of_the_faces_of_all_folds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished = [finish(tmp_path, name) for name in FOLDS]
    marked = []
    for fold, sexes in zip(finished, (["f", "f"], ["m", "m", "f"]), strict=True):
        subjects = [row[0] for row in FOLDS[fold.name][2]]
        tests = [
            dataclasses.replace(each, subjects=np.array(subjects), attributes={"sex": np.array(sexes)})
            for each in fold.tests
        ]
        marked.append(dataclasses.replace(fold, tests=tests))
    report(tmp_path, marked, audit=Audit(columns=("sex",), least_subjects=2))
    content = json.loads((tmp_path / "metrics.json").read_text("utf-8"))["groups"]["sex"]
    # Women: 0.6 at the threshold 0.5 of the first fold and 0.9 at the 0.65 of the second, both hits, and 0.4.
    assert content["groups"].keys() == {"f"}
    assert (content["groups"]["f"]["subjects"], content["groups"]["f"]["faces"]) == (2, 3)
    assert content["groups"]["f"]["f1_val"]["value"] == 1.0
    assert content["groups"]["f"]["rate_error"]["value"] == pytest.approx((0.6 + 0.4 + 0.9) / 3 - 2 / 3)
    assert content["too_small"] == {"m": 1}
    assert "Groups: test faces of all folds" in capsys.readouterr().out
    assert "Groups" in (tmp_path / "folds.txt").read_text("utf-8")
    assert (tmp_path / "groups.csv").is_file()
