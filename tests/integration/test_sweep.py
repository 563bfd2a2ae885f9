"""Sweeps as commands: all jobs run, failures are listed, and what is missing runs again."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pandas as pd
import pytest

from tests.integration.command import SMALL, Faces, Outcome, run

JOBS = ("-m", "aus.names=[AU1],[AU6]", "model.backbone=test_resnet,test_nothing", "seed=0,1")


def sweep(folder: Path, faces: Faces, *more: str) -> Outcome:
    small = [override for override in SMALL if not override.startswith("model.backbone")]
    return run("train", folder, f"hydra.sweep.dir={folder}", *small, *faces.overrides, *more)


@pytest.fixture(scope="module")
def swept(faces: Faces, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Eight jobs, of which those with an unknown backbone fail."""
    return sweep(tmp_path_factory.mktemp("sweep") / "s", faces, *JOBS)


def test_a_failed_job_does_not_stop_the_others(swept: Outcome) -> None:
    assert swept.code == 1
    table = pd.read_csv(swept.folder / "sweep.csv")
    assert table["status"].tolist() == ["finished", "finished", "failed", "failed"] * 2
    assert table["error"].dropna().str.startswith("ConfigError: model.backbone: expected the name").all()
    assert table["parameters"].notna().sum() == 4
    assert (swept.folder / "sweep.png").stat().st_size > 10_000
    assert "4 of 8 jobs finished" in swept.stdout
    assert "Test" not in swept.stdout  # what a job prints is in its folder
    assert "F1@val" in next(swept.folder.glob("0_*/output.txt")).read_text("utf-8")


@pytest.mark.slow
def test_only_what_is_missing_runs_again(swept: Outcome, faces: Faces) -> None:
    folders = sorted(swept.folder.glob("[0-9]_*"))
    kept = {folder: (folder / "metrics.json").stat().st_mtime_ns for folder in folders[:2]}
    record = folders[2] / "job.json"
    (folders[1] / "job.json").write_text(
        (folders[1] / "job.json").read_text("utf-8").replace('"finished"', '"running"'), "utf-8"
    )
    again = run("train", swept.folder, f"resume_sweep={swept.folder}")
    assert again.code == 1  # the others fail once more
    assert (folders[0] / "metrics.json").stat().st_mtime_ns == kept[folders[0]]
    assert (folders[1] / "metrics.json").stat().st_mtime_ns > kept[folders[1]]
    assert json.loads(record.read_text("utf-8"))["status"] == "failed"
    assert "4 of 8 jobs finished" in again.stdout


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (("-m",), "ConfigError: -m: expected a key with several values, such as seed=0,1"),
        (("-m", "aus="), "ConfigError: aus=: expected an option of 'aus'"),
        (("resume_sweep=nowhere",), "ConfigError: resume_sweep: expected the folder of a sweep"),
        (("resume_sweep=nowhere", "seed=1"), "ConfigError: resume_sweep: expected"),
        (("-m", "model=resnet18,resnet19"), "ConfigError: model=resnet19: expected an option of 'model'"),
    ],
)
def test_a_mistake_is_named_before_the_first_job(more: tuple[str, ...], line: str, tmp_path: Path) -> None:
    outcome = run("train", tmp_path / "s", f"hydra.sweep.dir={tmp_path / 's'}", *more)
    assert (outcome.code, outcome.error[: len(line)]) == (2, line)
    assert not list(tmp_path.rglob("job.json"))


def test_two_jobs_never_write_to_one_folder(faces: Faces, tmp_path: Path) -> None:
    outcome = sweep(tmp_path, faces, "-m", "model.backbone=test_resnet", "seed=0,1", "hydra.sweep.subdir=same")
    assert outcome.code == 2
    assert "ConfigError: hydra.sweep.subdir: expected a folder per job, got same for jobs 0 and 1" in outcome.stderr
    assert json.loads((tmp_path / "same" / "job.json").read_text("utf-8"))["number"] == 0


@pytest.mark.slow
def test_a_search_goes_on_in_its_study_and_no_other(faces: Faces, tmp_path: Path) -> None:
    space = ("sweep=search", "loss=bce,focal", "optimizer.lr=tag(log,interval(1e-4,1e-2))", "hydra.sweeper.n_trials=2")
    assert sweep(tmp_path, faces, "model.backbone=test_resnet", *space).code == 0
    again = run("train", tmp_path, f"resume_sweep={tmp_path}", "hydra.sweeper.n_trials=3")
    assert again.code == 0, again.stderr
    table = pd.read_csv(tmp_path / "sweep.csv")
    assert table["status"].tolist() == ["finished"] * 3
    assert table["optimizer.lr"].between(1e-4, 1e-2).all()
    assert table["optimizer.lr"].nunique() == 3
    study = optuna.load_study(study_name="faceflow", storage=f"sqlite:///{tmp_path / 'study.db'}")
    assert [trial.value for trial in study.trials] == table["best"].tolist()
    other = sweep(tmp_path, faces, "model.backbone=test_resnet", *space[:2])
    assert (other.code, other.error[:39]) == (2, "ConfigError: hydra.sweeper.storage: exp")
