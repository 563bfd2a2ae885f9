"""Exports, tables and crops: a command fails if another running command writes to the same output."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.claims import claimed_elsewhere
from tests.helpers.exported import intensity_contract, write_model
from tests.helpers.markers import MARKERS, moving_faces, write_video
from tests.integration.command import Outcome, run

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")]


def refused(command: str, folder: Path, *overrides: str) -> str:
    """Run a command that writes no files."""
    before = {*folder.rglob("*")}
    outcome = run(command, folder, *overrides)
    assert outcome.code == 2, outcome.stderr
    assert {*folder.rglob("*")} == before
    return outcome.error


@pytest.mark.parametrize("more", ["overwrite=false", "overwrite=true"])
def test_an_exported_file_has_one_writer(more: str, trained: Outcome, tmp_path: Path) -> None:
    output = tmp_path / "new/model.onnx"
    with claimed_elsewhere(output, folder=False):
        error = refused("export", tmp_path, f"checkpoint={trained.checkpoint()}", f"output={output}", more)
    assert error.startswith(
        f"ConfigError: output: expected a place that no other command is writing to, got '{output}', in"
    )
    assert not output.parent.exists()


@pytest.mark.parametrize(
    ("key", "name"), [("output", "a.csv"), ("output, its description", "a.json"), ("plot", "a.png")]
)
def test_a_table_its_description_and_its_pictures_have_one_writer(key: str, name: str, tmp_path: Path) -> None:
    write_model(tmp_path / "model.onnx", intensity_contract(image_size=32))
    write_video(tmp_path / "video.avi", moving_faces(3), fps=20)
    command = (f"onnx={tmp_path}/model.onnx", f"source={tmp_path}/video.avi", *MARKERS, f"plot={tmp_path}/a.png")
    with claimed_elsewhere(tmp_path / name, folder=False):
        error = refused("infer", tmp_path, *command, f"output={tmp_path}/a.csv")
    assert error.startswith(f"ConfigError: {key}: expected a place that no other command is writing to, got ")
    assert run("infer", tmp_path, *command, f"output={tmp_path}/a.csv").code == 0
    assert not list(tmp_path.glob(".*"))


def test_crops_have_one_writer_and_shards_another_each(tmp_path: Path) -> None:
    write_video(tmp_path / "0.avi", moving_faces(3), fps=20)
    write_video(tmp_path / "1.avi", moving_faces(3), fps=20)
    output = tmp_path / "out"
    command = (f"source={tmp_path}", f"output={output}", *MARKERS)
    with claimed_elsewhere(output, folder=True):
        assert f"output: expected a place that no other command is writing to, got '{output}', in use " in refused(
            "crop", tmp_path, *command
        )
    shard = ("shard.index=0", "shard.count=2")
    with claimed_elsewhere(output / "shard_1_of_2", folder=False):
        assert run("crop", tmp_path, *command, *shard).code == 0
    log = output / ".progress/1/detections.jsonl"
    log.parent.mkdir(parents=True)
    hold = "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()"
    crops = [sys.executable, "-c", hold, str(log)]  # as a shard of another count does
    with subprocess.Popen(crops, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        held = run("crop", tmp_path, *command)
        other.communicate(b"\n")
    assert f"DataError: {log.parent}: expected a clip that no other command is cropping, got one in" in held.stderr
    assert run("crop", tmp_path, *command).code == 0
    assert sorted(path.name for path in output.glob(".*")) == [".progress"]
