"""A real photograph, turned, scaled and tiled: the eyes keep their positions in the crop."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from faceflow.config.paths import config_dir
from faceflow.faces.align import EyesRecipe, Recipe
from faceflow.faces.detector import Array, Detection
from faceflow.faces.mediapipe_detector import MediaPipeLandmarker
from faceflow.images import Image, read_image
from tests.helpers.affine import transform
from tests.unit.faces.test_detector import needing_mediapipe

TURNS = (-30, -20, -10, 0, 10, 20, 30)  # degrees, clockwise
SCALES = (0.5, 0.75, 1.0, 1.5, 2.0)
INNER = slice(16, 208)  # of a crop: turned pictures end in grey corners


@pytest.fixture(scope="module")
def astronaut() -> Image:
    """NASA's photograph of Eileen Collins, 512 px, her face a fifth of it across."""
    package = importlib.util.find_spec("skimage")
    path = Path(package.origin).with_name("data") / "astronaut.png" if package and package.origin else None
    if path is None or not path.is_file():
        pytest.skip("needs astronaut.png of scikit-image: pip install scikit-image")
    return read_image(path)


@pytest.fixture(scope="module")
def detector() -> Iterator[MediaPipeLandmarker]:
    opened = needing_mediapipe("mediapipe_landmarks")
    assert isinstance(opened, MediaPipeLandmarker)
    with opened:
        yield opened


@pytest.fixture(scope="module")
def recipe() -> EyesRecipe:
    found = Recipe.from_dict(yaml.safe_load(Path(config_dir(), "align", "eyes.yaml").read_text("utf-8")))
    assert isinstance(found, EyesRecipe)
    return found


def turned(image: Image, degrees: float, scale: float) -> tuple[Image, Array]:
    """Image on a grey square that holds it whichever way it is turned, and the transform (2, 3) into it."""
    height, width = image.shape[:2]
    side = round(1.45 * scale * max(height, width))
    affine = np.array(cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, scale), np.float64)
    affine[:, 2] += (side - 1) / 2 - np.array([width - 1, height - 1]) / 2
    small = cv2.GaussianBlur(image, (0, 0), 0.5 / scale) if scale < 1 else image  # or it would alias
    grey = (128, 128, 128)
    pixels = cv2.warpAffine(small, affine, (side, side), flags=cv2.INTER_CUBIC, borderValue=grey)
    return np.asarray(pixels, np.uint8), affine


def places(recipe: EyesRecipe) -> Array:
    across = recipe.eye_distance / 2
    shares = np.array([[0.5 - across, recipe.eye_height], [0.5 + across, recipe.eye_height]])
    return np.array(shares * recipe.size - 0.5, np.float64)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("degrees", TURNS)
def test_eyes_land_within_two_pixels_of_their_place(
    astronaut: Image, detector: MediaPipeLandmarker, recipe: EyesRecipe, degrees: float, scale: float
) -> None:
    (upright,) = detector.detect(astronaut)
    image, there = turned(astronaut, degrees, scale)
    (face,) = detector.detect(image)
    eyes = transform(recipe.affine(face), transform(there, upright.points[:2]))
    assert np.linalg.norm(eyes - places(recipe), axis=1).max() < 2
    crop = recipe.warp(image, recipe.affine(face))
    (seen,) = detector.detect(crop)
    assert np.linalg.norm(seen.points[:2] - places(recipe), axis=1).max() < 2 / min(scale, 1)  # as sharp as it is


def test_each_of_several_faces_lands_at_its_place(
    astronaut: Image, detector: MediaPipeLandmarker, recipe: EyesRecipe
) -> None:
    (alone,) = detector.detect(astronaut)
    tiled = np.tile(astronaut, (2, 2, 1))
    faces = detector.detect(tiled)
    side = astronaut.shape[0]
    corners = sorted((round(x / side - 0.4), round(y / side - 0.2)) for x, y in (face.points[0] for face in faces))
    assert corners == [(0, 0), (0, 1), (1, 0), (1, 1)]
    for face in faces:
        corner = side * np.array([round(face.points[0, 0] / side - 0.4), round(face.points[0, 1] / side - 0.2)])
        eyes = transform(recipe.affine(face), alone.points[:2] + corner)
        assert np.linalg.norm(eyes - places(recipe), axis=1).max() < 2


@pytest.mark.parametrize("degrees", TURNS)
def test_crop_of_a_turned_picture_is_that_of_the_upright_one_up_to_interpolation(
    astronaut: Image, detector: MediaPipeLandmarker, recipe: EyesRecipe, degrees: float
) -> None:
    """Given the same points: what a detector adds is measured above."""
    (face,) = detector.detect(astronaut)
    image, there = turned(astronaut, degrees, 1.0)
    moved = Detection(box=face.box, points=transform(there, face.points), score=1.0)
    upright = recipe.warp(astronaut, recipe.affine(face))[INNER, INNER].astype(np.float64)
    crop = recipe.warp(image, recipe.affine(moved))[INNER, INNER].astype(np.float64)
    assert np.abs(crop - upright).mean() < 1.5
    assert 10 * np.log10(255**2 / max(float(np.mean((crop - upright) ** 2)), 1e-9)) > 40
