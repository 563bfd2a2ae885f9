"""An exported model runs without torch and all other training libraries."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import venv
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

import faceflow
from tests.helpers.commands import run_command
from tests.helpers.faces import write_csv_dataset

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
ABSENT = ("torch", "torchvision", "lightning", "timm", "albumentations")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def binaries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs of an environment with only the base install."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True)
    install(folder / "bin", str(ROOT))
    return folder / "bin"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model exported from a network that was trained on a few batches."""
    folder = tmp_path_factory.mktemp("model")
    faces = write_csv_dataset(folder / "faces", aus=["AU6", "AU12"], subjects=6, frames=4)
    run_command(
        "train",
        *("data=csv", f"data.labels={faces / 'labels.csv'}", f"data.images={faces / 'images'}", "debug=fast"),
        *("model.backbone=test_resnet", "model.pretrained=false", "model.image_size=32", "levels=5", "logger=none"),
        *("trainer=cpu", "loader.batch_size=8", f"hydra.run.dir={folder}/run"),
    )
    run_command("export", f"checkpoint={folder}/run/checkpoints/best.ckpt", f"output={folder}/model.onnx")
    return folder / "model.onnx"


def install(binaries: Path, what: str) -> None:
    constraints = ROOT / "constraints.txt"
    subprocess.run(
        [binaries / "pip", "install", "--quiet", "--no-compile", what, "--constraint", constraints], check=True
    )


def infer(binaries: Path, folder: Path, *overrides: str) -> None:
    """Run faceflow-infer outside the checkout."""
    outside = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [binaries / "faceflow-infer", *overrides], cwd=folder, env=outside, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def check_video(path: Path, frames: int) -> None:
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == frames
    capture.release()


def test_a_base_install_turns_a_video_of_crops_into_rows_a_timeline_and_a_video(
    binaries: Path, model: Path, tmp_path: Path
) -> None:
    subprocess.run([sys.executable, ROOT / "scripts/synthetic_video.py", tmp_path / "face.avi"], check=True, cwd=ROOT)
    results = ("output=a.csv", "plot=a.html", "render=a.mp4", "calibrate=median", "smooth=2", "events=true")
    infer(binaries, tmp_path, f"onnx={model}", "source=face.avi", "crops=true", *results)
    rows = pd.read_csv(tmp_path / "a.csv")
    assert rows["frame"].tolist() == list(range(1, len(rows) + 1))
    check_video(tmp_path / "a.mp4", len(rows))
    page = (tmp_path / "a.html").read_text("utf-8")
    assert "AU12" in page
    assert "face.avi" in page
    with faceflow.load(model, "crops=true") as predictor:  # here, beside torch
        expected = predictor.predict(tmp_path / "face.avi")
    columns = ["AU06_prob", "AU06_int", "AU12_prob", "AU12_int"]
    np.testing.assert_allclose(rows[columns], expected[columns], atol=1e-4)


def test_nothing_of_the_training_is_installed(binaries: Path) -> None:
    code = f"import importlib.util as u; print([name for name in {ABSENT} if u.find_spec(name)])"
    done = subprocess.run([binaries / "python", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_with_the_crop_extra_it_finds_the_face_of_a_video(binaries: Path, model: Path, tmp_path: Path) -> None:
    video = SHARED / "data/disfa_like/Videos_LeftCamera/LeftVideoSN001_comp.avi"
    task = Path(os.environ.get("FACEFLOW_MODELS", SHARED / "models")) / "face_landmarker.task"
    if not (video.is_file() and task.is_file()):
        pytest.skip("needs ../shared/data/disfa_like and face_landmarker.task in FACEFLOW_MODELS or ../shared/models")
    install(binaries, f"{ROOT}[crop]")
    detector = f"detector.model={task}"
    infer(binaries, tmp_path, f"onnx={model}", f"source={video}", "align=eyes", "output=a.csv", detector)
    rows = pd.read_csv(tmp_path / "a.csv")
    assert rows["frame"].tolist() == list(range(1, 101))
    assert set(rows["status"]) == {"ok"}
    assert rows["AU12_int"].between(0, 5).all()
    infer(binaries, tmp_path, f"source={video}", "output=built_in.csv", "frames.end_s=1", detector)
    rows = pd.read_csv(tmp_path / "built_in.csv")
    assert set(rows["status"]) == {"ok"}
    assert rows["AU12_prob"].between(0, 1).all()


def test_an_opencv_that_was_removed_is_one_line_with_a_repair_that_works(
    binaries: Path, model: Path, tmp_path: Path
) -> None:
    """Must run last: the crop extra adds a second OpenCV, and pip removes the files of both with either."""
    install(binaries, f"{ROOT}[crop]")
    subprocess.run([binaries / "pip", "uninstall", "--quiet", "--yes", "opencv-python-headless"], check=True)
    command = [str(binaries / "faceflow-infer"), f"onnx={model}", "source=x.png", "output=a.csv"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    (line,) = done.stderr.splitlines()[-1:]
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    _, _, repair = line.partition("run: ")
    program, *arguments = shlex.split(repair)
    subprocess.run([binaries / program, *arguments], check=True)
    subprocess.run([binaries / "pip", "check"], check=True)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "expected" in done.stderr
    assert "cv2" not in done.stderr
