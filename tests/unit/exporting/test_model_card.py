"""Model cards report what was and was not measured, and can be read by the Hub's own reader."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import EvalResult, ModelCard

from faceflow.calibration import PLATT, Calibration
from faceflow.conformal import Conformal
from faceflow.crop_statistics import CropStatistics
from faceflow.exporting.model_card import write_model_card
from faceflow.inference.contract import ModelContract
from tests.helpers.exported import contract

AU = {"observed": 40, "positives": 10}
RECORD: dict[str, Any] = {
    "checkpoint": "/gone/checkpoints/best.ckpt",
    "monitor": {},
    "test": {
        "faces": {
            "rows": 40,
            "summary": {"f1_val": 0.5, "f1_val_low": 0.25, "f1_val_high": 0.625, "auroc": 0.75, "ap": None},
            "per_au": {
                "AU1": {**AU, "f1_val": 0.5, "f1_val_low": 0.25, "f1_val_high": 0.625, "auroc": 0.75},
                "AU4": {**AU, "positives": 0, "f1_val": None, "auroc": None},
            },
        }
    },
    "run": {"data": {"train": {"faces": {"rows": 120, "content": "47e2"}}}},
}
STATISTICS = CropStatistics(faces=120, subjects=9, quantiles={"sharpness": (50.0, 60.0, 200.0, 400.0, 512.0)})


ONE, ZERO = dict.fromkeys(("AU1", "AU4", "AU12"), 1.0), dict.fromkeys(("AU1", "AU4", "AU12"), 0.0)
CALIBRATION = Calibration(method=PLATT, subjects=8, chosen=True, slope=ONE, offset=ZERO)
BAND = Conformal(coverage=0.9, subjects=8, low={"AU1": 0.2}, high={"AU1": 0.6}, notes={"AU4": "too few"})


def card(folder: Path, says: ModelContract, record: object = RECORD, **facts: str) -> str:
    (folder / "run" / "checkpoints").mkdir(parents=True, exist_ok=True)
    (folder / "run" / "metrics.json").write_text(json.dumps(record), "utf-8")
    path, checkpoint = folder / "README.md", folder / "run" / "checkpoints" / "best.ckpt"
    write_model_card(path, says, model=folder / "model.onnx", checkpoint=checkpoint, facts=facts)
    return path.read_text("utf-8")


def section(text: str, title: str) -> str:
    return text.partition(f"\n## {title}\n\n")[2].partition("\n## ")[0].strip()


def test_the_hub_reads_the_scores_of_the_test(tmp_path: Path) -> None:
    data = ModelCard(card(tmp_path, contract())).data
    assert (data.license, data.library_name, data.pipeline_tag) == ("other", "faceflow", "image-classification")
    assert data.datasets == ["faces"]
    assert data.model_name == "model"
    about = {"task_type": "image-classification", "task_name": "Facial Action Units", "dataset_type": "faces"}
    about |= {"dataset_name": "faces", "dataset_split": "test"}
    assert data.eval_results == [
        EvalResult(metric_type="f1", metric_name="mean F1@val over 1 AUs", metric_value=0.5, **about),
        EvalResult(metric_type="roc_auc", metric_name="mean AUROC over 1 AUs", metric_value=0.75, **about),
    ]


def test_scores_have_their_intervals_and_what_is_undefined_says_so(tmp_path: Path) -> None:
    scores = section(card(tmp_path, contract()), "Scores")
    assert "| data set | faces | F1@val | AP | AUROC |" in scores
    assert "| faces | 40 | 0.500 (0.250 to 0.625) | not measured | 0.750 |" in scores
    assert "| AU4 | 40 | 0 | not measured | not measured | not measured |" in scores


@pytest.mark.parametrize("record", [{}, {**RECORD, "test": {}}, {**RECORD, "checkpoint": "last.ckpt"}])
def test_without_a_test_there_is_no_number(record: object, tmp_path: Path) -> None:
    text = card(tmp_path, contract(metrics={}), record)
    assert ModelCard(text).data.eval_results is None
    assert section(text, "Scores") == "not measured"
    assert section(text, "Groups of subjects").startswith("not measured")


def test_scores_of_an_outdated_rule_are_left_out(tmp_path: Path) -> None:
    assert section(card(tmp_path, contract(metrics={})), "Scores") == "not measured"


def test_the_groups_of_an_audit_are_means_over_aus(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with (tmp_path / "run" / "groups.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["column", "group", "subjects", "faces", "au", "f1_val", "f1_val_low", "f1_val_high", "ece"])
        rows.writerow(["sex", "female", 6, 60, "AU1", 0.9, 0.8, 1, 0.1])
        rows.writerow(["sex", "female|f", 6, 60, "mean", 0.5, 0.25, 0.75, ""])
    groups = section(card(tmp_path, contract()), "Groups of subjects")
    assert groups.splitlines()[2:] == [r"| sex | female\|f | 6 | 60 | 0.500 (0.250 to 0.750) | not measured |"]


def write_groups(folder: Path, f1: float) -> None:
    folder.mkdir(exist_ok=True)
    header = "column,group,subjects,faces,au,f1_val\n"
    (folder / "groups.csv").write_text(f"{header}sex,f,6,60,AU1,0.9\nsex,f,6,60,mean,{f1}\n", "utf-8")


def test_a_fold_has_the_groups_of_all_folds(tmp_path: Path) -> None:
    write_groups(tmp_path, 0.25)
    (tmp_path / "metrics.json").write_text(json.dumps({"folds": {"1": RECORD, "2": {}}}), "utf-8")
    groups = section(card(tmp_path, contract()), "Groups of subjects")
    assert groups.startswith("On the test faces of all folds together, each scored by the network of its fold.\n\n|")
    assert groups.endswith("\n| sex | f | 6 | 60 | 0.250 |")
    write_groups(tmp_path / "run", 0.75)  # its own, where it has any
    own = section(card(tmp_path, contract()), "Groups of subjects")
    assert own.startswith("| column |")
    assert own.endswith("| 0.750 |")


@pytest.mark.parametrize("above", [{"folds": {"1": {**RECORD, "run": {}}}}, {"folds": None}, RECORD, [], "damaged"])
def test_groups_of_a_folder_that_does_not_sum_up_the_run_are_not_its_own(above: object, tmp_path: Path) -> None:
    write_groups(tmp_path, 0.25)
    (tmp_path / "metrics.json").write_text(above if above == "damaged" else json.dumps(above), "utf-8")
    assert section(card(tmp_path, contract()), "Groups of subjects").startswith("Not measured")


def test_calibration_and_its_errors_before_and_after_are_those_of_the_test(tmp_path: Path) -> None:
    errors = {"faces": {"ece_before": 0.2, "ece": 0.05, "ece_floor": 0.03125, "brier_before": 0.25, "brier": None}}
    record = {**RECORD, "probability_calibration": errors}
    said = section(card(tmp_path, contract(calibration=CALIBRATION), record), "Probabilities")
    assert said.startswith("Calibrated: platt, fitted on 8 validation subjects.")
    assert "| data set | ECE before | ECE | ECE of exact probabilities | Brier before | Brier |" in said
    assert "| faces | 0.200 | 0.050 | 0.031 | 0.250 | not measured |" in said
    assert said.endswith("No decision is marked as unsure: no coverage was promised.")


def test_a_band_says_what_it_promises_and_what_it_held(tmp_path: Path) -> None:
    held = {"faces": {"active_held": 0.875, "inactive_held": 0.9, "unsure": 0.3125, "missed_sure": 0.125}}
    said = section(card(tmp_path, contract(conformal=BAND), {**RECORD, "conformal_coverage": held}), "Probabilities")
    assert said.startswith(
        "Not calibrated; calibration error: not measured.\n\nUnsure decisions are marked. Promised: 90 % of"
    )
    assert "on 8 validation subjects; no promise (too few): AU4." in said
    assert said.splitlines()[-3:] == [
        "| data set | held, active | held, inactive | unsure | missed, sure |",
        "| --- | --- | --- | --- | --- |",
        "| faces | 0.875 | 0.900 | 0.312 | 0.125 |",
    ]


@pytest.mark.parametrize("metrics", [{}, {"f1_val": 0.5}])
def test_what_no_test_says_of_probabilities_was_not_measured(metrics: dict[str, float], tmp_path: Path) -> None:
    record = RECORD if metrics else {**RECORD, "conformal_coverage": {"faces": {"active_held": 0.875}}}  # outdated
    says = contract(calibration=CALIBRATION, conformal=BAND, metrics=metrics)
    said = section(card(tmp_path, says, record), "Probabilities")
    assert said.count("In the test: not measured.") == 2


def test_training_data_and_the_export_are_described(tmp_path: Path) -> None:
    text = card(
        tmp_path, contract(crop_statistics=STATISTICS), file=f"{tmp_path / 'model.onnx'} (3 MB)", costs="not measured"
    )
    training = section(text, "Training data")
    assert "| faces | 120 | 47e2 |" in training
    assert "align=eyes, faces found by markers" in training
    assert "Statistics of 120 of the crops of 9 subjects, as quantiles:" in training
    assert "| sharpness | 50 | 60 | 200 | 400 | 512 |" in training
    assert "| file | model.onnx (3 MB) |" in section(text, "Export")
    assert str(tmp_path) not in text
    unknown = section(card(tmp_path, contract(training_data={}, crop=None)), "Training data")
    assert unknown == "Not known.\n\nStatistics of the crops: not measured."
