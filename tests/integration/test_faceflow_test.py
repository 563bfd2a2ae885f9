"""faceflow-test: the same numbers as in training, on unseen subjects, checked with scikit-learn and by brute force."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from faceflow.console import number
from faceflow.data.splits import SplitConfig, make_splits
from faceflow.models.checkpoint import load_network
from tests.helpers.faces import read_folder
from tests.integration.command import AUS, Faces, Outcome, evaluate, make_faces, run, train


def test_faceflow_test_repeats_the_numbers_of_training_on_unseen_subjects_only(
    trained: Outcome, faces: Faces, tmp_path: Path
) -> None:
    tested = evaluate(trained, tmp_path, *faces.overrides, "pictures=true")
    said = "WARNING left out 32 images of subjects that the checkpoint was trained or validated on\n"
    assert tested.stderr == said, "nothing else, nor empty lines of a bar that nobody sees"
    assert tested.metrics()["protocol"]["left out"] == "32 images of seen subjects"
    for metric, value in trained.metrics()["test"]["faces"]["summary"].items():
        assert tested.metrics()["test"]["faces"]["summary"][metric] == pytest.approx(value, abs=1e-9)
    pd.testing.assert_frame_equal(tested.table("per_au.csv"), trained.table("per_au.csv"), atol=1e-9)
    assert not set(tested.table("predictions.csv")["subject"]) & set(load_network(trained.checkpoint(), key="")[1].seen)
    assert tested.files() == {
        *("metrics.json", "per_au.csv", "predictions.csv", "data.txt", "test.log", "report.html", "results.png"),
        *(f"pictures/{name}.png" for name in ("hardest", "confusion", "calibration", "cooccurrence")),
    }


def test_metrics_agree_with_scikit_learn_on_all_subjects_and_say_who_was_seen(
    trained: Outcome, faces: Faces, tmp_path: Path
) -> None:
    tested = evaluate(trained, tmp_path, *faces.overrides, "subset=all")
    assert tested.metrics()["protocol"]["caution"] == "includes subjects seen in training or validation"
    assert "includes subjects seen in training or validation" in " ".join(tested.stdout.split())
    predictions, per_au = tested.table("predictions.csv"), tested.table("per_au.csv").set_index("au")
    assert len(predictions) == 40
    expected = {
        au: {
            "f1_0.5": f1_score(predictions[f"{au}_occurs"], predictions[f"{au}_prob"] >= 0.5),
            "f1_val": f1_score(
                predictions[f"{au}_occurs"], predictions[f"{au}_prob"] >= per_au.loc[au, "threshold_val"]
            ),
            "ap": average_precision_score(predictions[f"{au}_occurs"], predictions[f"{au}_prob"]),
            "auroc": roc_auc_score(predictions[f"{au}_occurs"], predictions[f"{au}_prob"]),
        }
        for au in AUS
    }
    for au, metric in itertools.product(AUS, ("f1_0.5", "f1_val", "ap", "auroc")):
        assert per_au.loc[au, metric] == pytest.approx(expected[au][metric], abs=1e-9), (au, metric)
    summary = tested.metrics()["test"]["faces"]["summary"]
    for metric in ("f1_0.5", "f1_val", "ap", "auroc"):
        assert summary[metric] == pytest.approx(np.mean([expected[au][metric] for au in AUS]), abs=1e-9)


def test_thresholds_are_the_best_ones_on_the_validation_subjects(
    trained: Outcome, faces: Faces, tmp_path: Path
) -> None:
    (val,) = make_splits([read_folder(faces.folder)], SplitConfig(val=0.3, test=0.2, seed=0, labeled=1.0))["val"]
    frame = faces.read().set_index("filename")
    csv = Faces(tmp_path).write(frame.loc[val.filenames.tolist()].reset_index())
    overrides = ("data=csv", f"data.labels={csv}", f"data.images={faces.images}", "subset=all")
    predictions = evaluate(trained, tmp_path / "run", *overrides).table("predictions.csv")
    stored = load_network(trained.checkpoint(), key="")[1].thresholds
    for au in AUS:
        probability, truth = predictions[f"{au}_prob"].to_numpy(), predictions[f"{au}_occurs"].to_numpy()
        assert stored[au] == pytest.approx(bagged_by_brute_force(probability, truth), abs=2e-6)


def bagged_by_brute_force(probability: np.ndarray, truth: np.ndarray) -> float:
    """Mean over all frames and 50 resamples of the cut with the best F1; of equal cuts, the one nearest 0.5."""
    rng = np.random.default_rng(0)
    draws = [np.arange(len(truth)), *(rng.integers(0, len(truth), len(truth)) for _ in range(50))]
    cuts = []
    for rows in draws:
        scores = np.unique(np.append(probability[rows], 0.0))
        if len(set(truth[rows])) == 2:
            between = (scores[1:] + scores[:-1]) / 2
            rated = [(f1_score(truth[rows], probability[rows] >= cut), -abs(cut - 0.5), cut) for cut in between]
            best = max(f1 for f1, _, _ in rated)
            cuts.append(max((near, cut) for f1, near, cut in rated if math.isclose(f1, best))[1])
    return float(np.mean(cuts))


@pytest.mark.slow
def test_sides_are_trained_apart_and_scored_joined_where_labels_name_no_side(tmp_path: Path) -> None:
    sided = make_faces(tmp_path / "faces", aus=("AU12_L", "AU6", "AU12_R"))
    outcome = train(tmp_path / "run", *sided.overrides)
    assert outcome.table("per_au.csv")["au"].tolist() == ["AU6", "AU12_L", "AU12_R"]
    labels = sided.read()
    strongest = labels[["AU12_L", "AU12_R"]].astype(int).max(axis=1)
    sided.write(labels.drop(columns=["AU12_L", "AU12_R"]).assign(AU12=strongest), "joined.csv")
    by_side = evaluate(outcome, tmp_path / "by_side", *sided.overrides, "subset=all").table("predictions.csv")
    joined = evaluate(
        outcome, tmp_path / "joined", *sided.overrides, f"data.labels={sided.folder}/joined.csv", "subset=all"
    )
    assert joined.table("per_au.csv")["au"].tolist() == ["AU6", "AU12"]
    predictions = joined.table("predictions.csv")
    assert predictions["AU12_prob"].tolist() == by_side[["AU12_L_prob", "AU12_R_prob"]].max(axis=1).tolist()
    assert predictions["AU12"].tolist() == strongest.tolist()
    threshold = load_network(outcome.checkpoint(), key="")[1].thresholds["AU12"]
    assert joined.table("per_au.csv").set_index("au").loc["AU12", "threshold_val"] == pytest.approx(threshold, abs=1e-9)


def regrouped(faces: Faces, folder: Path, *, subjects: int) -> tuple[str, ...]:
    """Overrides for the same images and labels under the names of as many other subjects."""
    frame = faces.read()
    csv = Faces(folder).write(frame.assign(subject=[f"new{row % subjects}" for row in range(len(frame))]), "new.csv")
    return ("data=csv", f"data.labels={csv}", f"data.images={faces.images}", "subset=all")


def test_centred_scores_stand_beside_the_raw_ones_and_change_none(
    trained: Outcome, faces: Faces, tmp_path: Path
) -> None:
    overrides = regrouped(faces, tmp_path, subjects=4)
    raw = evaluate(trained, tmp_path / "raw", *overrides)
    both = evaluate(trained, tmp_path / "both", *overrides, "center=subject")
    assert both.metrics()["test"] == raw.metrics()["test"]
    table = both.table("per_au.csv")
    pd.testing.assert_frame_equal(
        table[table["model"] == "tested"].drop(columns="model"), raw.table("per_au.csv"), check_dtype=False
    )
    # Validation had four images of each subject, too few for centred thresholds.
    assert "center: the model has no thresholds for centred scores" in both.stderr
    assert both.metrics()["protocol"]["centred"].startswith(
        "the median over each subject's 10 test images was subtracted from its scores; no labels used; the model has no"
    )
    predictions, centred = both.table("predictions.csv"), table[table["model"] == "centred"].set_index("au")
    for au in AUS:
        logit = np.log(predictions[f"{au}_prob"] / (1 - predictions[f"{au}_prob"]))
        shifted = logit - logit.groupby(predictions["subject"]).transform("median")
        assert centred.loc[au, "ap"] == pytest.approx(average_precision_score(predictions[f"{au}_occurs"], shifted))
        given = predictions[f"{au}_prob_centred"]
        assert np.allclose(np.diff(np.log(given / (1 - given))), np.diff(shifted), atol=1e-4)
    assert centred["f1_val"].isna().all()
    (found,) = both.metrics()["centred"]["test"].values()
    assert found["summary"]["ap"] == pytest.approx(centred["ap"].mean())


def test_faces_of_nobody_cannot_be_centred(trained: Outcome, faces: Faces, tmp_path: Path) -> None:
    csv = Faces(tmp_path).write(faces.read().drop(columns="subject"))
    where = ("data=csv", f"data.labels={csv}", f"data.images={faces.images}", f"checkpoint={trained.checkpoint()}")
    outcome = run("test", tmp_path / "run", *where, "subset=all", "center=subject", "loader.workers=0")
    assert outcome.code == 2
    assert outcome.error.startswith("DataError: center: expected labels with a column subject, got none for ")


@pytest.mark.slow
def test_training_tests_centred_at_thresholds_that_test_and_export_take_over(tmp_path: Path) -> None:
    faces = make_faces(tmp_path / "faces", frames=9)
    trained = train(tmp_path / "run", *faces.overrides, "center=subject", "levels=5", "pictures=true")
    payload = load_network(trained.checkpoint(), key="")[1]
    assert payload.centring is not None
    per_au = trained.table("per_au.csv")
    centred = per_au[per_au["model"] == "centred"].set_index("au")
    assert centred["threshold_val"].to_dict() == pytest.approx(dict(payload.centring.thresholds))
    assert "thresholds tuned on centred validation scores" in trained.metrics()["protocol"]["centred"]
    summary = trained.metrics()["centred"]["test"]["faces"]["summary"]
    assert f"centred: {number(summary['icc'])}" in (trained.folder / "report.html").read_text("utf-8")
    onnx = tmp_path / "m.onnx"
    exported = run("export", tmp_path / "export", f"checkpoint={trained.checkpoint()}", f"output={onnx}")
    assert exported.code == 0, exported.stderr
    tested = evaluate(trained, tmp_path / "test", *faces.overrides, "center=subject", f"onnx={onnx}")
    pd.testing.assert_frame_equal(tested.table("per_au.csv"), per_au, atol=1e-4)
    for column in ("AU12_prob_centred", "AU12_int_centred"):
        assert tested.table("predictions.csv")[column].tolist() == pytest.approx(
            trained.table("predictions.csv")[column].tolist(), abs=1e-4
        )
