"""One of two processes is killed in mid-epoch: the other ends with one line, and the run can be resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.helpers.faces import write_csv_dataset
from tests.integration.command import AUS, SMALL

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="children are read from /proc")]

TRAIN = str(Path(sys.executable).with_name("faceflow-train"))
TWO = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "loader.batch_size=4")


def start(folder: Path, faces: Path, *more: str) -> subprocess.Popen[str]:
    data = ("data=csv", f"data.labels={faces / 'labels.csv'}", f"data.images={faces / 'images'}")
    command = [TRAIN, *SMALL, *TWO, *data, "trainer.enable_progress_bar=false", f"hydra.run.dir={folder}", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def children(process: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text("utf-8").split()]


def wait_for_epoch(running: subprocess.Popen[str], last: Path) -> None:
    deadline = time.monotonic() + 240
    while not last.is_file():
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("dies", ["first", pytest.param("other", marks=pytest.mark.release)])
def test_the_others_end_with_one_line_and_the_run_continues(dies: str, tmp_path: Path) -> None:
    faces = write_csv_dataset(tmp_path / "faces", aus=AUS, subjects=10, frames=4)
    folder = tmp_path / "run"
    last = folder / "checkpoints/last.ckpt"
    running = start(folder, faces, "trainer.max_epochs=100000")
    wait_for_epoch(running, last)
    (other,) = children(running.pid)
    os.kill(running.pid if dies == "first" else other, signal.SIGKILL)
    _, stderr = running.communicate(timeout=60)  # also of the other one, which holds the same pipes
    assert running.returncode == (-signal.SIGKILL if dies == "first" else 2)
    lines = [line for line in stderr.splitlines() if not line.startswith("INFO ")]
    assert len(lines) == 1, stderr
    assert lines[0].startswith("ERROR ProcessError: trainer.devices: expected all processes to stay alive, got ")
    assert ("the death of the first process" if dies == "first" else "SIGKILL") in lines[0]
    assert lines[0].endswith(f"; to resume, rerun the same command with resume={last}")
    epochs = len((folder / "metrics.csv").read_text("utf-8").splitlines()) - 1
    resumed = start(folder, faces, f"resume={last}", f"trainer.max_epochs={epochs + 1}")
    _, stderr = resumed.communicate(timeout=240)
    assert resumed.returncode == 0, stderr
    assert pd.read_csv(folder / "metrics.csv")["epoch"].tolist() == list(range(epochs + 1))
    assert not list(folder.glob("*ddp*"))


def test_a_mistake_that_all_processes_meet_is_reported_once(tmp_path: Path) -> None:
    faces = write_csv_dataset(tmp_path / "faces", aus=AUS, subjects=10, frames=4)
    running = start(tmp_path / "run", faces, "optimizer=sgd", "optimizer.lr=1e30", "trainer.gradient_clip_val=0")
    _, stderr = running.communicate(timeout=240)
    assert running.returncode == 2, stderr
    assert [line for line in stderr.splitlines() if not line.startswith("INFO ")] == [
        "ERROR ConfigError: optimizer.lr: expected finite predictions after epoch 0, got NaN: the training diverged; "
        "lower it, or set trainer.gradient_clip_val"
    ]
