"""A generated face model of a few hundred vertices in the format of ICT-FaceKit: half a barrel with eyes and shapes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceflow.rendering.facekit import EXPRESSIONS, PARTS, write_facekit

Array = NDArray[np.float64]
_COLUMNS, _ROWS = 25, 21
_EYES = ((3.094, 3.614), (-3.094, 3.614))
_LIPS = -3.7  # height of the line between the lips
# Where a shape acts (x on the subject's left, y), and where it moves the skin.
_ACTIONS = {
    "browInnerUp": ((1.5, 5.8), (0, 0.9)),
    "browOuterUp": ((4.5, 5.8), (0, 0.9)),
    "browDown": ((2.5, 5.8), (0, -0.7)),
    "mouthSmile": ((2.6, -3.7), (0.5, 1.0)),
    "mouthFrown": ((2.6, -3.7), (0.0, -1.0)),
    "mouthLowerDown": ((0.8, -4.9), (0, -1.0)),
    "mouthUpperUp": ((0.8, -2.6), (0, 0.8)),
    "cheekRaiser": ((3.5, 0.5), (0, 0.8)),
    "noseSneer": ((1.0, 0.5), (0, 0.8)),
    "jawOpen": ((0.0, -5.5), (0, -2.0)),
}


def write_face_model(path: Path) -> Path:
    """Write the model as `faceflow-render facekit=FILE` reads it."""
    write_facekit(path, face_arrays())
    return path


def face_arrays() -> dict[str, NDArray[np.generic]]:
    """Arrays of the model, by name in the file."""
    vertices, uv, triangles = _skin()
    parts = [0] * len(triangles)
    for side, (x, y) in zip("lr", _EYES, strict=True):
        start = len(vertices)
        ring = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        disc = np.stack([x + 1.2 * np.cos(ring), y + 0.7 * np.sin(ring), np.full(12, 9.0)], -1)
        vertices = np.concatenate([vertices, [[x, y, 9.1]], disc])
        uv = np.concatenate([uv, np.zeros((13, 2))])
        triangles += [[start, start + 1 + k, start + 1 + (k + 1) % 12] for k in range(12)]
        parts += [PARTS.index(f"sclera_{side}")] * 12
    neutral = vertices.astype(np.float32)
    shapes = np.stack([_expression(name, vertices) for name in EXPRESSIONS]).astype(np.float16)
    wide = np.stack([vertices * [0.04, 0, 0], vertices * [0, 0.04, 0], vertices * [0, 0, 0.03]]).astype(np.float16)
    return {
        "neutral": neutral,
        "tri": np.array(triangles, np.uint16),
        "tri_uv": np.array(triangles, np.uint16),
        "tri_part": np.array(parts, np.uint8),
        "part_names": np.array(PARTS),
        "uv": uv.astype(np.float32),
        "identity": wide,
        "expression": shapes,
        "expression_names": np.array(EXPRESSIONS),
        "landmarks68": _landmarks(vertices[: _COLUMNS * _ROWS]),
    }


def _skin() -> tuple[Array, Array, list[list[int]]]:
    """Vertices, texture coordinates and triangles of half a barrel, seen from outside."""
    across, up = np.meshgrid(np.linspace(-1.6, 1.6, _COLUMNS), np.linspace(-9, 11, _ROWS))
    width = np.sqrt(1 - ((up - 1) / 12) ** 2)
    vertices = np.stack([7.2 * np.sin(across) * width, up, 9.5 * np.cos(across) * width], -1).reshape(-1, 3)
    uv = np.stack([0.12 + 0.76 * (across + 1.6) / 3.2, (up + 9) / 20], -1).reshape(-1, 2)
    triangles = []
    for row in range(_ROWS - 1):
        for column in range(_COLUMNS - 1):
            a = row * _COLUMNS + column
            triangles += [[a, a + 1, a + _COLUMNS], [a + 1, a + _COLUMNS + 1, a + _COLUMNS]]
    return vertices, uv, triangles


def _expression(name: str, vertices: Array) -> Array:
    """Offsets of a shape: a soft push around a point, or none for shapes that no test uses."""
    shape, _, side = name.partition("_")
    on_skin = np.arange(len(vertices)) < _COLUMNS * _ROWS
    if name == "mouthClose":
        near = np.exp(-0.5 * (vertices[:, 0] ** 2 + (vertices[:, 1] - _LIPS) ** 2) / 1.5**2)
        return np.stack([0 * near, -0.5 * np.sign(vertices[:, 1] - _LIPS) * near, 0 * near], -1)
    if shape == "eyeBlink":  # the eye turns away
        eye = ~on_skin & (vertices[:, 0] * (1 if side == "L" else -1) > 0)
        return eye[:, None] * np.array([0, 0, -1.5])
    (x, y), (dx, dy) = _ACTIONS.get(shape, ((0, 0), (0, 0)))
    sign = -1 if side == "R" else 1
    near = np.exp(-0.5 * ((vertices[:, 0] - sign * x) ** 2 + (vertices[:, 1] - y) ** 2) / 1.2**2)
    return (near * on_skin)[:, None] * np.array([sign * dx, dy, 0.3 * (dx or dy)])


def _landmarks(skin: Array) -> NDArray[np.int32]:
    """The skin vertices nearest to the 68 landmarks of a face."""

    def ring(x: float, y: float, width: float, height: float, count: int) -> list[tuple[float, float]]:
        angle = np.pi - np.arange(count) * 2 * np.pi / count  # from the image's left over the top
        return [(x + width * np.cos(a), y + height * np.sin(a)) for a in angle]

    places = [(-6.5 + 13 * k / 16, 2 - 9 * np.sin(np.pi * k / 16)) for k in range(17)]
    places += [(x, 5.8) for x in (-5.5, -4.5, -3.5, -2.5, -1.5, 1.5, 2.5, 3.5, 4.5, 5.5)]
    places += [(0, y) for y in (3.5, 2.5, 1.5, 0.5)] + [(x, -0.5) for x in (-1.4, -0.7, 0, 0.7, 1.4)]
    places += ring(-3.1, 3.6, 1.4, 0.8, 6) + ring(3.1, 3.6, 1.4, 0.8, 6)
    places += ring(0, _LIPS, 2.6, 1.4, 12) + ring(0, _LIPS, 1.6, 0.8, 8)
    distance = np.hypot(*(skin[None, :, k] - np.array(places)[:, None, k] for k in range(2)))
    return np.argmin(distance + 100 * (skin[None, :, 2] < 0), axis=1).astype(np.int32)
