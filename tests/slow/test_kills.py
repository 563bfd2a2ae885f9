"""SIGTERM and SIGKILL at random moments: no finished work is lost, and a resumed run equals an uninterrupted one.

FACEFLOW_KILLS sets the number of moments per command and signal; FACEFLOW_KILLS_SEED reproduces those of a failure.
"""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from faceflow.inference.onnx_model import OnnxModel
from tests.helpers.faces import write_csv_dataset
from tests.helpers.kills import TERMINATED, Ended, Kills, release_only
from tests.integration.test_repeat import assert_equal

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")]

NETWORK = ("model.backbone=test_resnet", "model.pretrained=false", "model.image_size=32", "trainer=cpu")
QUIET = ("logger=none", "pictures=false", "trainer.enable_progress_bar=false")
PARTS = ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step")


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    folder = tmp_path_factory.mktemp("data") / "faces"
    write_csv_dataset(folder, aus=("AU1", "AU6", "AU12"), subjects=9, frames=8)
    return ("data=csv", f"data.labels={folder / 'labels.csv'}", f"data.images={folder / 'images'}")


@pytest.fixture(scope="module")
def settings(faces: tuple[str, ...]) -> tuple[str, ...]:
    return (*faces, *NETWORK, *QUIET, "loader.workers=1", "loader.batch_size=8", "trainer.max_epochs=25")


@pytest.fixture(scope="module")
def whole(settings: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> tuple[Kills, Path]:
    """An uninterrupted run."""
    kills, folder = Kills("train"), tmp_path_factory.mktemp("runs") / "whole"
    kills.finish(*settings, f"hydra.run.dir={folder}")
    return kills, folder


def load(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(path, weights_only=True)
    return content


@pytest.mark.release
def test_a_killed_training_continues_to_the_weights_and_numbers_of_an_unbroken_run(
    whole: tuple[Kills, Path], settings: tuple[str, ...], tmp_path: Path
) -> None:
    kills, unbroken = whole
    resume: str | None = None
    for number, name in enumerate(kills.signals):
        folder = tmp_path / str(number)
        go_on = (f"resume={resume}",) if resume else ()
        ended = kills.end(name, *settings, f"hydra.run.dir={folder}", *go_on)
        for checkpoint in folder.glob("checkpoints/[a-z]*.ckpt"):
            assert load(checkpoint)["faceflow"]["thresholds"]
        if ended.finished:
            assert_same_run(folder, unbroken)
            resume = None
        elif ended.code == TERMINATED and "all results are in" not in ended.line:
            resume = named(ended, "resume")
            assert resume is not None or not list(folder.glob("checkpoints/*.ckpt")), ended
        elif (last := folder / "checkpoints/last.ckpt").exists():
            resume = str(last)
    last = tmp_path / "last"
    kills.finish(*settings, f"hydra.run.dir={last}", *((f"resume={resume}",) if resume else ()))
    assert_same_run(last, unbroken)
    kills.told()


def named(ended: Ended, key: str) -> str | None:
    """Value of a key in the line that says how to resume."""
    found = re.search(rf"{key}=([^ ,]+)", ended.line)
    return found[1] if found else None


def assert_same_run(folder: Path, unbroken: Path) -> None:
    for path in folder.glob("checkpoints/*.ckpt"):  # without last.ckpt where it only tested what was trained before
        name = path.stem
        ours, theirs = load(path), load(unbroken / f"checkpoints/{name}.ckpt")
        for part in PARTS:
            assert_equal(ours[part], theirs[part], f"{name} {part}")
    for name in ("metrics.csv", "predictions.csv", "per_au.csv"):
        assert (folder / name).read_bytes() == (unbroken / name).read_bytes(), name


@release_only
def test_a_killed_test_leaves_all_results_or_is_run_again(
    whole: tuple[Kills, Path], faces: tuple[str, ...], tmp_path: Path
) -> None:
    kills, checkpoint = Kills("test"), whole[1] / "checkpoints/best.ckpt"
    settings = (*faces, f"checkpoint={checkpoint}", "accelerator=cpu", "loader.workers=1", "subset=all")
    kills.finish(*settings, f"hydra.run.dir={tmp_path / 'whole'}")
    expected = json.loads((tmp_path / "whole/metrics.json").read_text("utf-8"))["test"]
    for number, name in enumerate(kills.signals):
        folder = tmp_path / str(number)
        ended = kills.end(name, *settings, f"hydra.run.dir={folder}")
        metrics = folder / "metrics.json"
        assert metrics.exists() or not ended.finished
        if metrics.exists():
            assert json.loads(metrics.read_text("utf-8"))["test"] == expected
            for table in ("predictions.csv", "per_au.csv"):
                assert (folder / table).read_bytes() == (tmp_path / "whole" / table).read_bytes()
        elif ended.code == TERMINATED:
            assert ended.line.endswith("rerun the same command")
    kills.finish(*settings, f"hydra.run.dir={tmp_path / 'again'}")
    kills.told()


@release_only
def test_a_killed_export_leaves_a_whole_file_or_none(whole: tuple[Kills, Path], tmp_path: Path) -> None:
    kills, folder = Kills("export"), tmp_path / "out"
    output = folder / "model.onnx"
    settings = (f"checkpoint={whole[1] / 'checkpoints/best.ckpt'}", f"output={output}")
    kills.finish(*settings)
    expected = output.read_bytes()
    output.unlink()
    for name in kills.signals:
        ended = kills.end(name, *settings)
        assert output.exists() or not ended.finished
        if output.exists():
            assert OnnxModel(output, provider="cpu", threads=1).contract.aus == ("AU1", "AU6", "AU12")
            assert output.read_bytes() == expected
            output.unlink()
        if name is signal.SIGTERM:
            left = [path.name for path in folder.iterdir()] if folder.exists() and not ended.code < 0 else []
            assert left == []
        for partial in folder.glob(".*"):
            partial.unlink()
    kills.finish(*settings)
    kills.told()


@pytest.mark.release
def test_a_killed_sweep_keeps_finished_jobs_and_continues_with_the_others(
    settings: tuple[str, ...], tmp_path: Path
) -> None:
    kills = Kills("train", "sweep")
    jobs = ("-m", "seed=0,1,2", *settings, "trainer.max_epochs=8")
    kills.finish(*jobs, f"hydra.sweep.dir={tmp_path / 'whole'}")
    expected = pd.read_csv(tmp_path / "whole/sweep.csv")
    folder = tmp_path / "0"
    for number, name in enumerate(kills.signals):
        before = finished_jobs(folder)
        begun = (folder / "multirun.yaml").exists()
        ended = kills.end(name, *([f"resume_sweep={folder}"] if begun else [*jobs, f"hydra.sweep.dir={folder}"]))
        after = finished_jobs(folder)
        assert before.items() <= after.items(), "a finished job was lost or run again"
        assert len(after) == 3 or not ended.finished, ended
        if ended.code == TERMINATED and "jobs finished" in ended.line:
            assert ended.line.startswith(f"Terminated: {len(after)} of 3 jobs finished")
            assert named(ended, "resume_sweep") == str(folder)
        if len(after) == 3:
            assert_same_sweep(kills, folder, expected)
            folder = tmp_path / str(number + 1)
    if (folder / "multirun.yaml").exists():
        assert_same_sweep(kills, folder, expected)
    kills.told()


def finished_jobs(folder: Path) -> dict[str, str]:
    """Records of the finished jobs by folder."""
    records = {path.parent.name: path.read_text("utf-8") for path in folder.glob("*/job.json")}
    return {name: text for name, text in records.items() if json.loads(text)["status"] == "finished"}


def assert_same_sweep(kills: Kills, folder: Path, expected: pd.DataFrame) -> None:
    kills.finish(f"resume_sweep={folder}")
    found = pd.read_csv(folder / "sweep.csv")
    assert found["status"].tolist() == ["finished"] * 3
    scores = ["seed", "best", "f1_val"]
    pd.testing.assert_frame_equal(found[scores], expected[scores], check_exact=True)
