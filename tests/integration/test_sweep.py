"""Sweeps in the commands: all jobs run, failures are listed, and missing jobs run again."""

from __future__ import annotations

import json
import subprocess
import sys
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
    """Eight jobs; those with an unknown backbone fail."""
    return sweep(tmp_path_factory.mktemp("sweep") / "s", faces, *JOBS)


@pytest.mark.slow
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
def test_methods_and_shares_of_labels_are_compared_at_equal_updates(faces: Faces, tmp_path: Path) -> None:
    settings = ("model.backbone=test_resnet", "trainer.max_epochs=2", "loader.batch_size=4", "split.labeled=0.3,0.6")
    plain = sweep(tmp_path / "plain", faces, "-m", "method=supervised,fixmatch", *settings)
    assert "Warning: the jobs made different numbers of updates" in plain.stdout
    equal = sweep(tmp_path / "equal", faces, "sweep=label_share", "loader.steps_per_epoch=3", *settings)
    assert "updates (" not in equal.stdout
    assert pd.read_csv(equal.folder / "sweep.csv")["updates"].tolist() == [6] * 4


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
        (("-m", "aus="), "ConfigError: aus: expected one option, got nothing"),
        (("-m", "seed=0,1", "--cfg", "job"), "ConfigError: --cfg: expected the settings of one job, got a sweep"),
        (("-m", "launcher=slurm", "seed=0,1"), "ConfigError: launcher=slurm: expected Slurm's srun on the PATH"),
        (("resume_sweep=nowhere",), "ConfigError: resume_sweep: expected the folder of a sweep"),
        (("resume_sweep=nowhere", "seed=1"), "ConfigError: resume_sweep: expected"),
        (("-m", "model=resnet18,resnet19"), "ConfigError: model=resnet19: expected an option of 'model'"),
    ],
)
def test_a_mistake_is_named_before_the_first_job(more: tuple[str, ...], line: str, tmp_path: Path) -> None:
    outcome = run("train", tmp_path / "s", f"hydra.sweep.dir={tmp_path / 's'}", *more)
    assert (outcome.code, outcome.error[: len(line)]) == (2, line)
    assert not list(tmp_path.rglob("job.json"))


@pytest.mark.slow
def test_another_sweep_does_not_take_the_folder(swept: Outcome, faces: Faces) -> None:
    before = (swept.folder / "multirun.yaml").read_bytes()
    other = sweep(swept.folder, faces, "-m", "model.backbone=test_resnet", "seed=7,8")
    assert (other.code, other.error[:39]) == (2, "ConfigError: hydra.sweep.dir: expected ")
    assert (swept.folder / "multirun.yaml").read_bytes() == before
    assert len(list(swept.folder.glob("*/job.json"))) == 8


@pytest.mark.slow
def test_two_jobs_never_write_to_one_folder(faces: Faces, tmp_path: Path) -> None:
    outcome = sweep(tmp_path, faces, "-m", "model.backbone=test_resnet", "seed=0,1", "hydra.sweep.subdir=same")
    assert outcome.code == 2
    assert "ConfigError: hydra.sweep.subdir: expected a folder per job, got same for jobs 0 and 1" in outcome.stderr
    assert json.loads((tmp_path / "same" / "job.json").read_text("utf-8"))["number"] == 0


@pytest.mark.slow
def test_a_search_continues_in_its_study_and_no_other(faces: Faces, tmp_path: Path) -> None:
    space = ("sweep=search", "loss=bce,focal", "optimizer.lr=tag(log,interval(1e-4,1e-2))", "hydra.sweeper.n_trials=2")
    assert sweep(tmp_path, faces, "model.backbone=test_resnet", *space).code == 0
    study = optuna.load_study(study_name="faceflow", storage=f"sqlite:///{tmp_path / 'study.db'}")
    study.ask(study.trials[0].distributions)  # as a start leaves it that was killed while its job ran
    again = run("train", tmp_path, f"resume_sweep={tmp_path}", "hydra.sweeper.n_trials=3")
    assert again.code == 0, again.stderr
    table = pd.read_csv(tmp_path / "sweep.csv")
    assert table["status"].tolist() == ["finished"] * 3
    assert table["optimizer.lr"].between(1e-4, 1e-2).all()
    assert table["optimizer.lr"].nunique() == 3
    assert [trial.value for trial in study.trials] == table["best"].tolist()
    other = sweep(tmp_path / "b", faces, *space[:2], f"hydra.sweeper.storage=sqlite:///{tmp_path / 'study.db'}")
    assert (other.code, other.error[:39]) == (2, "ConfigError: hydra.sweeper.storage: exp")


@pytest.mark.slow
def test_a_job_that_still_runs_is_left_alone(faces: Faces, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    assert sweep(folder, faces, "-m", "model.backbone=test_resnet", "report_only=true", "seed=0,1").code == 0
    first, second = sorted(folder.glob("[01]_*"))
    for job in (first, second):  # as after SIGKILL of the command, where the launcher's process of one job lives on
        record = job / "job.json"
        record.write_text(record.read_text("utf-8").replace('"finished"', '"running"'), "utf-8")
    hold = "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()"
    command = [sys.executable, "-c", hold, str(first / "output.txt")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        again = run("train", folder, f"resume_sweep={folder}")
        other.communicate(b"\n")
    assert again.code == 1
    assert f"ConfigError: {first}: expected a job that is not running, got one that still is" in again.stderr
    assert [json.loads((job / "job.json").read_text("utf-8"))["status"] for job in (first, second)] == [
        "running",
        "finished",
    ]
    assert run("train", folder, f"resume_sweep={folder}").code == 0


@pytest.mark.slow
def test_a_search_without_values_ends(faces: Faces, tmp_path: Path) -> None:
    outcome = sweep(tmp_path, faces, "sweep=search", "loss=bce,focal", "report_only=true")
    assert (outcome.code, outcome.error[:46]) == (2, "ConfigError: sweep=search: expected jobs with ")
    assert len(list(tmp_path.glob("*/job.json"))) == 3


@pytest.mark.slow
def test_a_search_asks_again_for_a_trial_that_failed(faces: Faces, tmp_path: Path) -> None:
    study = optuna.create_study(
        study_name="faceflow", storage=f"sqlite:///{tmp_path / 'study.db'}", direction="maximize"
    )
    for backbone in ("test_nothing", "test_resnet", "test_resnet"):
        study.enqueue_trial({"model.backbone": backbone})
    search = ("sweep=search", "hydra.sweeper.n_trials=2", "model.backbone=test_resnet,test_nothing")
    assert sweep(tmp_path, faces, *search).code == 1
    assert pd.read_csv(tmp_path / "sweep.csv")["status"].tolist() == ["failed", "finished", "finished"]
