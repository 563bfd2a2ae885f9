"""Drawing in the texture of the skin, by places on the mean face in cm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceflow.rendering.arrays import Doubles, Floats, Ints
from faceflow.rendering.face_model import TEXTURE, FaceModel

FRACTION_BITS = 4  # of a pixel, for OpenCV


def fixed_point(points: ArrayLike) -> Ints:
    """Points in the form in which OpenCV draws between pixels."""
    return np.asarray(np.round(np.asarray(points) * 2**FRACTION_BITS), np.int32)


def lines_mask(face: FaceModel, polylines: Sequence[Doubles], width: int, blur: float) -> Floats:
    """Mask (S, S) of lines through places (N, 2) of the mean face, with a blur of `blur` pixels."""
    mask = np.zeros((TEXTURE, TEXTURE), np.float32)
    for places in polylines:
        points = face.texture_points(places)
        points = points[~np.isnan(points).any(1)]
        if len(points) >= 2:
            cv2.polylines(mask, [fixed_point(points)], False, 1.0, width, cv2.LINE_AA, FRACTION_BITS)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), blur), np.float32)


def spot(face: FaceModel, x: float, y: float, spread_x: float, spread_y: float) -> Doubles:
    """Two Gaussian spots (S, S), mirrored about the middle of the face; one where `x` is 0."""
    across, up, front = (face.places[..., axis] for axis in range(3))
    distance = ((np.abs(across) - x) / spread_x) ** 2 + ((up - y) / spread_y) ** 2
    return np.asarray(np.exp(-0.5 * distance) * (front > 0))


def blend(below: Floats, above: NDArray[Any], share: NDArray[Any]) -> Floats:
    """Mix a colour (3,) or colours (S, S, 3) over others by a mask (S, S)."""
    mask = share[..., None]
    return np.asarray(below * (1 - mask) + mask * above)
