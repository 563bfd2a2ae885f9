"""Small faces: search parts of an image, as a detector, which sees the whole shrunk, may miss them or be inexact."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from faceflow.faces.detector import Detection
from faceflow.faces.tracks import overlap
from faceflow.images import Image

_STEPS = 2  # per tile: every face up to half a tile is entirely within one of them
_SAME_FACE = 0.3
_CLOSE_UP = 3.0  # sides of a face's box
_STILL_THERE = 0.1  # overlap of a face with its first box, which may have been far off


def detect_in_tiles(detect: Callable[[Image], list[Detection]], image: Image, *, across: int) -> list[Detection]:
    """Faces found in half-overlapping tiles of an image (H, W, 3), each once.

    If several tiles show a face, the tile that has it nearest to its middle is used; a face cut by a tile's border is
    ignored.

    Args:
        detect: finds the faces of an image.
        image: RGB (H, W, 3).
        across: tiles side by side, not counting those between them; `(2 across - 1)^2` in all.
    """
    found: list[tuple[float, Detection]] = []
    height, width = image.shape[:2]
    side_x, side_y = math.ceil(width / across), math.ceil(height / across)
    for x, y in _corners(width - side_x, height - side_y, across):
        for face in detect(np.ascontiguousarray(image[y : y + side_y, x : x + side_x])):
            x1, y1, x2, y2 = face.box
            cut = (x1 < 0 < x, y1 < 0 < y, x2 > side_x and x + side_x < width, y2 > side_y and y + side_y < height)
            if not any(cut):
                off_center = math.hypot((x1 + x2) / side_x - 1, (y1 + y2) / side_y - 1)
                found.append((off_center, _moved(face, x, y)))
    return merged([face for _, face in sorted(found, key=lambda entry: entry[0])])


def detect_close_up(detect: Callable[[Image], list[Detection]], image: Image, face: Detection) -> Detection:
    """A face detected again in a close-up of an image (H, W, 3); unchanged if the close-up shows none in its place."""
    low, high = face.box.reshape(2, 2)
    middle, reach = (low + high) / 2, _CLOSE_UP * (high - low).max() / 2
    height, width = image.shape[:2]
    x1, y1 = (max(0, math.floor(value)) for value in middle - reach)
    x2, y2 = (min(side, math.ceil(value) + 1) for value, side in zip(middle + reach, (width, height), strict=True))
    if x1 >= x2 or y1 >= y2:
        return face
    found = [_moved(other, x1, y1) for other in detect(np.ascontiguousarray(image[y1:y2, x1:x2]))]
    best = max(found, key=lambda other: overlap(other.box, face.box), default=face)
    return best if overlap(best.box, face.box) >= _STILL_THERE else face


def merged(faces: Sequence[Detection]) -> list[Detection]:
    """Faces without those that overlap an earlier one."""
    kept: list[Detection] = []
    for face in faces:
        if all(overlap(face.box, other.box) < _SAME_FACE for other in kept):
            kept.append(face)
    return kept


def _corners(last_x: int, last_y: int, across: int) -> Iterator[tuple[int, int]]:
    count = _STEPS * (across - 1)
    for row in range(count + 1):
        for column in range(count + 1):
            yield round(last_x * column / count), round(last_y * row / count)


def _moved(face: Detection, x: int, y: int) -> Detection:
    return dataclasses.replace(
        face,
        box=face.box + np.array([x, y, x, y]),
        points=face.points + np.array([x, y]),
        landmarks=None if face.landmarks is None else face.landmarks + np.array([x, y]),
        features=None if face.features is None else face.features.moved(x, y),
    )
