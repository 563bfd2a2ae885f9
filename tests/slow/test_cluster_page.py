"""The unchanged commands of docs/how_to/cluster.md, with a small network and two processes on the CPU."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.helpers.exported import intensity_contract, write_model
from tests.helpers.faces import write_csv_dataset
from tests.helpers.markers import MARKERS, moving_faces, write_video
from tests.helpers.pages import ROOT, blocks, run_block
from tests.integration.command import AUS, SMALL

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="commands of a POSIX shell")]

BLOCKS = [block.text for block in blocks((ROOT / "docs/how_to/cluster.md").read_text("utf-8"), "bash")]
TRAINER = [setting for setting in SMALL if setting != "trainer=cpu"]
SMALLER = {
    "train": [*TRAINER, "trainer.accelerator=cpu", "loader.batch_size=4"],
    "crop": [*MARKERS, "sheet=0"],
    "infer": [*MARKERS, "onnx=model.onnx", "same_detector=false", "detectors=1", "threads=1"],
}
LONG = ("runs/ddp", "runs/machines", "runs/sweep")  # other blocks and tests train by two processes too
RESULTS = {
    "runs/ddp": "runs/ddp/metrics.json",
    "runs/torchrun": "runs/torchrun/metrics.json",
    "runs/machines": "runs/machines/metrics.json",
    "runs/sweep": "runs/sweep/sweep.csv",
    "output=cropped": "cropped/crops.csv",
    "output=aus.csv": "aus.csv",
    "output=sharded": "sharded/crops.csv",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that the commands name."""
    folder = tmp_path_factory.mktemp("cluster")
    faces = write_csv_dataset(folder, aus=AUS, subjects=10, frames=4)
    (faces / "labels.csv").rename(folder / "faces.csv")
    (faces / "images").rename(folder / "crops")
    for number in range(3):
        write_video(folder / f"videos/{number}.avi", moving_faces(8))
    write_model(folder / "model.onnx", intensity_contract(image_size=32))
    return folder


def with_small_settings(block: str) -> str:
    """The commands of a block, each followed by settings that make it quick."""

    def longer(match: re.Match[str]) -> str:
        return " ".join([match[0].rstrip(" &"), *map(_quoted, SMALLER[match[1]])]) + (" &" if "&" in match[0] else "")

    return re.sub(r"^.*faceflow-(train|crop|infer) .*$", longer, block, flags=re.MULTILINE)


def _quoted(setting: str) -> str:
    return f"'{setting}'"


def test_every_result_is_of_a_block() -> None:
    assert len(BLOCKS) == len(RESULTS)
    assert all(sum(name in block for block in BLOCKS) == 1 for name in RESULTS)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.release if name in LONG else ()) for name in RESULTS]
)
def test_a_block_of_the_page_runs(name: str, folder: Path) -> None:
    (block,) = (block for block in BLOCKS if name in block)
    assert "=2" in block or block.count("faceflow-") == 2  # two processes, or two jobs
    done = run_block("bash", with_small_settings(block), folder)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert (folder / RESULTS[name]).is_file(), done.stderr
    assert done.stdout.count("Labels per AU") == (1 if "faceflow-train data" in block else 0)
    if name == "runs/sweep":
        assert pd.read_csv(folder / RESULTS[name])["status"].tolist() == ["finished", "finished"]


def slurm(task: int, tasks: int, **more: str) -> dict[str, str]:
    """Variables that Slurm sets for a task on one machine."""
    return {
        **os.environ,
        "SLURM_JOB_ID": "100",
        "SLURM_JOBID": "100",
        "SLURM_JOB_NAME": "train",
        "SLURM_NTASKS": str(tasks),
        "SLURM_NTASKS_PER_NODE": str(tasks),
        "SLURM_NNODES": "1",
        "SLURM_JOB_NUM_NODES": "1",
        "SLURM_PROCID": str(task),
        "SLURM_LOCALID": str(task),
        "SLURM_NODEID": "0",
        "SLURM_NODELIST": "127.0.0.1",
        "SLURM_JOB_NODELIST": "127.0.0.1",
        "MASTER_ADDR": "127.0.0.1",
        **more,
    }


def start_task(folder: Path, output: Path, environment: dict[str, str], *more: str) -> subprocess.Popen[str]:
    command = str(Path(sys.executable).with_name("faceflow-train"))
    data = ("data=csv", f"data.labels={folder / 'faces.csv'}", f"data.images={folder / 'crops'}")
    settings = (*SMALLER["train"], *data, "trainer=ddp", "trainer.devices=2", f"hydra.run.dir={output}", *more)
    return subprocess.Popen(
        [command, *settings], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.release
@pytest.mark.parametrize("tasks", [1, 2])
def test_variables_of_slurm_make_one_run_of_two_processes(tasks: int, folder: Path, tmp_path: Path) -> None:
    """Of two tasks; of one, as a job of a sweep has, by a process that it starts."""
    running = [start_task(folder, tmp_path / "run", slurm(task, tasks)) for task in range(tasks)]
    ended = [process.communicate(timeout=300) for process in running]
    assert [process.returncode for process in running] == [0] * tasks, ended
    assert sum(stdout.count("Labels per AU") for stdout, _ in ended) == 1
    assert all(not stdout and not stderr for stdout, stderr in ended[1:])
    assert (tmp_path / "run/metrics.json").is_file()


def test_tasks_of_slurm_with_a_run_each_all_speak(folder: Path, tmp_path: Path) -> None:
    process = start_task(folder, tmp_path / "run", slurm(1, 2), "trainer=cpu", "trainer.devices=1")
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert "Labels per AU" in stdout
    assert (tmp_path / "run/metrics.json").is_file()
