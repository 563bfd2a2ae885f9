"""Every user error gives one line that names its location, exit code 2 and no half-written result."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import lightning as L
import numpy as np
import pandas as pd
import pytest
import timm
import torch

from faceflow.models.checkpoint import load_network
from tests.integration.command import SMALL, Faces, Outcome, make_faces, run, train
from tests.integration.mistakes import CASES, Case, parts


class Code:
    """Unpickling creates a folder, which proves that code from the file ran."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.proof),)


@pytest.fixture(scope="session")
def files(trained: Outcome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weight files and checkpoints that cannot be used."""
    folder = tmp_path_factory.mktemp("files")
    resnet = timm.create_model("test_resnet", pretrained=False).state_dict()
    torch.save(resnet, folder / "foreign.pth")
    torch.save({name: value.new_zeros(7) for name, value in resnet.items()}, folder / "shapes.pth")
    torch.save(timm.create_model("test_vit", pretrained=False).state_dict(), folder / "vit.pth")
    torch.save({"state_dict": Code(folder / "ran")}, folder / "code.pth")
    whole = torch.load(trained.checkpoint("last"), weights_only=True)
    torch.save({key: value for key, value in whole.items() if key != "optimizer_states"}, folder / "weights.ckpt")
    (folder / "truncated.ckpt").write_bytes(trained.checkpoint().read_bytes()[:10_000])
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_mistake_is_named_in_one_line(
    case: Case, faces: Faces, trained: Outcome, files: Path, tmp_path: Path
) -> None:
    if case.damage:
        faces = make_faces(tmp_path / "faces")
        case.damage(faces)
    places = {"folder": faces.folder, "csv": faces.csv, "images": faces.images, "files": files}
    places |= {name: trained.checkpoint(name) for name in ("best", "last")}
    small = SMALL if case.command == "train" else ("loader.workers=0",)
    overrides = [override.format(**places) for override in (*case.data, *case.overrides)]
    outcome = run(case.command, tmp_path / "run", *small, *overrides)
    assert outcome.code == 2, outcome.stderr
    error, expected = outcome.error, _pattern(case.line.format(**places))
    assert re.fullmatch(expected, error), error
    written = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert not [path for path in written if path.suffix in (".ckpt", ".tmp") or path.name == "metrics.json"]
    assert not (files / "ran").exists()


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_missing_gpu_is_named_in_one_line(faces: Faces, trained: Outcome, tmp_path: Path) -> None:
    asked = run("train", tmp_path / "train", *SMALL, *faces.overrides, "trainer=gpu")
    assert (asked.code, asked.error) == (2, "ConfigError: trainer: No supported gpu backend found!")
    best = f"checkpoint={trained.checkpoint()}"
    tested = run("test", tmp_path / "test", *faces.overrides, best, "accelerator=gpu", "loader.workers=0")
    assert tested.code == 2
    assert tested.error.startswith("ConfigError: accelerator: No supported gpu backend found!")


@pytest.mark.slow
def test_a_hub_that_cannot_be_reached_is_one_line_of_the_installed_command(faces: Faces, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("faceflow-train")), f"hydra.run.dir={tmp_path / 'run'}"]
    done = subprocess.run(
        [*command, *SMALL, *faces.overrides, "model.backbone=resnet18", "model.pretrained=true"],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    error = Outcome(done.returncode, done.stdout, done.stderr, tmp_path / "run").error
    assert done.returncode == 2
    assert error.startswith("ConfigError: model.pretrained: could not get weights of resnet18 from its hub (")
    assert error.endswith("); go online, or set model.weights=FILE, or model.pretrained=false")


def test_an_interrupt_exits_with_130(faces: Faces, tmp_path: Path) -> None:
    outcome = run("train", tmp_path, *SMALL, *faces.overrides, f"+callbacks.stop._target_={__name__}.Interrupt")
    nothing = "no epoch was finished, so nothing is kept; rerun the same command"
    assert (outcome.code, outcome.stderr) == (130, f"Interrupted: {nothing}\n")


class Interrupt(L.Callback):
    """Presses Ctrl-C in the first step."""

    def on_train_batch_start(self, *_: object) -> None:
        signal.raise_signal(signal.SIGINT)


def test_a_full_disk_is_one_line_and_costs_no_earlier_checkpoint(faces: Faces, tmp_path: Path) -> None:
    first = train(tmp_path, *faces.overrides, "test=false")
    before = {name: first.checkpoint(name).read_bytes() for name in ("best", "last")}
    with _no_file_over(200_000):
        again = f"resume={first.checkpoint('last')}"
        outcome = run("train", tmp_path, *SMALL, *faces.overrides, again, "trainer.max_epochs=2")
    assert outcome.code == 2
    expected = f"CheckpointError: {tmp_path}/checkpoints/*.ckpt: could not write the checkpoint (File too large); *"
    assert re.fullmatch(_pattern(expected), outcome.error), outcome.error
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    for name, content in before.items():
        assert first.checkpoint(name).read_bytes() == content
        assert load_network(first.checkpoint(name), key="checkpoint")[1].thresholds


def test_gray_transparent_and_16_bit_images_and_repeated_rows_train(tmp_path: Path) -> None:
    faces = make_faces(tmp_path / "faces")
    pixels = np.random.default_rng(0).integers(0, 65536, (32, 32, 4), dtype=np.uint16)
    for frame, unusual in (("1", pixels[..., 0] // 256), ("3", pixels)):
        assert cv2.imwrite(str(faces.images / f"s0/{frame}.png"), unusual)
    assert cv2.imwrite(str(faces.images / "s1/1.png"), (pixels // 256).astype(np.uint8))
    rows = faces.read()
    faces.write(pd.concat([rows, rows[:2]]))
    outcome = train(tmp_path / "run", *faces.overrides)
    assert outcome.stderr.strip() == ""
    counts = re.findall(r"^(?:train|val|test) +faces +(\d+) +\d+ +0 +(\d+) ", outcome.stdout, re.MULTILINE)
    assert [int(images) for images, _ in counts] == [20, 12, 8]
    assert (outcome.folder / "data.txt").read_text("utf-8").count("duplicates,") == 1
    assert {duplicates for _, duplicates in counts} == {"2"}


@pytest.mark.parametrize("override", ["loader.batch_size=8", "loader.batch_size=1"])
def test_batches_of_one_train_with_batch_norm(override: str, tmp_path: Path) -> None:
    faces = make_faces(tmp_path / "faces", subjects=4, frames=9)
    rows = faces.read()
    parts(train=range(3), val=range(3, 4))(faces)
    faces.write(rows[:17], "train.csv")  # 2 x 8 + 1
    splits = (
        "data=csv_splits",
        f"data.images={faces.images}",
        *(f"data.{n}={faces.folder}/{n}.csv" for n in ("train", "val")),
    )
    outcome = train(tmp_path / "run", *splits, "model.image_size=64", override)
    history = outcome.table("metrics.csv")
    assert history["step"].tolist() == [2 if override.endswith("8") else 17]
    assert np.isfinite(history["train/loss"]).all()


@contextlib.contextmanager
def _no_file_over(size: int) -> Iterator[None]:
    """Make the kernel refuse to write more than `size` bytes into a file."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def _pattern(line: str) -> str:
    return re.escape(line).replace(r"\*", ".*").replace(r"s\?", r"s\d")
