"""Sources unlike a model's training data: one line for each, with the names of the faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import faceflow
from faceflow.crop_statistics import CropStatistics
from faceflow.faces.features import FaceFeatures
from faceflow.images import Image
from faceflow.inference.face_statistics import face_statistics
from tests.helpers.exported import contract, write_model
from tests.helpers.features import random_vectors


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model whose training crops were of grey level 90 to 110."""
    quantiles = {"brightness": (90.0, 91.0, 100.0, 109.0, 110.0), "yaw": (-9.0, -5.0, 0.0, 5.0, 9.0)}
    statistics = CropStatistics(faces=500, subjects=40, quantiles=quantiles)
    return write_model(tmp_path / "m.onnx", contract(crop_statistics=statistics))


def greys(*levels: int) -> list[Image]:
    return [np.full((20, 20, 3), level, np.uint8) for level in levels]


def test_a_source_of_other_faces_is_told_in_one_line(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = faceflow.load(model, "crops=true").predict(greys(100, 10, 30, 105))
    assert rows["outside"].fillna("").tolist() == ["", "brightness", "brightness", ""]
    (line,) = caplog.messages
    assert line.partition(": ")[2] == (
        "2 of 4 faces are unlike the training faces, most of all in brightness: 2 of them average 20, and 99 % of the "
        "training faces have 90 to 110; the column 'outside' names them: check their AUs before you "
        "rely on them"
    )


def test_a_source_with_few_other_faces_is_not(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = faceflow.load(model, "crops=true").predict(greys(10, 100, 101, 102, 103))
    assert rows["outside"].fillna("").tolist() == ["brightness", "", "", "", ""]
    assert not caplog.messages


def test_a_model_that_remembers_no_faces_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = faceflow.load(write_model(tmp_path / "m.onnx"), "crops=true").predict(greys(0, 255))
    assert "outside" not in rows.columns
    assert not caplog.messages


def test_features_say_the_size_and_the_pose_of_a_face() -> None:
    vector = random_vectors(1)[0]
    landmarks = FaceFeatures.from_vector(vector).landmarks
    width, height = np.ptp(landmarks[:, 0]), np.ptp(landmarks[:, 1])
    found = face_statistics(None, vector, image_size=2048)
    assert found == pytest.approx(
        {"face_size": (width * height) ** 0.5, "yaw": float(vector[-3]), "pitch": float(vector[-2])}
    )
    assert face_statistics(None, None, image_size=112) == {}
