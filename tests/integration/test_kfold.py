"""Folds by subject in the commands: drawn, published and legacy folds, and their summary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from faceflow.metrics.bootstrap import SubjectBootstrap
from faceflow.metrics.occurrence import f1 as f1_metric
from tests.helpers.faces import write_csv_dataset
from tests.integration.command import AUS, SMALL, Faces, Outcome, run, train

pytestmark = pytest.mark.slow

FOLDS = ("fold1", "fold2", "fold3")


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    """Nine subjects; some labels are missing, and the test subjects of the first fold never show AU6."""
    faces = Faces(write_csv_dataset(tmp_path_factory.mktemp("data") / "faces", aus=AUS, subjects=9, frames=4))
    frame = faces.read()
    frame.loc[::7, "AU1"] = ""
    frame["AU6"] = frame["AU6"].mask(frame["subject"].isin(["s4", "s6", "s7"]), "0")
    faces.write(frame)
    return faces


@pytest.fixture(scope="module")
def whole(faces: Faces, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("runs") / "kfold"
    return train(folder, "protocol=kfold", "levels=5", "bootstrap.resamples=50", *faces.overrides)


def predictions(outcome: Outcome, fold: str) -> pd.DataFrame:
    return pd.read_csv(outcome.folder / fold / "predictions.csv", dtype={"subject": str})


def per_au(outcome: Outcome, fold: str) -> pd.DataFrame:
    return pd.read_csv(outcome.folder / fold / "per_au.csv").set_index("au")


def anova_icc(first: np.ndarray, second: np.ndarray) -> float:
    """ICC(3,1) from the sums of squares of a two-way analysis of variance (Shrout and Fleiss 1979)."""
    ratings = np.stack([first, second], axis=1)
    n, k = ratings.shape
    grand = ratings.mean()
    total = ((ratings - grand) ** 2).sum()
    targets = k * ((ratings.mean(axis=1) - grand) ** 2).sum()
    judges = n * ((ratings.mean(axis=0) - grand) ** 2).sum()
    between, error = targets / (n - 1), (total - targets - judges) / ((n - 1) * (k - 1))
    return float((between - error) / (between + (k - 1) * error))


def test_every_subject_is_tested_once_and_named(whole: Outcome) -> None:
    tested = [set(predictions(whole, fold)["subject"]) for fold in FOLDS]
    assert sorted(map(len, tested)) == [3, 3, 3]
    assert set.union(*tested) == {f"own/s{n}" for n in range(9)}
    lines = whole.stdout.splitlines()
    for number, (fold, subjects) in enumerate(zip(FOLDS, tested, strict=True), 1):
        names = " ".join(sorted(subject.removeprefix("own/") for subject in subjects))
        assert lines[lines.index(f"Fold {number} of 3, {fold}: data") + 1] == f"Tests {names}"
        assert Outcome(0, "", "", whole.folder / fold).metrics()["protocol"]["split"].endswith(f"{fold} tests {names}")


def test_scores_written_equal_scikit_learn_on_the_predictions_written(whole: Outcome) -> None:
    missing = 0
    for fold in FOLDS:
        frame, scores = predictions(whole, fold), per_au(whole, fold)
        for au in AUS:
            rows = frame[frame[f"{au}_occurs"].notna()]
            missing += len(frame) - len(rows)
            truth, probability = rows[f"{au}_occurs"].astype(int), rows[f"{au}_prob"]
            found = scores.loc[au]
            if truth.nunique() < 2:
                assert np.isnan([found["f1_0.5"], found["ap"], found["auroc"]]).all()
                continue
            assert found["f1_0.5"] == pytest.approx(f1_score(truth, probability >= 0.5, zero_division=0), abs=1e-6)
            assert found["ap"] == pytest.approx(average_precision_score(truth, probability), abs=1e-6)
            assert found["auroc"] == pytest.approx(roc_auc_score(truth, probability), abs=1e-6)
            assert found["icc"] == pytest.approx(anova_icc(rows[f"{au}_int"], rows[au]), abs=1e-6)
    assert missing > 3


def test_the_summary_has_both_conventions_per_au(whole: Outcome) -> None:
    table = whole.table("folds_per_au.csv").set_index(["metric", "au"])
    folds = {fold: per_au(whole, fold) for fold in FOLDS}
    everything = pd.concat([predictions(whole, fold) for fold in FOLDS])
    for metric in ("f1_val", "f1_0.5", "ap", "auroc", "icc"):
        for au in AUS:
            row = table.loc[metric, au]
            values = np.array([folds[fold].loc[au, metric] for fold in FOLDS])
            known = values[np.isfinite(values)]
            assert row[list(FOLDS)].tolist() == pytest.approx(values.tolist(), nan_ok=True)
            assert (row["folds"], row["mean"]) == (len(known), pytest.approx(known.mean()))
            if len(known) > 1:
                assert row["std"] == pytest.approx(np.sqrt(((known - known.mean()) ** 2).sum() / (len(known) - 1)))
    for au in AUS:
        rows = everything[everything[f"{au}_occurs"].notna()]
        pooled = f1_score(rows[f"{au}_occurs"].astype(int), rows[f"{au}_prob"] >= 0.5, zero_division=0)
        row = table.loc["f1_0.5", au]
        assert row["pooled"] == pytest.approx(pooled)
        assert row["low"] <= row["pooled"] <= row["high"]
    assert table.loc[["ap", "auroc"], ["pooled", "low", "high"]].isna().all(axis=None)
    stored = whole.metrics()["per_au"]["icc"]["AU1"]
    assert stored["mean"] == pytest.approx(table.loc[("icc", "AU1"), "mean"])
    assert whole.metrics()["bootstrap"] == {"resamples": 50, "seed": 0}


def test_a_comparison_pools_the_folds_as_their_summary_does(whole: Outcome, tmp_path: Path) -> None:
    done = run("compare", tmp_path, str(whole.folder), str(whole.folder), f"output={tmp_path / 'found'}")
    assert done.code == 0, done.stderr
    rows = pd.read_csv(tmp_path / "found/comparison.csv").set_index(["metric", "au"])
    summary = whole.metrics()
    for metric in ("f1_val", "icc"):
        assert rows.loc[(metric, "mean"), "score"] == pytest.approx(summary["pooled"][metric], abs=1e-6)
        for au in AUS:
            assert rows.loc[(metric, au), "score"] == pytest.approx(summary["per_au"][metric][au]["pooled"], abs=1e-6)
    assert "ap" not in rows.index.get_level_values("metric")
    assert set(rows["difference"]) == {0}
    one = run("compare", tmp_path, str(whole.folder), str(whole.folder / "fold1"))
    assert one.code == 2
    assert ": expected the same test faces as " in one.error
    assert "6 more subjects" in one.error


def test_every_test_has_intervals_over_its_subjects(whole: Outcome) -> None:
    frame, scores = predictions(whole, "fold1"), per_au(whole, "fold1")
    occurs = frame[[f"{au}_occurs" for au in AUS]].to_numpy(float)
    predicted = frame[[f"{au}_prob" for au in AUS]].to_numpy() >= 0.5
    expected = SubjectBootstrap(frame["subject"], resamples=50, seed=0).decisions(
        f1_metric, predicted, occurs, np.isfinite(occurs)
    )
    bounds = scores.loc[list(AUS), ["f1_0.5_low", "f1_0.5_high"]].to_numpy()
    assert bounds == pytest.approx(np.stack([expected.per_au.low, expected.per_au.high], axis=1), nan_ok=True)
    summary = Outcome(0, "", "", whole.folder / "fold1").metrics()["test"]["faces"]["summary"]
    low, high = float(expected.mean.low), float(expected.mean.high)
    assert [summary["f1_0.5_low"], summary["f1_0.5_high"]] == pytest.approx([low, high])
    assert f"F1@0.5 {low:.3f} to {high:.3f}" in " ".join(whole.stdout.split())


def test_an_au_that_nobody_of_a_fold_shows_is_named_and_left_out_of_the_mean(whole: Outcome) -> None:
    table = whole.table("folds_per_au.csv").set_index(["metric", "au"])
    row = table.loc["auroc", "AU6"]
    assert np.isnan(row["fold1"])
    assert row["folds"] == 2
    assert row["mean"] == pytest.approx((row["fold2"] + row["fold3"]) / 2)
    warned = [line for line in whole.stderr.splitlines() if line.startswith("WARNING Fold") and "AU6" in line]
    assert warned[0].endswith("Fold 1 of 3, fold1: AU6 has no positive test labels; no score is reported")
    assert warned[1].endswith("AU6 has no positive validation labels; no threshold or F1@val is reported")
    text = (whole.folder / "folds.txt").read_text("utf-8").splitlines()
    f1, icc = [line.removeprefix("AU6   cheek raiser").split() for line in text if line.startswith("AU6")]
    truth = pd.concat([predictions(whole, fold)["AU6_occurs"] for fold in FOLDS])
    assert f1[:2] == [f"{f1_score(truth, np.ones(len(truth))):.3f}", f"{truth.mean():.3f}"]  # of those who do not look
    assert (f1[2], f1[5]) == ("-", "1/3")
    assert (icc[0], icc[3]) == ("-", "2/3")
    assert any(line.startswith("mean  of 3 of 3 AUs") for line in text)


def test_labels_are_checked_by_the_folds_that_did_not_learn_them(whole: Outcome, faces: Faces, tmp_path: Path) -> None:
    done = run("test", tmp_path, "labels=check", f"predictions={whole.folder}", "pictures=false", *faces.overrides)
    assert done.code == 0, done.stderr
    rows, expected = pd.concat([predictions(whole, fold) for fold in FOLDS]), set()
    for au in AUS:
        known = rows.dropna(subset=[f"{au}_occurs"])
        truth, probability = known[f"{au}_occurs"] == 1, known[f"{au}_prob"]
        if min(truth.sum(), (~truth).sum()) >= 10:
            present, absent = probability[truth].mean(), (1 - probability[~truth]).mean()
            wrong = known[np.where(truth, (1 - probability) >= max(absent, 0.5), probability >= max(present, 0.5))]
            expected |= {(au, filename) for filename in wrong["filename"]}
    found = done.table("label_check.csv")
    assert set(zip(found["au"], found["filename"], strict=True)) == expected
    assert done.metrics()["label_check"]["per_au"]["AU1"]["labels"] == 36 - len(range(0, 36, 7)), "some are missing"
    assert "report.html" not in done.files()


def test_legacy_numbers_are_marked_everywhere(faces: Faces, tmp_path: Path) -> None:
    outcome = train(tmp_path, "protocol=kfold", "protocol.k=2", "protocol.legacy=true", *faces.overrides)
    one = Outcome(0, "", "", tmp_path / "fold1")
    for protocol in (outcome.metrics()["protocol"], one.metrics()["protocol"]):
        assert next(iter(protocol)) == "legacy"
        assert "best epoch chosen on the test faces, threshold 0.5" in protocol["legacy"]
        assert "not comparable" in protocol["legacy"]
    assert "Legacy test by fold" in (tmp_path / "folds.txt").read_text("utf-8")
    assert "F1@0.5 by AU" in (tmp_path / "folds.txt").read_text("utf-8")
    assert "optimistic, not comparable" in (tmp_path / "folds.txt").read_text("utf-8")
    for table in ("folds.csv", "folds_per_au.csv", "fold1/per_au.csv"):
        assert set(outcome.table(table)["protocol"]) == {"legacy"}
    assert "Legacy test of fold1" in outcome.stdout
    assert "Mean of the best val/f1_val (legacy): " in outcome.stdout
    # The best value of the monitor is that of the test, at threshold 0.5.
    scores = one.metrics()["test"]["faces"]["summary"]
    assert one.metrics()["monitor"]["best"] == pytest.approx(scores["f1_0.5"], abs=1e-6)
    assert scores["f1_val"] == scores["f1_0.5"]
    assert set(per_au(outcome, "fold1")["threshold_val"]) == {0.5}
    protocol = one.metrics()["protocol"]
    assert protocol["val"] == protocol["test"]
    assert sum(int(part.split("(")[1].split()[0]) for part in (protocol["train"], protocol["test"])) == 36


def test_published_folds_run_on_a_csv_of_ones_own(tmp_path: Path) -> None:
    people = [f"SN{n:03d}" for n in (1, 2, 9, 10, 3, 4, 6, 11, 99)]
    subjects = [subject for subject in people for _ in range(2)]
    faces = Faces(write_csv_dataset(tmp_path / "faces", aus=AUS, subjects=9, frames=2, columns={"subject": subjects}))
    refused = run("train", tmp_path / "no", *SMALL, "protocol=disfa3", *faces.overrides)
    assert refused.code == 2
    assert "expected every subject in one of its folds, got 1 in none (own/SN099); " in refused.error
    report = train(tmp_path / "out", "protocol=disfa3", "protocol.others=train", "report_only=true", *faces.overrides)
    lines = report.stdout.splitlines()
    assert [line for line in lines if line.startswith("Tests ")] == [
        "Tests SN003 SN004",
        "Tests SN006 SN011",
        "Tests SN001 SN002 SN009 SN010",
    ]
    assert "1 subjects that are in no fold are trained on in every fold (own/SN099)" in report.stderr
    assert "19 of its 27 subjects are not in the data (SN005, " in report.stderr


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["protocol=kfold", "protocol.k=10"], "faces: expected at least as many subjects as folds (10), got 9; lower"),
        (["protocol=kfold", "protocol.only=[fold4]"], "protocol.only: expected folds of the protocol, got 'fold4'"),
        (["protocol=bp4d3"], "protocol.subjects: expected subjects such as F001, F002, F008, F009, F010, ..., got "),
        (["protocol=leave_one_dataset_out"], "protocol: expected at least two data sets to leave one out, got only"),
        (["bootstrap.resamples=-1"], "bootstrap.resamples: expected a whole number >= 0, got -1"),
    ],
)
def test_mistakes_are_named(faces: Faces, tmp_path: Path, overrides: list[str], message: str) -> None:
    outcome = run("train", tmp_path, *SMALL, *overrides, *faces.overrides)
    assert outcome.code == 2
    assert message in outcome.error
