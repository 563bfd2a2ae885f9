"""Brows and beards as masks in the skin texture, so that they move with the skin."""

from __future__ import annotations

import cv2
import numpy as np

from faceflow.rendering.arrays import Doubles, Floats
from faceflow.rendering.curves import smooth_noise, smoothstep
from faceflow.rendering.face_model import TEXTURE, FaceModel
from faceflow.rendering.texture import FRACTION_BITS, fixed_point

_FINER = 2  # resolution of drawn brows relative to the texture
_HAIRS = 420


def beard_mask(rng: np.random.Generator, face: FaceModel, lips: Floats) -> Floats:
    """Mask (S, S) of a beard: around the mouth and on chin and jaw, but not on the lips (S, S)."""
    x, y, z = (face.places[..., axis] for axis in range(3))
    border = y - 0.15 * np.abs(x) + 0.25 * smooth_noise(rng, TEXTURE, 14, 2)
    around_mouth = smoothstep(-1.2, -1.9, border) * smoothstep(-8.6, -7.6, y) * (z > 2.5)
    jaw = smoothstep(4.6, 5.6, np.abs(x)) * smoothstep(1.5, 0.0, y) * (z > 2.0) * smoothstep(-8.5, -7.5, y)
    region = np.maximum(around_mouth, jaw) * (1 - smoothstep(0.15, 0.5, lips))
    return np.asarray(cv2.GaussianBlur(region.astype(np.float32), (0, 0), 2), np.float32)


def brow_mask(rng: np.random.Generator, face: FaceModel, *, thin: bool) -> Floats:
    """Mask (S, S) of both brows, each made of about a hundred hairs over a soft shape."""
    size = TEXTURE * _FINER
    mask = np.zeros((size, size), np.float32)
    thickness = rng.uniform(0.36, 0.62) if thin else rng.uniform(0.50, 0.85)
    arch, height = rng.uniform(-0.15, 0.25), rng.uniform(-0.62, -0.30)
    inner, density = rng.uniform(0.95, 1.45), rng.uniform(0.6, 1.0)
    x = np.array([inner, 2.41, 3.79, 4.93, 5.75])
    y = np.array([5.82, 6.13, 6.26 + arch * 0.6, 5.98 + arch, 5.25 + arch * 0.4]) + height
    for side in (1, -1):
        _draw_hairs(mask, rng, face, side, x, y, thickness, int(_HAIRS * density))
        mask = np.maximum(mask, 0.55 * _brow_shape(face, side, x, y, thickness))
    small = cv2.resize(cv2.GaussianBlur(mask, (0, 0), 0.8), (TEXTURE, TEXTURE), interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(small * 1.1, 0, 1) * rng.uniform(0.72, 0.96), np.float32)


def _draw_hairs(
    mask: Floats,
    rng: np.random.Generator,
    face: FaceModel,
    side: int,
    x: Doubles,
    y: Doubles,
    thickness: float,
    count: int,
) -> None:
    """Draw hairs along the middle line of a brow, upright at the inner end and flat at the outer end."""
    along = rng.uniform(0, 1, count) ** 0.9
    knots = np.linspace(0, 1, len(x))
    root_x, root_y = np.interp(along, knots, x), np.interp(along, knots, y)
    width = thickness * np.interp(along, [0, 0.15, 0.6, 1], [0.75, 1, 0.8, 0.15])
    offset = rng.uniform(-0.5, 0.5, count) * width
    angle = np.interp(along, [0, 0.25, 1], [1.25, 0.55, -0.35]) - 0.5 * offset / width + rng.normal(0, 0.16, count)
    length = rng.uniform(0.35, 0.62, count)
    roots = np.stack([side * root_x, root_y + offset], -1)
    tip_y = root_y + offset + length * np.sin(angle) * 0.8
    tips = np.stack([side * (root_x + length * np.cos(angle)), tip_y], -1)
    size = TEXTURE * _FINER
    for root, tip in zip(face.texture_points(roots, size), face.texture_points(tips, size), strict=True):
        if not np.isnan(root).any() and not np.isnan(tip).any():
            cv2.line(mask, fixed_point(root).tolist(), fixed_point(tip).tolist(), 1.0, 2, cv2.LINE_AA, FRACTION_BITS)


def _brow_shape(face: FaceModel, side: int, x: Doubles, y: Doubles, thickness: float) -> Floats:
    along, knots = np.linspace(0, 1, 20), np.linspace(0, 1, len(x))
    middle_x, middle_y = side * np.interp(along, knots, x), np.interp(along, knots, y)
    half = thickness * np.interp(along, [0, 0.15, 0.6, 1], [0.6, 0.95, 0.75, 0.1]) * 0.5
    upper, lower = np.stack([middle_x, middle_y + half], -1), np.stack([middle_x, middle_y - half], -1)
    size = TEXTURE * _FINER
    outline = face.texture_points(np.concatenate([upper, lower[::-1]]), size)
    outline = outline[~np.isnan(outline).any(1)]
    mask = np.zeros((size, size), np.float32)
    if len(outline) > 2:
        cv2.fillPoly(mask, [fixed_point(outline)], 1.0, cv2.LINE_AA, FRACTION_BITS)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 4), np.float32)
