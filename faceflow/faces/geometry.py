"""Similarity transforms, and warping images by them.

Coordinates are pixels; the centre of the top left pixel is (0, 0), as in OpenCV. Angles are radians, clockwise as seen.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from faceflow.faces.detector import Array
from faceflow.images import Image

BORDERS = {"replicate": cv2.BORDER_REPLICATE, "reflect": cv2.BORDER_REFLECT_101}
INTERPOLATIONS = ("area", "linear")

_MAX_SAMPLES = 16  # per crop pixel and axis: bounds the memory that a huge face takes
# From the point between the eyes to the nose tip, in eye distances; of rendered heads turned up to 60 degrees, between
# what MediaPipe's landmarks and its boxes give.
_NOSE = 0.84


def similarity(*, angle: float, scale: float, anchor: Array, place: Array) -> Array:
    """Transform (2, 3) that turns the direction `angle` level, scales, and moves `anchor` to `place`."""
    linear = scale * rotation(angle)
    return np.column_stack([linear, place - linear @ anchor])


def rotation(angle: float) -> Array:
    """Matrix (2, 2) that turns the direction `angle` level."""
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, sin], [-sin, cos]])


def roll(left: Array, right: Array) -> float:
    """Angle of the line from one point to another."""
    x, y = right - left
    return math.atan2(y, x)


def frontal_eye_distance(left: Array, right: Array, nose: Array) -> float:
    """Distance between the eyes that a turned head would have if seen from the front at the same distance.

    The nose tip is in front of and below the middle of the eyes, at a right angle to the line between them, so these
    three points show how far the head is turned, whatever the mouth does: the pose of a known triangle under weak
    perspective (Alter 1994, "3-D pose from 3 points using weak-perspective", IEEE TPAMI 16(8)). With the eyes `d` apart
    in the image, the nose tip `x` along their line and `y` across it, and `n` = `_NOSE`, its size `s` is the root of
    (s^2 - d^2) (n^2 s^2 - x^2 - y^2) = d^2 x^2 at which both brackets are positive.
    """
    x, y = rotation(roll(left, right)) @ (nose - (left + right) / 2)
    seen = math.dist(left, right) * _NOSE
    total = seen**2 + x**2 + y**2
    return math.sqrt((total + math.sqrt(max(total**2 - (2 * seen * y) ** 2, 0.0))) / 2) / _NOSE


def warp(image: Image, affine: Array, *, size: int, padding: str | int, interpolation: str) -> Image:
    """Square crop of an image, by a transform from image to crop coordinates.

    With area interpolation the image is sampled at least once per image pixel, and the samples in each crop pixel are
    averaged, so that shrinking does not alias and a rotated image gives the same crop. When magnifying, it is linear
    interpolation.

    Args:
        image: RGB (H, W, 3).
        affine: (2, 3).
        size: side of the crop.
        padding: fill beyond the image: replicate, reflect, or a grey level 0..255.
        interpolation: area or linear.

    Returns:
        (size, size, 3).
    """
    shrinking = 1 / math.sqrt(abs(np.linalg.det(affine[:, :2])))
    samples = min(max(math.ceil(shrinking - 1e-6), 1), _MAX_SAMPLES) if interpolation == "area" else 1
    fine = samples * affine
    fine[:, 2] += (samples - 1) / 2
    level = padding if isinstance(padding, int) else 0
    crop = cv2.warpAffine(
        image,
        fine,
        (samples * size, samples * size),
        flags=cv2.INTER_LINEAR,
        borderMode=BORDERS.get(str(padding), cv2.BORDER_CONSTANT),
        borderValue=(level, level, level),
    )
    if samples > 1:
        crop = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(crop, np.uint8)
