"""The benchmark script: both subcommands run, pair every round with its reference and write what they measured."""

import json
import math
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from faceflow.data.synthetic import write_faces

SCRIPT = Path(__file__).parents[2] / "scripts" / "benchmark.py"
COMMON = ("--size", "32", "--batch", "4")
DATA = ("data", *COMMON, "--epochs", "2", "--workers", "0,1")
TINY = ("--model", "compact", "--workers", "0", "--steps", "2", "--warmup", "1", "--rounds", "2")
TRAIN = ("train", *COMMON, *TINY, "model.backbone=test_resnet", "trainer=cpu", "split.val=0.4", "logger=none")


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark") / "faces"
    return write_faces(folder=folder, subjects=5, frames=8, size=32, domains=["studio"], seed=0)


@pytest.mark.parametrize(("arguments", "workers"), [(DATA, [0, 1]), (TRAIN, [0])], ids=["data", "train"])
def test_every_round_is_a_ratio_to_a_reference_of_its_own(faces, tmp_path, arguments, workers):
    path = tmp_path / "figures.json"
    source = ("--labels", faces / "labels.csv", "--images", faces / "images", "--json", path)
    command = [sys.executable, SCRIPT, arguments[0], *source, *arguments[1:]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stderr
    rows = json.loads(path.read_text("utf-8"))["rows"]
    assert [row["case"] for row in rows] == [f"workers {number}" for number in workers]
    for row in rows:
        assert len(row["ours"]) == len(row["reference"]) == len(row["ratio"]) == 2
        assert all(math.isfinite(rate) and rate > 0 for rate in row["ours"] + row["reference"])
        assert row["ratio"] == pytest.approx([ours / bare for ours, bare in zip(row["ours"], row["reference"])])
        assert row["median_ratio"] == pytest.approx(statistics.mean(row["ratio"]))
        assert f"{row['median_ratio']:.2f} (" in next(
            line for line in done.stdout.splitlines() if line.strip().startswith(row["case"])
        )


def test_too_many_steps_are_one_line(faces):
    command = [sys.executable, SCRIPT, "train", "--labels", faces / "labels.csv", "--images", faces / "images"]
    done = subprocess.run(
        [*command, *TRAIN[1:], "--steps", "1000"], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "--steps: expected epochs of at least 1001 batches" in done.stderr
