"""Several jobs crop or predict one corpus into one output: no work is repeated, and the result equals one job's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.helpers.commands import start_command
from tests.helpers.exported import intensity_contract, write_model
from tests.helpers.markers import MARKERS, moving_faces, write_video

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")]

VIDEOS, FRAMES = 6, 30


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for number in range(VIDEOS):
        write_video(folder / f"{number}.avi", moving_faces(FRAMES))
    return folder


def crop(corpus: Path, output: Path, *more: str) -> subprocess.Popen[str]:
    settings = ("+detector.features=true", "+detector.delay=0.04", "sheet=4", *more)
    return start_command("crop", f"source={corpus}", f"output={output}", *MARKERS, *settings)


def ended(process: subprocess.Popen[str]) -> str:
    _, stderr = process.communicate(timeout=240)
    assert process.returncode == 0, stderr
    return stderr


def tree(folder: Path) -> dict[str, bytes]:
    """Every file except those that record when a clip was started."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def whole(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    output = tmp_path_factory.mktemp("whole") / "out"
    ended(crop(corpus, output))
    return tree(output)


def test_two_jobs_crop_each_video_once(corpus: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    output = tmp_path / "out"
    jobs = [crop(corpus, output, "shared=true") for _ in range(2)]
    owners: dict[str, set[int]] = {}
    while any(job.poll() is None for job in jobs):
        for lease in output.glob(".progress/*/.lease.*"):
            for job in jobs:
                try:
                    holds = f'"process": {job.pid},' in lease.read_text("utf-8")
                    if holds and not (lease.parent / "rows.csv").exists():  # else it looks whether anything is left
                        owners.setdefault(lease.parent.name, set()).add(job.pid)
                except FileNotFoundError:
                    break
        time.sleep(0.01)
    for job in jobs:
        ended(job)
    assert all(len(jobs) == 1 for jobs in owners.values())
    assert len(Counter(pid for pids in owners.values() for pid in pids)) == 2, "one job did all"
    assert tree(output) == whole


def test_the_video_of_a_killed_job_is_taken_over(corpus: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    output = tmp_path / "out"
    killed = crop(corpus, output, "shared=true")
    while not list(output.glob(".progress/*/.lease.*")):
        assert killed.poll() is None
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert list(output.glob(".progress/*/.lease.*"))
    ended(crop(corpus, output, "shared=true"))
    assert tree(output) == whole


def infer(corpus: Path, output: Path, model: Path, *more: str) -> subprocess.Popen[str]:
    settings = ("same_detector=false", "events=true", "detectors=1", "threads=1", "+detector.delay=0.04", *more)
    return start_command("infer", f"onnx={model}", f"source={corpus}", f"output={output}", *MARKERS, *settings)


def test_jobs_predict_each_video_once_into_the_table_of_one_job(corpus: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model.onnx", intensity_contract(image_size=32))
    ended(infer(corpus, tmp_path / "one/aus.csv", model))
    output = tmp_path / "two/aus.csv"
    killed = infer(corpus, output, model, "shared=true")
    while not list(output.parent.glob("*.parts/*/.lease.*")):
        assert killed.poll() is None
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    jobs = [infer(corpus, output, model, "shared=true") for _ in range(2)]
    for job in jobs:
        ended(job)
    one, two = (tree(output.parent) for output in (tmp_path / "one/aus.csv", output))
    assert two.keys() == one.keys() == {"aus.csv", "aus.json", "aus_events.csv"}
    for name in ("aus.csv", "aus_events.csv"):
        assert two[name] == one[name], name
    assert json.loads(two["aus.json"])["rows"] == json.loads(one["aus.json"])["rows"]
    assert "All recordings are finished" in ended(infer(corpus, output, model, "shared=true"))  # a task that is late
    another = infer(corpus, output, model, "shared=true", "smooth=1")
    assert "expected a new file" in another.communicate(timeout=120)[1]


def test_two_settings_are_never_mixed(corpus: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model.onnx", intensity_contract(image_size=32))
    killed = infer(corpus, tmp_path / "aus.csv", model, "shared=true")
    while not list(tmp_path.glob("aus.csv.parts/*/.lease.*")):
        time.sleep(0.02)
    killed.send_signal(signal.SIGTERM)
    stderr = killed.communicate(timeout=120)[1]
    assert f"finished recordings are kept in {tmp_path}/aus.csv.parts; rerun the same command to resume" in stderr
    another = infer(corpus, tmp_path / "aus.csv", model, "shared=true", "smooth=1")
    assert "ConfigError: smooth: expected 0 as for the predictions in" in another.communicate(timeout=120)[1]
