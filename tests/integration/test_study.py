"""`scripts/study.py`: what it reads from real runs, and a complete study."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import study
from studies import parts
from studies.resampling import Resamples
from studies.run_scores import read_scores

from faceflow.metrics.occurrence import decision_metrics, macro, occurrence_metrics
from tests.integration.command import Outcome

DOMAINS = ("studio", "office", "webcam", "harsh", "ir")
SUBJECTS, FRAMES = 10, 8
TINY = ("model.backbone=test_resnet", "model.pretrained=false", "scheduler=constant", "loader.batch_size=4")


def test_scores_of_the_predictions_are_those_of_metrics_json(trained: Outcome) -> None:
    scored = read_scores(trained.folder)
    summary = next(iter(json.loads((trained.folder / "metrics.json").read_text("utf-8"))["test"].values()))["summary"]
    faces = scored.probability, scored.truth.astype(int), scored.observed
    cuts = np.nan_to_num(scored.thresholds, nan=0.5)
    half, tuned = occurrence_metrics(*faces, 0.5), decision_metrics(*faces, cuts)["f1"]
    found = {"f1_0.5": half["f1"], "ap": half["ap"], "auroc": half["auroc"]}
    found["f1_val"] = np.where(np.isfinite(scored.thresholds), tuned, np.nan)
    assert {name: macro(values) for name, values in found.items()} == pytest.approx(
        {name: summary[name] for name in found}, abs=1e-6
    )
    resamples = Resamples([0], {"faces": {*scored.subjects}}, count=2)
    everybody = {name: macro(values[0]) for name, values in resamples.scores("faces", scored).items()}
    assert everybody == pytest.approx({name: summary[name] for name in everybody}, abs=1e-6)


def write_benchmark(folder: Path) -> None:
    """Grey images, brighter for stronger AU12, with different subjects in each domain."""
    rng, rows = np.random.default_rng(0), []
    for place, domain in enumerate(DOMAINS):
        (folder / "crops" / domain).mkdir(parents=True)
        for number in range(SUBJECTS):
            for frame in range(FRAMES):
                subject, grades = f"S{SUBJECTS * place + number:03d}", rng.integers(0, 6, 2)
                name = f"{domain}/{subject}_{frame}.png"
                picture = 40 + 30 * grades[1] + rng.integers(0, 20, (32, 32, 3))
                cv2.imwrite(str(folder / "crops" / name), picture.astype(np.uint8))
                rows.append((*grades, name, subject, domain, frame))
    columns = ["AU1", "AU12", "filename", "subject", "domain", "frame"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "labels.csv", index=False)


@pytest.mark.release
def test_a_study_trains_tests_and_reports_and_a_second_start_only_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("FEW", "SHIFT"):  # one candidate of each method
        monkeypatch.setattr(parts, name, {method: found[:1] for method, found in getattr(parts, name).items()})
    write_benchmark(tmp_path / "benchmark")
    output = tmp_path / "study"
    command = ["all", "--data", str(tmp_path / "benchmark"), "--output", str(output), "--methods", "defixmatch_centred"]
    command += ["--seeds", "1", "--model", "default", "--size", "32", "--steps", "5", "--workers", "0"]
    command += ["--trainer", "cpu", *TINY]
    assert study.main(command) == 0
    said = capfd.readouterr()
    assert "shift supervised candidate 0 seed 0" in said.err
    assert "3 of 3 runs done, 0 left" in said.err
    files = ("few.md", "few.csv", "few_differences.csv", "few.png", "shift.md", "shift.csv")
    assert all((output / file).stat().st_size for file in files)
    reports = [(output / file).read_text("utf-8") for file in ("few.md", "shift.md")]
    assert said.out == "".join(f"{text}\n" for text in reports)
    assert pd.read_csv(output / "few.csv")["method"].tolist() == ["supervised", "defixmatch_centred"]
    assert pd.read_csv(output / "shift.csv")["test"].tolist() == ["webcam", "harsh", "ir"]
    assert ["F1@val - supervised" in text for text in reports] == [True, False]  # nothing to compare there
    assert all("| AP centred |" in text for text in reports)
    before = {file: file.stat().st_mtime_ns for file in output.rglob("metrics.*")}
    assert study.main(command) == 0
    assert {file: file.stat().st_mtime_ns for file in output.rglob("metrics.*")} == before
    again = capfd.readouterr()
    assert (again.out, "faceflow-" in again.err) == (said.out, False)
