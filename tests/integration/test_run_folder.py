"""Run folders: commands that use the same one, and files of an earlier run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from tests.helpers.claims import claimed_elsewhere, contents
from tests.integration.command import SMALL, Faces, Outcome, run, train

pytestmark = pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")


@pytest.fixture
def earlier(trained: Outcome, tmp_path: Path) -> Outcome:
    """A finished run in a separate folder, with a file that no run writes."""
    folder = shutil.copytree(trained.folder, tmp_path / "run")
    (folder / "model.onnx").write_text("mine")
    return Outcome(0, "", "", folder)


def refused(command: str, folder: Path, *overrides: str) -> str:
    before = contents(folder)
    outcome = run(command, folder, *overrides)
    assert outcome.code == 2, outcome.stderr
    assert contents(folder) == before
    return outcome.error


@pytest.mark.slow
def test_a_finished_run_is_kept_byte_by_byte_from_every_command(earlier: Outcome, faces: Faces) -> None:
    folder, settings = earlier.folder, (*SMALL, *faces.overrides)
    last, test = earlier.checkpoint("last"), ("accelerator=cpu", *faces.overrides)
    line = f"ConfigError: hydra.run.dir: expected a folder without results, got '{folder}' with "
    assert refused("train", folder, *settings).startswith(
        f"{line}checkpoints/best.ckpt of an earlier run; resume it with "
    )
    assert f"resume={last}, " in refused("train", folder, *settings)
    assert refused("test", folder, *test, f"checkpoint={earlier.checkpoint()}").startswith(line)
    more = ("overwrite=true", f"checkpoint={earlier.checkpoint()}")
    assert "which a test cannot write again" in refused("test", folder, *test, *more)
    with claimed_elsewhere(folder, folder=True):
        assert ", in use (process " in refused("train", folder, *settings, f"resume={last}")


@pytest.mark.slow
@pytest.mark.parametrize(
    "mistake",
    ["seed=abc", "trainer.max_epochs=abc", "data.images=nowhere", "init_weights=no.ckpt", "overwrite=1"],
)
def test_a_command_that_is_refused_overwrites_nothing(mistake: str, earlier: Outcome, faces: Faces) -> None:
    settings = (*SMALL, *faces.overrides, "overwrite=true", mistake)
    assert mistake.partition("=")[0].split(".")[-1] in refused("train", earlier.folder, *settings)


def test_a_resumed_run_that_is_refused_changes_nothing(earlier: Outcome, faces: Faces) -> None:
    settings = (*SMALL, *faces.overrides, f"resume={earlier.checkpoint('last')}", "optimizer.lr=0.5")
    assert "resume: expected optimizer.lr=0.001" in refused("train", earlier.folder, *settings)


def test_overwrite_leaves_nothing_of_the_earlier_run(earlier: Outcome, faces: Faces) -> None:
    untested = train(earlier.folder, *faces.overrides, "overwrite=true", "seed=1", "test=false")
    assert untested.files() == {
        *("checkpoints/best.ckpt", "checkpoints/last.ckpt", "config.yaml", "data.txt", "metrics.csv", "train.log"),
        "model.onnx",
    }
    assert torch.load(untested.checkpoint(), weights_only=True)["faceflow"]["config"]["seed"] == 1
    assert yaml.safe_load((earlier.folder / ".hydra/overrides.yaml").read_text("utf-8"))[-1] == "test=false"
    assert yaml.safe_load((earlier.folder / "config.yaml").read_text("utf-8"))["overwrite"] is False
    assert sorted(path.name for path in earlier.folder.glob(".*")) == [".hydra"]


@pytest.mark.slow
def test_a_run_continues_in_its_folder_and_a_test_is_made_again(earlier: Outcome, faces: Faces, tmp_path: Path) -> None:
    again = f"resume={earlier.checkpoint('last')}"
    resumed = train(earlier.folder, *faces.overrides, again, "trainer.max_epochs=2")
    assert resumed.table("metrics.csv")["epoch"].tolist() == [0, 1]
    assert resumed.metrics()["test"].keys() == {"faces"}
    test = (f"checkpoint={resumed.checkpoint()}", "accelerator=cpu", "loader.workers=0", *faces.overrides)
    assert run("test", tmp_path / "test", *test).code == 0
    assert refused("test", tmp_path / "test", *test).endswith("or replace them with overwrite=true")
    assert "csv.labels: " in refused("test", tmp_path / "test", *test, "data.labels=no.csv", "overwrite=true")
    redone = run("test", tmp_path / "test", *test, "pictures=false", "overwrite=true")
    assert redone.files() == {"metrics.json", "per_au.csv", "predictions.csv", "data.txt", "test.log"}


def test_runs_of_one_moment_have_a_folder_each(faces: Faces, tmp_path: Path) -> None:
    moment = f"hydra.run.dir={tmp_path}/${{now:%Y}}"
    for number in (1, 2):
        assert run("train", tmp_path, moment, *SMALL, *faces.overrides, "report_only=true").code == 0
        assert len(list(tmp_path.glob("*/data.txt"))) == number


@pytest.mark.release
def test_sweeps_of_one_moment_have_a_folder_each_with_all_their_jobs(faces: Faces, tmp_path: Path) -> None:
    moment = f"hydra.sweep.dir={tmp_path}/${{now:%Y}}"
    for number in (1, 2):
        outcome = run("train", tmp_path, "-m", moment, *SMALL, *faces.overrides, "report_only=true", f"seed={number},3")
        assert outcome.code == 0, outcome.stderr
    first, second = sorted(tmp_path.iterdir())
    for folder, seed in ((first, 1), (second, 2)):
        jobs = sorted(path.parent.name.rpartition("_")[2] for path in folder.glob("*/job.json"))
        assert jobs == [f"s{seed}", "s3"]
        assert f"seed={seed},3" in (folder / "multirun.yaml").read_text("utf-8")
    with claimed_elsewhere(second, folder=True):
        again = run("train", tmp_path, f"resume_sweep={second}")
    assert (again.code, "hydra.sweep.dir: expected a place that no other" in again.error) == (2, True)
    assert run("train", tmp_path, f"resume_sweep={second}").code == 0


def test_a_sweep_stays_out_of_the_folder_of_a_run(earlier: Outcome) -> None:
    sweep = ("-m", f"hydra.sweep.dir={earlier.folder}", "seed=0,1")
    assert "hydra.sweep.dir: expected an empty folder or the same sweep" in refused("train", earlier.folder, *sweep)
    assert "overwrite: expected false in a sweep" in refused("train", earlier.folder, *sweep, "overwrite=true")
