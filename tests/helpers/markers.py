"""Faces as coloured discs, a detector that finds exactly these, and videos of them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from faceflow.faces.detector import Detection
from faceflow.faces.features import BLENDSHAPES, LANDMARKS, FaceFeatures

Image = NDArray[np.uint8]
Point = tuple[float, float]
MARKERS = ("~detector", "+detector._target_=tests.helpers.markers.MarkerDetector")
_LEFT, _RIGHT, _UNSURE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
_SHIFT = 4  # bits of a pixel's fraction


class MarkerDetector:
    """Finds pairs of a red disc (eye on the left) and a green one; a blue disc between them lowers the score.

    Args:
        delay: seconds per image.
        needs: file that the detector needs to open.
        level: a setting that is reported but has no effect.
        features: whether faces have features, derived from their eyes.
    """

    name = "markers"
    identity = "0" * 64
    min_score = 0.5

    def __init__(
        self, *, delay: float = 0.0, needs: str | None = None, level: float = 0.0, features: bool = False
    ) -> None:
        self.delay = delay
        self.features = features
        self.needs = needs
        self.settings = {"level": level}
        self.seen = 0
        self.opened = False

    def __enter__(self) -> Self:
        if self.needs is not None:
            Path(self.needs).read_bytes()
        self.opened = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.opened = False

    def detect(self, image: Image) -> list[Detection]:
        self.seen += 1
        time.sleep(self.delay)
        unsure, rights = _discs(image, _UNSURE), _discs(image, _RIGHT)
        faces = []
        for left in _discs(image, _LEFT):
            if rights:
                right = min(rights, key=lambda point: float(np.hypot(*(point - left))))
                face = _face(left, right, unsure)
                faces.append(replace(face, features=_features(face)) if self.features else face)
        return faces


def _face(left: NDArray[np.float64], right: NDArray[np.float64], unsure: list[NDArray[np.float64]]) -> Detection:
    middle, across = (left + right) / 2, right - left
    down = np.array([-across[1], across[0]])
    distance = float(np.hypot(*across))
    points = np.stack([left, right, middle + 0.6 * down, left + 1.1 * down, right + 1.1 * down])
    low = any(float(np.hypot(*(point - middle))) < distance / 4 for point in unsure)
    box = np.concatenate([middle + 0.4 * down - 1.25 * distance, middle + 0.4 * down + 1.25 * distance])
    return Detection(box=box, points=points, score=0.3 if low else 0.9)


def _features(face: Detection) -> FaceFeatures:
    """Landmarks on a line between the corners of the mouth, so that all differ."""
    shares = np.linspace(0, 1, LANDMARKS)[:, None]
    line = face.points[3] * (1 - shares) + face.points[4] * shares
    landmarks = np.column_stack([line, np.linspace(-20, 20, LANDMARKS)])
    shapes = np.linspace(0.001, 0.9, len(BLENDSHAPES))
    return FaceFeatures(landmarks=landmarks, blendshapes=shapes, pose=np.array([face.points[0, 0] / 7, -10.0, 3.3]))


def _discs(image: Image, colour: tuple[int, int, int]) -> list[NDArray[np.float64]]:
    """Centres of the discs of a colour, from left to right; lossy codecs blur their edges."""
    near = np.abs(image.astype(np.int16) - np.array(colour, np.int16)).max(axis=2) < 110
    count, _, stats, centres = cv2.connectedComponentsWithStats(near.astype(np.uint8))
    return sorted((centres[n] for n in range(1, count) if stats[n, cv2.CC_STAT_AREA] >= 4), key=lambda point: point[0])


def blank(width: int = 96, height: int = 96, grey: int = 90) -> Image:
    return np.full((height, width, 3), grey, np.uint8)


def draw_face(image: Image, left: Point, right: Point, *, radius: int = 4, low: bool = False) -> Image:
    """Draw the eyes of a face with subpixel precision; `low`: with a low detector score."""
    middle = ((left[0] + right[0]) / 2, (left[1] + right[1]) / 2)
    for point, colour in ((left, _LEFT), (right, _RIGHT), *(((middle, _UNSURE),) if low else ())):
        centre = round(point[0] * 2**_SHIFT), round(point[1] * 2**_SHIFT)
        cv2.circle(image, centre, radius * 2**_SHIFT, colour, -1, cv2.LINE_AA, _SHIFT)
    return image


def face_at(x: float, y: float, *, width: int = 96, height: int = 96, low: bool = False) -> Image:
    """Frame of one face with its eyes 24 px apart around a point."""
    return draw_face(blank(width, height), (x - 12, y), (x + 12, y), low=low)


def covered(image: Image) -> Image:
    """The same frame with a white patch over the eye on the right, so that the detector misses the face."""
    (x, y), *_ = _discs(image, _RIGHT)
    return cv2.circle(image.copy(), (round(x), round(y)), 5, (255, 255, 255), -1)


def moving_faces(count: int) -> list[Image]:
    """Frames of a face that moves right by a third of a pixel per frame, each with a different shade."""
    return [draw_face(blank(grey=60 + n % 40), (30 + n / 3 % 20, 40), (54 + n / 3 % 20, 40)) for n in range(count)]


def write_video(path: Path, frames: Iterable[Image], fps: float = 10) -> Path:
    """Write RGB frames as MJPG (.avi) or MPEG-4 (.mp4)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = list(frames)
    height, width = images[0].shape[:2]
    code: Any = cv2.VideoWriter.fourcc(*("MJPG" if path.suffix == ".avi" else "mp4v"))
    writer = cv2.VideoWriter(str(path), code, fps, (width, height))
    assert writer.isOpened()
    for image in images:
        writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def write_photo(path: Path, image: NDArray[Any]) -> Path:
    """Write an RGB image; 16-bit, grayscale and RGBA images are written unchanged."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA if image.shape[2] == 4 else cv2.COLOR_RGB2BGR)
    assert cv2.imwrite(str(path), image)
    return path
