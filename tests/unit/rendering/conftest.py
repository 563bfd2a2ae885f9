"""Fixtures shared by the renderer's tests: a generated face model, a subject and domains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceflow.config.composition import compose_config
from faceflow.rendering.build import build_settings
from faceflow.rendering.face_model import FaceModel, build_face_model
from faceflow.rendering.facekit import read_facekit
from faceflow.rendering.recording import RenderSettings
from faceflow.rendering.subject import Subject, sample_subject
from tests.helpers.face_models import write_face_model


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_face_model(tmp_path_factory.mktemp("facekit") / "face.npz")


@pytest.fixture(scope="session")
def face(model_file: Path) -> FaceModel:
    return build_face_model(read_facekit(model_file, key="facekit"))


@pytest.fixture(scope="session")
def settings(model_file: Path) -> RenderSettings:
    values = compose_config(
        "render", ["output=-", "image.size=48", "experiment=benchmark", "hair=short", "glasses=none"]
    )
    return build_settings(values, model_file)


@pytest.fixture(scope="session")
def subject(face: FaceModel, settings: RenderSettings) -> Subject:
    return sample_subject(np.random.SeedSequence(3), face, settings.population, settings.strength)
