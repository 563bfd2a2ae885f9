"""Data, models and runs on a real S3-compatible server: the same results as with local files, and one-line errors."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from tests.helpers.commands import start_command
from tests.helpers.faces import write_csv_dataset
from tests.helpers.markers import MARKERS, blank, moving_faces, write_photo, write_video
from tests.helpers.stores import StoreServer, proxy
from tests.integration import command

fsspec = pytest.importorskip("fsspec")
pytest.importorskip("s3fs")
pytest.importorskip("moto")

pytestmark = pytest.mark.slow

TINY = (
    *("data=csv", "model=default", "model.backbone=test_resnet", "model.pretrained=false", "model.image_size=32"),
    *("trainer=cpu", "trainer.max_epochs=12", "trainer.enable_progress_bar=false", "loader.batch_size=8"),
    *("loader.workers=0", "pictures=false", "seed=3", "storage.timeout_s=5"),
)


@dataclass(frozen=True)
class S3:
    """A server with the buckets `faces` and `runs`, behind a proxy that can inject faults."""

    system: Any
    web: StoreServer
    faces: Path


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    start = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(start, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    direct = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.1)
        with proxy(direct) as web, pytest.MonkeyPatch.context() as patch:
            for name, value in {**keys, "AWS_ENDPOINT_URL": web.url}.items():
                patch.setenv(name, value)
            system = fsspec.filesystem("s3", endpoint_url=direct, use_listings_cache=False)
            system.mkdir("faces")
            system.mkdir("runs")
            folder = tmp_path_factory.mktemp("local") / "set"
            faces = write_csv_dataset(folder, aus=["AU1", "AU2", "AU4"], subjects=10, frames=6)
            system.put(f"{faces}/", "faces/set/", recursive=True)
            yield S3(system, web, faces)
    finally:
        server.kill()
        server.wait()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3: S3) -> Iterator[None]:
    monkeypatch.setenv("FACEFLOW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FACEFLOW_RUNS", str(tmp_path / "runs"))
    yield
    s3.web.faults.kinds.clear()
    s3.web.faults.left.clear()


def run(name: str, *arguments: str, code: int = 0) -> tuple[str, str]:
    process = start_command(name, *arguments)
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, err
    assert "Traceback" not in err
    return out, err


def local_data(s3: S3) -> list[str]:
    return [f"data.labels={s3.faces}/labels.csv", f"data.images={s3.faces}/images"]


STORED = ("data.labels=s3://faces/set/labels.csv", "data.images=s3://faces/set/images")


def scores(folder: Path) -> dict[str, Any]:
    record = json.loads((folder / "metrics.json").read_text("utf-8"))
    return {"monitor": record["monitor"], "test": record["test"], "protocol": record["run"]["protocol"]} | {
        "data": record["run"]["data"]
    }


def assert_same_results(ours: Path, theirs: Path) -> None:
    for name in ("metrics.csv", "per_au.csv"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name
    first, second = (pd.read_csv(folder / "predictions.csv", dtype=str) for folder in (ours, theirs))
    assert first.equals(second)
    assert scores(ours) == scores(theirs)


def assert_same_weights(ours: Path, theirs: Path) -> None:
    first, second = (torch.load(path, weights_only=True)["state_dict"] for path in (ours, theirs))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.release
def test_a_packed_set_on_the_store_trains_as_its_folder(s3: S3, tmp_path: Path) -> None:
    few = (*TINY, "trainer.max_epochs=2")
    run("train", *few, *local_data(s3), f"hydra.run.dir={tmp_path}/local")
    run("pack", f"labels={s3.faces}/labels.csv", f"images={s3.faces}/images", f"output={tmp_path}/pack")
    s3.system.put(f"{tmp_path}/pack/", "faces/pack/", recursive=True)
    run("train", *few, "data.labels=s3://faces/pack", f"hydra.run.dir={tmp_path}/stored")
    assert_same_results(tmp_path / "stored", tmp_path / "local")
    assert_same_weights(*(tmp_path / name / "checkpoints/last.ckpt" for name in ("stored", "local")))


@pytest.mark.release
def test_a_run_from_the_store_that_is_killed_and_continues_elsewhere_equals_one_of_local_files(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("train", *TINY, *local_data(s3), f"hydra.run.dir={tmp_path}/local")

    killed = start_command("train", *TINY, *STORED, "mirror=s3://runs/killed", f"hydra.run.dir={tmp_path}/killed")
    while not s3.system.exists("runs/killed/checkpoints/last.ckpt"):
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / "killed/metrics.json").exists(), "it was too fast to be killed"

    monkeypatch.setenv("FACEFLOW_CACHE", str(tmp_path / "cache of another machine"))
    goes_on = ("resume=s3://runs/killed", "mirror=s3://runs/killed", f"hydra.run.dir={tmp_path}/resumed")
    run("train", *TINY, *STORED, *goes_on)
    assert_same_results(tmp_path / "resumed", tmp_path / "local")
    for name in ("best", "last"):
        assert_same_weights(*(tmp_path / folder / f"checkpoints/{name}.ckpt" for folder in ("resumed", "local")))
    config = (tmp_path / "resumed/config.yaml").read_text("utf-8")
    assert "labels: s3://faces/set/labels.csv" in config
    assert "cache of another machine" not in config.replace(f"cache: {tmp_path}/cache of another machine", "")

    for name in ("metrics.json", "metrics.csv", "predictions.csv", "checkpoints/best.ckpt", "checkpoints/last.ckpt"):
        assert s3.system.cat(f"runs/killed/{name}") == (tmp_path / "resumed" / name).read_bytes(), name

    tested = ("data=csv", "loader.workers=0", "pictures=false", "accelerator=cpu", "storage.timeout_s=5")
    run("test", *tested, *STORED, "checkpoint=s3://runs/killed/checkpoints/best.ckpt", f"hydra.run.dir={tmp_path}/t1")
    best = f"checkpoint={tmp_path}/local/checkpoints/best.ckpt"
    run("test", *tested, *local_data(s3), best, f"hydra.run.dir={tmp_path}/t2")
    assert (tmp_path / "t1/per_au.csv").read_bytes() == (tmp_path / "t2/per_au.csv").read_bytes()
    assert (tmp_path / "t1/predictions.csv").read_bytes() == (tmp_path / "t2/predictions.csv").read_bytes()

    # The model stays on the store: it is exported from there and applied to images there.
    for where, checkpoint in (
        ("local", f"{tmp_path}/local/checkpoints/best.ckpt"),
        ("s3", "s3://runs/killed/checkpoints/best.ckpt"),
    ):
        run("export", f"checkpoint={checkpoint}", f"output={tmp_path}/{where}.onnx", "loader.workers=0")
    s3.system.put(f"{tmp_path}/s3.onnx", "runs/model.onnx")
    infer = ("crops=true", "detectors=1", "threads=1")
    run("infer", "onnx=s3://runs/model.onnx", "source=s3://faces/set/images", f"output={tmp_path}/s3.csv", *infer)
    run("infer", f"onnx={tmp_path}/local.onnx", f"source={s3.faces}/images", f"output={tmp_path}/local.csv", *infer)
    first, second = (pd.read_csv(tmp_path / f"{where}.csv") for where in ("s3", "local"))
    assert first["file"].str.startswith("s3://faces/set/images/s").all()
    assert [name.removeprefix("s3://faces/set") for name in first["file"]] == [
        name.removeprefix(str(s3.faces)) for name in second["file"]
    ]
    assert first.drop(columns="file").equals(second.drop(columns="file"))


@pytest.mark.release
def test_folds_continue_from_their_mirror(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folds = ("protocol=kfold", "protocol.k=2", "trainer.max_epochs=3")
    run("train", *TINY, *folds, *local_data(s3), f"hydra.run.dir={tmp_path}/local")
    killed = start_command(
        "train", *TINY, *folds, *STORED, "mirror=s3://runs/folds", f"hydra.run.dir={tmp_path}/killed"
    )
    while not s3.system.glob("runs/folds/*2/checkpoints/last.ckpt"):
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    monkeypatch.setenv("FACEFLOW_CACHE", str(tmp_path / "cache2"))
    goes_on = ("resume=s3://runs/folds", "mirror=s3://runs/folds", f"hydra.run.dir={tmp_path}/resumed")
    out, _ = run("train", *TINY, *folds, *STORED, *goes_on)
    assert "finished earlier, kept" in out
    for name in ("folds.csv", "folds_per_au.csv"):
        assert (tmp_path / "resumed" / name).read_bytes() == (tmp_path / "local" / name).read_bytes()


def test_unlabelled_faces_and_crops_with_their_recipe_come_from_the_store(s3: S3, tmp_path: Path) -> None:
    recipe = {"align": {"preset": "eyes"}, "detector": {"name": "x"}, "selection": {"smooth": 0}}
    s3.system.pipe("faces/cropped/crops.json", json.dumps(recipe).encode())
    s3.system.pipe("faces/cropped/labels.csv", (s3.faces / "labels.csv").read_bytes())
    s3.system.put(f"{s3.faces}/images/", "faces/cropped/crops/", recursive=True)
    unlabeled = ("method=fixmatch", "unlabeled=s3://faces/set/images", "trainer.max_epochs=1")
    folder = f"hydra.run.dir={tmp_path}/run"
    out, _ = run("train", *TINY, *unlabeled, "data.labels=s3://faces/cropped/labels.csv", folder)
    assert "own" in out
    payload = torch.load(tmp_path / "run/checkpoints/best.ckpt", weights_only=True)["faceflow"]
    assert payload["crop"] == recipe


def test_videos_and_pictures_of_the_store_are_cropped_as_local_ones(s3: S3, tmp_path: Path) -> None:
    video = write_video(tmp_path / "in/a.avi", [*moving_faces(6), blank()])
    write_photo(tmp_path / "in/b.png", moving_faces(1)[0])
    s3.system.put(f"{tmp_path}/in/", "faces/raw/", recursive=True)
    settings = (*MARKERS, "selection.smooth=0", "pack=true")
    run("crop", f"source={video.parent}", f"output={tmp_path}/local", *settings)
    run("crop", "source=s3://faces/raw", f"output={tmp_path}/stored", *settings)
    local, stored = (
        {path.name: path.read_bytes() for path in (tmp_path / name / "crops").rglob("*.jpg")}
        for name in ("local", "stored")
    )
    assert len(local) == 7
    assert stored == local


FAULTS = [
    (
        "labels.csv",
        "403",
        "StorageError: data.sources.csv.labels: expected permission to read the object, got 's3://faces",
    ),
    ("labels.csv", "404", "StorageError: data.sources.csv.labels: expected an object on the store, got none at 's3://"),
    ("labels.csv", "cut", "StorageError: data.sources.csv.labels: expected an object that can be read, got 's3://face"),
    ("labels.csv", "stall", "StorageError: data.sources.csv.labels: expected an object that can be read, got 's3://fa"),
    ("labels.csv", "flip", "StorageError: data.sources.csv.labels: expected an object that can be read, got 's3://fac"),
    (
        "images/s3/2.jpg",
        "403",
        "StorageError: data.sources.csv.images: expected permission to read the object, got 's3:",
    ),
    ("images/s3/2.jpg", "404", "StorageError: data.sources.csv.images: expected an object on the store, got none at "),
    ("images/s3/2.jpg", "flip", "StorageError: data.sources.csv.images: expected an object that can be read, got 's3"),
]


@pytest.mark.parametrize(("part", "fault", "line"), FAULTS)
def test_faults_of_the_store_are_one_line(s3: S3, tmp_path: Path, part: str, fault: str, line: str) -> None:
    s3.web.faults.kinds[part], s3.web.faults.stall_s = fault, 2.0
    outcome = command.run("train", tmp_path / "run", *TINY, *STORED, "report_only=true", "storage.timeout_s=0.5")
    said = [each for each in outcome.stderr.splitlines() if not each.startswith("INFO")]
    assert (outcome.code, outcome.stdout, len(said)) == (2, "", 1), outcome.stderr
    assert said[0].removeprefix("ERROR ").startswith(line), said[0]
    assert not list((tmp_path / "cache").rglob("*.tmp"))


@pytest.mark.parametrize("fault", ["cut", "slow", "flip", "500"])
def test_faults_that_pass_change_nothing(s3: S3, tmp_path: Path, fault: str) -> None:
    for part in ("images/s3/2.jpg", "labels.csv"):
        s3.web.faults.kinds[part], s3.web.faults.left[part] = fault, 2
    first = command.run("train", tmp_path / "run", *TINY, *STORED, "report_only=true")
    second = command.run("train", tmp_path / "local", *TINY, *local_data(s3), "report_only=true")
    assert (first.code, second.code) == (0, 0), first.stderr
    assert (tmp_path / "run/data.txt").read_bytes() == (tmp_path / "local/data.txt").read_bytes()


def test_an_image_that_is_missing_is_named_by_its_row(s3: S3, tmp_path: Path) -> None:
    s3.system.cp("faces/set/images", "faces/few", recursive=True)
    s3.system.rm("faces/few/s3/2.jpg")
    data = (STORED[0], "data.images=s3://faces/few", "report_only=true")
    outcome = command.run("train", tmp_path / "run", *TINY, *data)
    line = "DataError: s3://faces/set/labels.csv:22: expected an image, got no such file: 's3://faces/few/s3/2.jpg'"
    assert outcome.code == 2
    assert outcome.stderr.splitlines()[-1].removeprefix("ERROR ").startswith(line)
    assert command.run("train", tmp_path / "run", *TINY, *data, "data.sources.csv.bad_images=skip").code == 0


def test_no_credentials_and_no_server_are_one_line(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    outcome = command.run("train", tmp_path / "run", *TINY, *STORED, "report_only=true")
    assert outcome.error.startswith(
        "StorageError: data.sources.csv.labels: expected an object that can be read, got 's3:"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    outcome = command.run("train", tmp_path / "run", *TINY, *STORED, "report_only=true")
    assert "(Unable to locate credentials); check the address and the credentials" in outcome.error


def test_a_store_that_fails_while_training_ends_no_run(s3: S3, tmp_path: Path) -> None:
    s3.web.faults.kinds["runs/broken/checkpoints"] = "500"
    settings = (*TINY, *STORED, "trainer.max_epochs=2", "mirror=s3://runs/broken")
    outcome = command.run("train", tmp_path / "run", *settings)
    assert outcome.code == 0
    assert (tmp_path / "run/metrics.json").is_file()
    said = [line for line in outcome.stderr.splitlines() if line.startswith("WARNING mirror")]
    assert said[0].startswith("WARNING mirror: expected a writable store, got 's3://runs/broken'")
    assert "files of the run were not copied to 's3://runs/broken'" in said[-1]
    assert "checkpoints/best.ckpt" in said[-1]
    assert str(tmp_path / "run") in said[-1]


def test_a_mirror_with_results_of_another_run_is_kept(s3: S3, tmp_path: Path) -> None:
    s3.system.pipe("runs/other/checkpoints/last.ckpt", b"precious")
    outcome = command.run("train", tmp_path / "run", *TINY, *STORED, "mirror=s3://runs/other")
    found = "got 's3://runs/other' with checkpoints/last.ckpt of an earlier run"
    assert f"ConfigError: mirror: expected an address without results, {found}" in outcome.stderr
    assert s3.system.cat("runs/other/checkpoints/last.ckpt") == b"precious"
    s3.web.faults.kinds["runs/shut"] = "403"
    outcome = command.run("train", tmp_path / "run", *TINY, *STORED, "mirror=s3://runs/shut")
    assert outcome.code == 2
    assert "StorageError: mirror: expected a writable store, got 's3://runs/shut'" in outcome.stderr


@pytest.mark.release
def test_two_commands_fill_one_cache(s3: S3, tmp_path: Path) -> None:
    jobs = [
        start_command("train", *TINY, *STORED, "report_only=true", f"hydra.run.dir={tmp_path}/{name}")
        for name in ("one", "two")
    ]
    ends = [job.communicate(timeout=300) for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], ends
    assert len(list((tmp_path / "cache/storage/s3/faces/set/images").rglob("*.*"))) == 60
