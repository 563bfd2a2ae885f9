"""The benchmark script: subcommands run, pair every round with its reference and write their measurements."""

import importlib
import json
import math
import statistics
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from faceflow.metrics.occurrence import occurrence_metrics
from faceflow.synthetic.writing import write_faces
from tests.helpers.exported import write_model
from tests.helpers.face_models import write_face_model
from tests.helpers.markers import MARKERS, moving_faces, write_video

SCRIPTS = Path(__file__).parents[2] / "scripts"
COMMON = ("--size", "32", "--batch", "4")
DATA = ("data", *COMMON, "--epochs", "2", "--workers", "0,1")
CACHED = ("data", *COMMON, "--epochs", "2", "--workers", "0", "--cache", "ram")
TINY = ("--model", "compact", "--workers", "0", "--warmup", "1", "--rounds", "2")
TRAIN = ("train", *COMMON, *TINY, "model.backbone=test_resnet", "trainer=cpu", "split.val=0.4", "logger=none")
METHODS = "supervised,fixmatch_miro"
SEMI = ("train", "--methods", METHODS, "--steps", "2", *TRAIN[1:], "split.labeled=0.7", "loader.mu=1")

# From Python 3.12 on, forking a worker gives a warning if any library has started a thread.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark") / "faces"
    write_faces(folder=folder, subjects=5, frames=8, size=32, domains=["studio"], seed=0)
    return ("--labels", str(folder / "labels.csv"), "--images", str(folder / "images"))


@pytest.fixture
def benchmark(monkeypatch):
    """The script's `main`; restores the numbers of threads that it changes."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.setenv("COLUMNS", "200")
    threads = torch.get_num_threads(), cv2.getNumThreads()
    with torch.random.fork_rng(devices=[]):
        yield importlib.import_module("benchmark").main
    torch.set_num_threads(threads[0])
    cv2.setNumThreads(threads[1])


def test_metrics_and_their_reference_find_the_same(benchmark, tmp_path):
    path = tmp_path / "figures.json"
    assert benchmark(["metrics", "--frames", "400", "--aus", "3", "--rounds", "2", "--json", str(path)]) == 0
    rows = json.loads(path.read_text("utf-8"))["rows"]
    assert [row["case"] for row in rows] == ["occurrence, against scikit-learn", "occurrence, against torchmetrics"]
    assert all(len(row["ratio"]) == 2 for row in rows)
    metrics = importlib.import_module("benchmarks.metrics")
    rng = np.random.default_rng(1)
    truth, observed, score = rng.random((400, 2)) < 0.2, rng.random((400, 2)) < 0.9, rng.random((400, 2))
    cuts = np.array([0.3, 0.8])
    half, own = (occurrence_metrics(score, truth, observed, cut) for cut in (0.5, cuts))
    ours = np.stack([half["f1"], own["f1"], half["ap"], half["auroc"]])
    assert metrics._scikit_learn(score, truth, observed, cuts) == pytest.approx(ours)
    assert metrics._torchmetrics(score, truth, observed, cuts) == pytest.approx(ours, abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "cases"),
    [
        (DATA, ["workers 0", "workers 1"]),
        (CACHED, ["workers 0, cache ram"]),
        (SEMI, [f"{method}, workers 0" for method in METHODS.split(",")]),
    ],
    ids=["data", "cached", "train"],
)
def test_every_round_is_a_ratio_to_a_reference_of_its_own(benchmark, source, tmp_path, capsys, arguments, cases):
    path = tmp_path / "figures.json"
    assert benchmark([arguments[0], *source, "--json", str(path), *arguments[1:]]) == 0
    out = capsys.readouterr().out.splitlines()
    rows = json.loads(path.read_text("utf-8"))["rows"]
    assert [row["case"] for row in rows] == cases
    for row in rows:
        assert all(math.isfinite(rate) and rate > 0 for rate in row["ours"] + row["reference"])
        ratios = [ours / bare for ours, bare in zip(row["ours"], row["reference"], strict=True)]
        assert len(ratios) == 2
        assert row["ratio"] == pytest.approx(ratios)
        assert row["median_ratio"] == pytest.approx(statistics.mean(ratios))
        assert f" {row['median_ratio']:.2f} ({min(ratios):.2f}-{max(ratios):.2f})" in next(
            line for line in out if line.strip().startswith(row["case"])
        )


def test_cropping_is_held_against_the_slower_of_its_parts(benchmark, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(SCRIPTS.parent)  # the command finds the detector of the tests there
    video, path = write_video(tmp_path / "in put.avi", moving_faces(5)), tmp_path / "figures.json"
    short = ("--frames", "80", "--rounds", "1", "--workers", "1", "--memory", "3,7")
    slow = "+detector.delay=0.01"
    assert benchmark(["crop", "--source", str(video), "--json", str(path), *short, *MARKERS, slow]) == 0
    (row,) = json.loads(path.read_text("utf-8"))["rows"]
    assert row["reference"] == row["series"]["detector"]
    assert row["series"]["detector"][0] < 100 < row["series"]["decode"][0]
    assert row["ratio"] == pytest.approx([row["ours"][0] / row["reference"][0]])
    notes = [line.split(":")[0].strip() for line in capsys.readouterr().out.splitlines() if "MiB" in line]
    assert notes == [f"memory after {n} frames of one video" for n in (3, 7)]


def test_inference_is_held_against_the_slowest_of_its_parts(benchmark, tmp_path, capsys):
    model = write_model(tmp_path / "model.onnx")
    video, path = write_video(tmp_path / "in put.avi", moving_faces(5)), tmp_path / "figures.json"
    given = ("--onnx", str(model), "--source", str(video), "--json", str(path))
    short = ("--frames", "20", "--rounds", "2", "--memory", "3,7")
    assert benchmark(["infer", *given, *short, "detectors=1", *MARKERS, "+detector.delay=0.01"]) == 0
    (row,) = json.loads(path.read_text("utf-8"))["rows"]
    assert row["reference"] == row["series"]["detector"]
    assert max(row["ours"]) < 100 < min(row["series"]["decode"] + row["series"]["network"])
    notes = [line.split(":")[0].strip() for line in capsys.readouterr().out.splitlines() if "MiB" in line]
    assert notes == [f"memory after {n} frames of one video" for n in (3, 7)]


@pytest.mark.release
def test_rendering_is_held_against_its_camera_alone(benchmark, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(SCRIPTS.parent)
    model, path = write_face_model(tmp_path / "in put.npz"), tmp_path / "figures.json"
    short = ("--subjects", "2", "--frames", "10", "--rounds", "1", "--workers", "1", "--memory", "5,20")
    few = ("domains=[studio]", "image.size=32")
    assert benchmark(["render", "--facekit", str(model), "--json", str(path), *short, *few]) == 0
    (row,) = json.loads(path.read_text("utf-8"))["rows"]
    assert row["ratio"] == pytest.approx([row["ours"][0] / row["series"]["bare"][0]])
    notes = [line.split(":")[0].strip() for line in capsys.readouterr().out.splitlines() if "MiB" in line]
    assert notes == [f"memory after {n} images" for n in (5, 20)]


def test_more_steps_than_the_data_have_are_refused_in_one_line(benchmark, source, capsys):
    assert benchmark([TRAIN[0], *source, *TRAIN[1:], "--steps", "1000"]) == 2
    assert "ConfigError: --steps: expected epochs of at least 1001 batches" in capsys.readouterr().err


@pytest.mark.release
def test_jobs_side_by_side_are_held_against_the_same_in_turn(benchmark, source, tmp_path):
    path, data = tmp_path / "figures.json", (f"data.labels={source[1]}", f"data.images={source[3]}", "data=csv")
    small = ("model.backbone=test_resnet", "model.pretrained=false", "model.image_size=32", "loader.batch_size=8")
    short = ("--jobs", "2", "--epochs", "1", "--rounds", "1", "--json", str(path))
    assert benchmark(["sweep", *short, *data, *small, "split.val=0.4", "report_only=true"]) == 0
    (row,) = json.loads(path.read_text("utf-8"))["rows"]
    assert row["ratio"] == pytest.approx([row["ours"][0] / row["reference"][0]])
    assert benchmark(["sweep", *short, "model=nothing"]) == 2
