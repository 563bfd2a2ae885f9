"""A used predictor also works in other processes: forked, spawned, or unpickled."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import faceflow
from faceflow.errors import ExportError
from tests.helpers.exported import intensity_contract, write_model
from tests.helpers.markers import MARKERS, face_at
from tests.unit.faces.test_detector import model_file

pytestmark = pytest.mark.slow

IMAGE = np.full((64, 64, 3), (255, 51, 102), np.uint8)

# The child answers with the first AU and ends like any Python program, which destroys the remaining objects.
FORK = """
import os, signal, sys, time
import numpy as np, faceflow
path, at_once, *settings = sys.argv[1:]
model = faceflow.load(path, "threads=2", *settings)
images = np.full((8, 128, 128, 3), 51, np.uint8)
expected = model.predict(images)
if at_once == "busy":
    import threading
    threading.Thread(target=lambda: [model.predict(images) for _ in range(1000)], daemon=True).start()
for _ in range(5 if at_once == "busy" else 1):
    child = os.fork()
    if child == 0:
        found = model.predict(images)
        sys.exit(0 if found.equals(expected) else 3)
    until = time.monotonic() + 20
    while not (ended := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < until:
        time.sleep(0.02)
    if not ended[0]:
        os.kill(child, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(ended[1]) if ended[0] else "waits", flush=True)
os._exit(0)
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model.onnx", intensity_contract())


def fork(*arguments: str | Path) -> list[str]:
    command = [sys.executable, "-W", "ignore", "-c", FORK, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=150).stdout.split()


def with_detector() -> tuple[str, ...]:
    pytest.importorskip("mediapipe")
    return "align=eyes", "same_detector=false", "detectors=2", f"detector.model={model_file()}"


def test_a_forked_child_predicts_and_ends(model: Path) -> None:
    assert fork(model, "idle", "crops=true") == ["0"]


@pytest.mark.slow
def test_a_forked_child_opens_the_detector_again(model: Path) -> None:
    assert fork(model, "idle", *with_detector()) == ["0"]


@pytest.mark.slow
def test_forks_while_another_thread_predicts(model: Path) -> None:
    assert fork(model, "busy", *with_detector()) == ["0"] * 5


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_pool_of_processes_predicts(model: Path, method: str) -> None:
    with faceflow.load(model, "crops=true") as predictor, multiprocessing.get_context(method).Pool(2) as pool:
        expected = predictor.predict(IMAGE)
        found: list[Any] = pool.map(predictor.predict, [IMAGE, IMAGE, IMAGE])
    for rows in found:
        pd.testing.assert_frame_equal(rows, expected)


def test_a_pickled_predictor_keeps_its_settings(model: Path) -> None:
    with faceflow.load(model, "align=eyes", "same_detector=false", "smooth=2", *MARKERS) as predictor:
        image = face_at(80, 60)
        expected = predictor.predict(image)  # has opened the detector
        again = pickle.loads(pickle.dumps(predictor))
    pd.testing.assert_frame_equal(again.predict(image), expected)
    assert "AU01_prob_smooth" in expected


def test_a_model_file_that_was_replaced_is_not_opened_in_place_of_the_first(model: Path) -> None:
    pickled = pickle.dumps(faceflow.load(model, "crops=true"))
    write_model(model, intensity_contract(licence="another"))
    with pytest.raises(ExportError, match="onnx: expected .* as it was when the model was loaded, got a changed"):
        pickle.loads(pickled)
