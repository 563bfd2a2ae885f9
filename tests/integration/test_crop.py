"""faceflow-crop: a crop, a row and a label for the right frame, even if the run was interrupted."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from faceflow.images import read_image
from tests.helpers.markers import MARKERS, face_at, moving_faces, write_photo, write_video
from tests.helpers.numbered import AUS, numbered_frame, read_number, write_disfa
from tests.integration.command import Outcome, run

ROOT = Path(__file__).parents[2]
UNSTEADIED = ("selection.smooth=0", "selection.hold=0")  # the faces of numbered frames jump


def crop(output: Path, *overrides: str) -> Outcome:
    """Run faceflow-crop with the marker detector and expect success."""
    outcome = run("crop", output, f"output={output}", *MARKERS, *overrides)
    assert outcome.code == 0, outcome.stderr
    return outcome


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def tree(folder: Path) -> dict[str, bytes]:
    """Every file in a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Folder of three videos, of 12, 9 and 6 frames."""
    for name, count in (("a", 12), ("b", 9), ("c/d", 6)):
        write_video(tmp_path / f"in/{name}.avi", moving_faces(count))
    return tmp_path / "in"


@pytest.mark.parametrize("zipped", [False, True], ids=["folders", "zip archives"])
def test_a_crop_shows_the_frame_that_its_name_its_row_and_its_labels_say(tmp_path: Path, zipped: bool) -> None:
    root = write_disfa(tmp_path / "disfa", ["SN001", "SN002"], 33, without_face=[7, 20])
    if zipped:
        for folder in ("Videos_LeftCamera", "ActionUnit_Labels"):
            shutil.make_archive(str(root / folder), "zip", root, folder)
            shutil.rmtree(root / folder)
    outcome = crop(tmp_path / "out", "dataset=disfa", f"root={root}", "folds=2", *UNSTEADIED)
    assert "WARNING" not in outcome.stderr
    seen = [n for n in range(1, 34) if n not in (7, 20)]
    every = rows(tmp_path / "out/crops.csv")
    assert [int(row["frame"]) for row in every] == [*range(1, 34)] * 2
    assert {int(row["frame"]) for row in every if row["status"] == "no_face"} == {7, 20}
    for row in every:
        assert bool(row["crop"]) == (row["status"] == "ok")
        assert float(row["time_s"]) == pytest.approx((int(row["frame"]) - 1) / 20, abs=1e-3)
        if row["crop"]:
            assert read_number(read_image(tmp_path / "out/crops" / row["crop"])) == int(row["frame"])
    labels = rows(tmp_path / "out/labels.csv")
    assert [(row["subject"], int(row["frame"])) for row in labels] == [(s, n) for s in ("SN001", "SN002") for n in seen]
    for row in labels:
        number = int(row["frame"])
        assert row["filename"] == f"{row['subject']}/left/{number:06d}.jpg"
        assert read_number(read_image(tmp_path / "out/crops" / row["filename"])) == number
        assert [int(row[f"AU{au}"]) for au in AUS] == [(number + place) % 6 for place in range(len(AUS))]
    folds = [rows(tmp_path / f"out/folds/2fold_{n}/test.csv") for n in (1, 2)]
    assert [{row["subject"] for row in fold} for fold in folds] == [{"SN001"}, {"SN002"}]
    assert folds[0] + folds[1] == labels


@pytest.mark.parametrize("suffix", ["avi", "mp4"])
def test_chosen_frames_keep_their_numbers(tmp_path: Path, suffix: str) -> None:
    video = write_video(tmp_path / f"video.{suffix}", [numbered_frame(n) for n in range(1, 42)], fps=20)
    chosen = ("frames.every=4", "frames.start_s=0.5", "frames.end_s=1.6")
    crop(tmp_path / "out", f"source={video}", *chosen, *UNSTEADIED)
    found = rows(tmp_path / "out/crops.csv")
    assert [row["crop"] for row in found] == [f"video/{n:06d}.jpg" for n in (13, 17, 21, 25, 29, 33)]
    shown = [read_number(read_image(tmp_path / "out/crops" / row["crop"])) for row in found]
    assert shown == [int(row["frame"]) for row in found]


def test_labels_of_a_thinned_out_video_are_those_of_its_frames(tmp_path: Path) -> None:
    root = write_disfa(tmp_path / "disfa", ["SN001"], 23)
    outcome = crop(tmp_path / "out", "dataset=disfa", f"root={root}", "frames.every=5", *UNSTEADIED)
    assert "WARNING" not in outcome.stderr
    labels = rows(tmp_path / "out/labels.csv")
    assert [row["frame"] for row in labels] == ["1", "6", "11", "16", "21"]
    assert [row["AU1"] for row in labels] == ["1", "0", "5", "4", "3"]


@pytest.mark.parametrize(("count", "kept"), [(9, 6), (4, 4)], ids=["longer", "shorter"])
def test_labels_of_another_length_than_the_video_are_reported(tmp_path: Path, count: int, kept: int) -> None:
    root = write_disfa(tmp_path / "disfa", ["SN001"], 6, labels=count)
    outcome = crop(tmp_path / "out", "dataset=disfa", f"root={root}", *UNSTEADIED)
    assert f"SN001/left: labels up to frame {count}, but 6 frames in the video (1 of 1 clips)" in outcome.stderr
    assert [row["frame"] for row in rows(tmp_path / "out/labels.csv")] == [str(n) for n in range(1, kept + 1)]
    assert len(rows(tmp_path / "out/crops.csv")) == 6


def test_the_summary_counts_and_both_pictures_are_drawn(clips: Path, tmp_path: Path) -> None:
    images = [numbered_frame(n, face=n > 4) for n in range(1, 9)]
    write_video(clips / "half.avi", images)
    outcome = crop(tmp_path / "out", f"source={clips}", *UNSTEADIED)
    (line,) = [line for line in outcome.stdout.splitlines() if line.split()[:1] == ["half"]]
    assert line.split() == ["half", "8", "4", "0", "4", "0", "0", "50.0", "%"]
    (line,) = [line for line in outcome.stdout.splitlines() if line.split()[:2] == ["all", "4"]]
    assert line.split()[2:4] == ["35", "31"]
    for name in ("contact_sheet.png", "failures.png"):
        assert f"{tmp_path}/out/{name}" in outcome.stdout.replace("\n", " ")
        assert np.ptp(read_image(tmp_path / "out" / name)) > 200
    assert set(rows(tmp_path / "out/crops.csv")[0]) >= {"file", "frame", "time_s", "face", "status", "score", "crop"}


def test_two_shards_are_the_whole(clips: Path, tmp_path: Path) -> None:
    whole = crop(tmp_path / "whole", f"source={clips}", "+detector.features=true")
    said = f"Features: {tmp_path}/whole/features: landmarks, blendshapes and pose of 27 crops"
    assert said in whole.stdout.replace("\n", " ")
    assert json.loads((tmp_path / "whole/summary.json").read_text("utf-8"))["features"] == 27
    first = crop(tmp_path / "out", f"source={clips}", "shard={index:1,count:2}", "+detector.features=true")
    assert "INFO 2 clips of other shards are not finished; crops.csv is written when all clips are" in first.stderr
    assert not (tmp_path / "out/crops.csv").exists()
    assert {path.name for path in (tmp_path / "out/crops").iterdir()} == {"b"}
    crop(tmp_path / "out", f"source={clips}", "shard={index:0,count:2}", "+detector.features=true")
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


@pytest.mark.slow
def test_workers_give_what_one_process_gives(clips: Path, tmp_path: Path) -> None:
    crop(tmp_path / "one", f"source={clips}", "+detector.features=true")
    crop(tmp_path / "two", f"source={clips}", "workers=2", "+detector.features=true")
    assert tree(tmp_path / "two") == tree(tmp_path / "one")


def test_running_again_repeats_nothing_and_new_clips_are_added(clips: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    crop(output, f"source={clips}")
    before, times = tree(output), {path: path.stat().st_mtime_ns for path in (output / "crops").rglob("*.jpg")}
    outcome = crop(output, f"source={clips}", f"+detector.needs={tmp_path}/missing")  # it would not open
    assert "INFO 3 of 3 clips were already finished" in outcome.stderr
    assert tree(output) == before
    write_video(clips / "e.avi", moving_faces(3))
    crop(output, f"source={clips}")
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    assert len(rows(output / "crops.csv")) == 30
    crop(tmp_path / "fresh", f"source={clips}")
    assert tree(output) == tree(tmp_path / "fresh")


def test_results_inside_the_source_are_no_source(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png", face_at(40, 40))
    for _ in range(2):
        crop(tmp_path, f"source={tmp_path}")
    assert [row["crop"] for row in rows(tmp_path / "crops.csv")] == ["a.jpg"]


@pytest.mark.slow
def test_a_killed_worker_is_one_line_and_what_it_did_is_kept(tmp_path: Path) -> None:
    for name in "ab":
        write_video(tmp_path / f"in/{name}.avi", moving_faces(30))
    command = (f"output={tmp_path}/out", f"source={tmp_path}/in", "workers=2", *MARKERS)
    killer = threading.Thread(target=_kill_a_worker, args=[tmp_path / "out"])
    killer.start()
    outcome = run("crop", tmp_path, *command, "+detector.delay=0.1")
    killer.join()
    assert outcome.code == 2
    assert outcome.error.startswith("DataError: workers: expected 2 processes to keep running, got one that was killed")
    assert not (tmp_path / "out/crops.csv").exists()
    assert list((tmp_path / "out/crops").rglob("*.jpg"))
    crop(tmp_path / "out", f"source={tmp_path}/in")
    crop(tmp_path / "whole", f"source={tmp_path}/in")
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def _kill_a_worker(output: Path) -> None:
    """Wait for the first crop, then kill a worker process of this process."""
    _wait_for_crops(output)
    os.kill(int(multiprocessing.active_children()[0].pid or 0), signal.SIGKILL)


def _wait_for_crops(output: Path) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until and not list(output.rglob("*.jpg")):
        time.sleep(0.02)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("workers", "number", "code", "line"),
    [
        pytest.param(1, signal.SIGTERM, 143, "Terminated", marks=pytest.mark.slow),
        pytest.param(2, signal.SIGTERM, 143, "Terminated", marks=pytest.mark.slow),
        pytest.param(2, signal.SIGINT, 130, "Interrupted", marks=pytest.mark.slow),
    ],
)
def test_stopped_it_says_so_and_continues_where_it_stopped(
    tmp_path: Path, workers: int, number: signal.Signals, code: int, line: str
) -> None:
    for name in "ab":
        write_video(tmp_path / f"in/{name}.avi", moving_faces(30))
    command = [f"output={tmp_path}/out", f"source={tmp_path}/in", *MARKERS, f"workers={workers}"]
    process = subprocess.Popen(
        [sys.executable, "-c", "from faceflow.cli.crop import main; main()", *command, "+detector.delay=0.1"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    _wait_for_crops(tmp_path / "out")
    os.killpg(process.pid, number)  # as a terminal and Slurm do
    _, stderr = process.communicate(timeout=30)
    kept = f"finished crops are kept in {tmp_path}/out; rerun the same command to resume"
    assert (process.returncode, stderr) == (code, f"{line}: {kept}\n")
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/crops").rglob("*.jpg")}
    assert 0 < len(done) < 60
    crop(tmp_path / "out", f"source={tmp_path}/in")
    assert all(path.stat().st_mtime_ns == time for path, time in done.items())
    crop(tmp_path / "whole", f"source={tmp_path}/in")
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")
