"""Launchers of sweeps: parallel jobs give the same results as sequential ones."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from omegaconf import OmegaConf

from faceflow.config.composition import compose
from tests.helpers.faces import write_csv_dataset
from tests.integration.command import AUS, SMALL

pytestmark = pytest.mark.slow


TRAIN = str(Path(sys.executable).with_name("faceflow-train"))


def command_of(folder: Path, data: Path, *more: str) -> list[str]:
    """Two jobs whose data loaders have worker processes."""
    faces = ["data=csv", f"data.labels={data / 'labels.csv'}", f"data.images={data / 'images'}"]
    return [TRAIN, "-m", f"hydra.sweep.dir={folder}", *SMALL, "loader.workers=1", *faces, "seed=0,1", *more]


def sweep(folder: Path, data: Path, *more: str) -> pd.DataFrame:
    command = command_of(folder, data, *more)
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return pd.read_csv(folder / "sweep.csv")


@pytest.mark.release
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_jobs_side_by_side_have_the_scores_of_jobs_in_turn(launcher: str, tmp_path: Path) -> None:
    data = write_csv_dataset(tmp_path / "faces", aus=AUS, subjects=10, frames=4)
    alone, together = sweep(tmp_path / "a", data), sweep(tmp_path / "b", data, f"launcher={launcher}")
    assert together["status"].tolist() == ["finished", "finished"]
    assert together["best"].tolist() == alone["best"].tolist()
    assert together["f1_val"].tolist() == alone["f1_val"].tolist()


def test_jobs_of_this_machine_write_to_a_folder_that_is_there_before_they_start() -> None:
    """Else a slow sweep makes it after a quick job has looked for it, and the job "has not produced any output"."""
    launcher = compose("train", ["launcher=submitit_local"]).hydra.launcher
    raw = OmegaConf.to_container(launcher, resolve=False)
    assert isinstance(raw, dict)
    assert "%" not in raw["submitit_folder"]


@pytest.mark.release
def test_a_sweep_continues_with_another_launcher(tmp_path: Path) -> None:
    data = write_csv_dataset(tmp_path / "faces", aus=AUS, subjects=10, frames=4)
    before = sweep(tmp_path / "a", data)
    record = next((tmp_path / "a").glob("1_*/job.json"))
    record.write_text(record.read_text("utf-8").replace('"finished"', '"failed"'), "utf-8")
    command = [TRAIN, f"resume_sweep={tmp_path / 'a'}", "launcher=joblib"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    after = pd.read_csv(tmp_path / "a" / "sweep.csv")
    assert after["f1_val"].tolist() == before["f1_val"].tolist()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143)])
def test_jobs_of_joblib_end_with_their_sweep(number: signal.Signals, code: int, tmp_path: Path) -> None:
    data, folder = write_csv_dataset(tmp_path / "faces", aus=AUS, subjects=10, frames=4), tmp_path / "a"
    endless = command_of(folder, data, "launcher=joblib", "trainer.max_epochs=100000")
    with subprocess.Popen(endless, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as running:
        wait_for(lambda: len(list(folder.glob("*/metrics.csv"))) == 2)
        held = [path for path in folder.glob("*/output.txt") if is_held(path)]
        running.send_signal(number)
        _, stderr = running.communicate()
    assert running.returncode == code, stderr
    assert len(held) == 2
    wait_for(lambda: not any(map(is_held, held)))
    if number == signal.SIGTERM:
        assert stderr == f"Terminated: 0 of 2 jobs finished; to resume, run: faceflow-train resume_sweep={folder}\n"
        records = [json.loads(path.read_text("utf-8")) for path in folder.glob("*/job.json")]
        assert [record["status"] for record in records] == ["interrupted"] * 2


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def is_held(path: Path) -> bool:
    """Whether a process runs the job whose output this is."""
    with path.open("a") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_a_sweep_becomes_one_slurm_array_with_the_resources_of_the_preset(tmp_path: Path) -> None:
    """There is no cluster here: sbatch keeps the script that it receives and refuses the job."""
    for name, text in (("srun", "exit 0"), ("sbatch", f'cp "$1" {tmp_path}/script; exit 1')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n", "utf-8")
        (tmp_path / name).chmod(0o755)
    resources = ["hydra.launcher.partition=gpu", "hydra.launcher.array_parallelism=2"]
    command = [TRAIN, "-m", "launcher=slurm", "seed=0,1,2", *resources, f"hydra.sweep.dir={tmp_path / 's'}"]
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, timeout=300, check=False)
    script = (tmp_path / "script").read_text("utf-8")
    asked = dict(re.findall(r"^#SBATCH --([\w-]+)=(.*)$", script, re.MULTILINE))
    expected = {
        "array": "0-2%2",
        "cpus-per-task": "8",
        "gpus-per-node": "1",
        "mem": "32GB",
        "nodes": "1",
        "ntasks-per-node": "1",
        "partition": "gpu",
        "time": "1440",
    }
    assert {name: asked.get(name) for name in expected} == expected
    assert re.search(rf"^srun .*{re.escape(sys.executable)} .*submitit", script, re.MULTILINE)
