"""A run of three folds, killed in the second one and resumed, gives the numbers of an uninterrupted run."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.helpers.commands import start_command
from tests.helpers.faces import write_csv_dataset
from tests.helpers.kills import release_only

EPOCHS = 4

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")]


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "faces"
    return write_csv_dataset(folder, aus=("AU1", "AU6", "AU12"), subjects=9, frames=8)


def start(faces: Path, output: Path) -> subprocess.Popen[str]:
    settings = [
        *("protocol=kfold", "protocol.k=3", "data=csv", f"data.labels={faces / 'labels.csv'}"),
        *(f"data.images={faces / 'images'}", "model.backbone=test_resnet", "model.pretrained=false"),
        *("model.image_size=32", "loader.workers=1", "loader.batch_size=8", "trainer=cpu", "logger=none"),
        *(f"trainer.max_epochs={EPOCHS}", "trainer.enable_progress_bar=false", f"hydra.run.dir={output}"),
    ]
    return start_command("train", *settings, stderr=subprocess.STDOUT)


def finish(faces: Path, output: Path) -> str:
    process = start(faces, output)
    text, _ = process.communicate(timeout=180)
    assert process.returncode == 0, text
    return text


def kill_after_an_epoch(process: subprocess.Popen[str], fold: Path) -> None:
    """Kill the process and its workers once the checkpoint of a fold's first epoch is written."""
    deadline = time.monotonic() + 120
    while not (fold / "checkpoints/last.ckpt").is_file():
        assert process.poll() is None, "it ended before it was killed"
        assert time.monotonic() < deadline, "it never came so far"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@release_only
def test_killed_in_the_second_fold_it_keeps_the_first_and_ends_with_the_same_numbers(
    faces: Path, tmp_path: Path
) -> None:
    finish(faces, tmp_path / "whole")
    output = tmp_path / "run"
    kill_after_an_epoch(start(faces, output), output / "fold2")
    first = files(output / "fold1")
    assert "metrics.json" in first
    assert not (output / "fold2/metrics.json").exists()
    assert not (output / "folds.csv").exists()
    text = finish(faces, output)
    assert "Fold 1 of 3, fold1: finished earlier, kept" in text
    assert f"Fold 2 of 3, fold2: continuing from {output / 'fold2/checkpoints/last.ckpt'}" in text
    assert "Fold 3 of 3, fold3: training" in text
    assert files(output / "fold1") == first
    assert pd.read_csv(output / "fold2/metrics.csv")["epoch"].tolist() == list(range(EPOCHS))
    for name in ("folds.csv", "folds_per_au.csv", *(f"fold{n}/predictions.csv" for n in (1, 2, 3))):
        assert (output / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
