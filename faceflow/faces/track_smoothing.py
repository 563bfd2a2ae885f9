"""Smoothing of a face's position across the frames of a clip, without lag."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from faceflow.checks import check_whole
from faceflow.faces.detector import Array
from faceflow.faces.selection import Face

T = TypeVar("T")


def smooth(frames: Iterable[tuple[T, Sequence[Face]]], *, radius: int) -> Iterator[tuple[T, list[Face]]]:
    """Smooth boxes and five points by a weighted local linear fit over each frame and up to `radius` on either side.

    The fit is centred, so nothing lags, and linear, so uniform motion is unchanged, also at the ends of a clip. Only
    found positions of the same face number are fitted: if a face was missed (tracked) and found again within reach, the
    fitted line replaces the held box. Landmarks are not changed.

    Args:
        frames: consecutive frames of one clip, with any data for each; `radius` + 1 of them are delayed.
        radius: frames on either side; 0 changes nothing.

    Yields:
        The same, in the same order.

    Raises:
        ConfigError: `radius` is no whole number >= 0.
    """
    check_whole(radius, key="selection.smooth", lowest=0, expected="frames >= 0")
    return _smooth(frames, radius)


def _smooth(frames: Iterable[tuple[T, Sequence[Face]]], radius: int) -> Iterator[tuple[T, list[Face]]]:
    waiting: deque[T] = deque()
    window: deque[Sequence[Face]] = deque(maxlen=2 * radius + 1)
    for item, faces in frames:
        waiting.append(item)
        window.append(faces)
        if len(waiting) > radius:
            yield waiting.popleft(), _centered(window, len(window) - 1 - radius, radius)
    while waiting:
        center = len(window) - len(waiting)
        yield waiting.popleft(), _centered(window, center, radius)


def _centered(window: Sequence[Sequence[Face]], center: int, radius: int) -> list[Face]:
    near = [
        (index - center, face)
        for index, faces in enumerate(window)
        if abs(index - center) <= radius
        for face in faces
        if face.status == "ok"
    ]
    return [_fitted(face, near, radius) for face in window[center]]


def _fitted(face: Face, near: Sequence[tuple[int, Face]], radius: int) -> Face:
    found = {offset: other.detection for offset, other in near if other.number == face.number and other.detection}
    between = face.status == "tracked" and bool(found) and min(found) < 0 < max(found)
    if face.detection is None or not (between or face.status == "ok"):
        return face
    weights = _weights(np.array(list(found), np.float64), radius)
    box = np.tensordot(weights, np.stack([detection.box for detection in found.values()]), axes=1)
    points = np.tensordot(weights, np.stack([detection.points for detection in found.values()]), axes=1)
    return dataclasses.replace(face, detection=dataclasses.replace(face.detection, box=box, points=points))


def _weights(offsets: Array, radius: int) -> Array:
    """Weights (N,) that give, of values at `offsets`, the value at 0 of the line fitted to them.

    Weighted least squares; nearer frames count more (triangular kernel).
    """
    kernel: Array = 1 - np.abs(offsets) / (radius + 1)
    moment0, moment1, moment2 = (float((kernel * offsets**power).sum()) for power in (0, 1, 2))
    if len(offsets) == 1:
        return np.ones(1)
    return kernel * (moment2 - moment1 * offsets) / (moment0 * moment2 - moment1**2)
