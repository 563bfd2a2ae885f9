"""What a subject wears, and the hair of the head: further geometry around the face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from faceflow.rendering import materials
from faceflow.rendering.arrays import Doubles, Floats, Ints
from faceflow.rendering.colour import to_linear
from faceflow.rendering.curves import smoothstep
from faceflow.rendering.face_model import FaceModel
from faceflow.rendering.people import HAIR_STYLES, Population, Traits

_RINGS = (  # of shoulders: height, half width and half depth in cm
    *((-13.2, 6.8, 6.8), (-14.0, 10.2, 8.6), (-15.2, 13.6, 9.6), (-17.5, 18.5, 10.4)),
    *((-21, 21.5, 11.4), (-30, 23, 12), (-48, 23, 12)),
)
_AROUND = 40  # vertices of a ring
BODY = len(_RINGS) * _AROUND
"""Vertices of the shoulders, the first of an outfit; they do not turn with the head."""
_SHADED = 2 * _AROUND  # of them lie below the chin
_HAIRLINE_Z = (-9.5, -6, -3, -1.5, 1.0, 2.2, 3.2, 4.4, 5.6, 7.2, 9.0, 12)
_HAIRLINE_Y = (-6.5, -6, -4.0, 1.0, 1.5, 2.0, 4.2, 6.4, 8.4, 9.9, 10.6, 10.8)
_TUBE_SIDES = 6


@dataclass(frozen=True, kw_only=True, eq=False)
class Scalp:
    """Hair on the head.

    Attributes:
        style: one of `HAIR_STYLES`.
        cover: (V,), how much of each vertex of the face model is covered by hair.
        lift: (V, 1), how far hair lifts a vertex, in cm.
        frequency: (3,), strands per cm along each axis.
    """

    style: str
    cover: Floats
    lift: Floats
    frequency: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Outfit:
    """Shoulders, long hair and glasses.

    Attributes:
        vertices: (E, 3), cm; the first `BODY` are the shoulders.
        triangles: (F, 3), numbered after the vertices of the face model.
        materials: (F,).
        occlusion: (E,).
        cloth: (3,), colour in linear light; so is `frame`.
        frame: of the glasses.
        glasses: whether there are any.
    """

    vertices: Floats
    triangles: Ints
    materials: Ints
    occlusion: Floats
    cloth: Floats
    frame: Floats
    glasses: bool


@dataclass(eq=False)
class _Parts:
    """Collects meshes into one, numbered from `start` on."""

    start: int
    vertices: list[Floats] = field(default_factory=list)
    triangles: list[Ints] = field(default_factory=list)
    materials: list[Ints] = field(default_factory=list)

    def add(self, vertices: Doubles, triangles: Sequence[Sequence[int]] | Ints, material: int) -> None:
        self.vertices.append(np.asarray(vertices, np.float32))
        self.triangles.append(np.asarray(triangles, np.int32) + self.start)
        self.materials.append(np.full(len(triangles), material, np.int32))
        self.start += len(vertices)

    def add_tube(self, path: ArrayLike, radius: float, *, closed: bool) -> None:
        """Add a tube of glasses along points."""
        points = np.asarray(path, np.float32)
        count = len(points)
        vertices = []
        for i in range(count):
            before = points[(i - 1) % count] if closed or i else points[i]
            after = points[(i + 1) % count] if closed or i < count - 1 else points[i]
            along = after - before
            along = along / (np.linalg.norm(along) + 1e-6)
            across = np.cross(along, [0, 0.3, 1])
            across /= np.linalg.norm(across) + 1e-6
            up = np.cross(along, across)
            for side in range(_TUBE_SIDES):
                angle = 2 * np.pi * side / _TUBE_SIDES
                vertices.append(points[i] + radius * (across * np.cos(angle) + up * np.sin(angle)))
        triangles = []
        for i in range(count if closed else count - 1):
            for side in range(_TUBE_SIDES):
                here, there = i * _TUBE_SIDES, ((i + 1) % count) * _TUBE_SIDES
                following = (side + 1) % _TUBE_SIDES
                triangles.append([here + side, there + side, here + following])
                triangles.append([here + following, there + side, there + following])
        self.add(np.asarray(vertices), triangles, materials.GLASSES)


def sample_scalp(rng: np.random.Generator, face: FaceModel, traits: Traits, population: Population) -> Scalp:
    """Draw hairline, style and thickness."""
    style = str(rng.choice(HAIR_STYLES, p=population.hair["women" if traits.female else "men"]))
    rise = rng.uniform(-0.5, 1.0)
    x, y, z = (face.mean[:, axis] for axis in range(3))
    peak = 0.5 * rng.uniform(0, 1)
    line = np.interp(z, _HAIRLINE_Z, _HAIRLINE_Y) + rise * smoothstep(3.0, 8.0, z)
    line = line - peak * np.exp(-((x / 1.6) ** 2)) * (z > 6)
    above = y - line
    cover = smoothstep(-0.25, 0.5, above)
    cover[face.on_ear] = 0
    cover[~np.isin(face.vertex_materials, [materials.SKIN, materials.NECK])] = 0
    if style == "bald":
        cover = cover * rng.uniform(0, 0.25)
    cover = cover.astype(np.float32)
    # All are drawn, so that the style does not shift what is drawn after it.
    thickness = {
        "bald": 0.0,
        "short": rng.uniform(0.25, 0.7),
        "medium": rng.uniform(0.6, 1.3),
        "long": rng.uniform(0.6, 1.2),
    }
    volume = 1 + 0.6 * smoothstep(9, 13, y) + 0.25 * rng.normal(0, 1, 1)
    lift = thickness[style] * smoothstep(0, 1.6, above) * (cover > 0) * volume
    waves = np.sin(x * 0.9 + rng.uniform(0, 6)) * np.sin(z * 0.8 + rng.uniform(0, 6)) * 0.25
    frequency = np.array([rng.uniform(1.6, 3.5), rng.uniform(0.5, 1.4), rng.uniform(1.0, 2.5)], np.float32)
    return Scalp(style=style, cover=cover, lift=(lift * (1 + waves)).astype(np.float32)[:, None], frequency=frequency)


def sample_outfit(
    rng: np.random.Generator, face: FaceModel, vertices: Floats, scalp: Scalp, population: Population
) -> Outfit:
    """Draw shoulders, the curtain of long hair, and glasses that fit a face of vertices (V, 3)."""
    parts = _Parts(len(vertices))
    _add_shoulders(parts)
    cloth = to_linear(rng.uniform(0.05, 0.85) * np.clip(rng.uniform(0.6, 1.4, 3), 0, 1))
    if scalp.style == "long":
        _add_long_hair(parts, rng)
    glasses, frame = bool(rng.random() < population.glasses), np.zeros(3, np.float32)
    if glasses:
        _add_glasses(parts, rng, face, vertices)
        if rng.random() < 0.8:
            frame = to_linear(rng.choice([0.05, 0.1, 0.3]) * np.array([1, 0.9, 0.8]))
        else:
            frame = to_linear([0.6, 0.5, 0.3])
    added = np.concatenate(parts.vertices)
    occlusion = np.full(len(added), 0.85, np.float32)
    occlusion[:_SHADED] = 0.55
    return Outfit(
        vertices=added,
        triangles=np.concatenate(parts.triangles),
        materials=np.concatenate(parts.materials),
        occlusion=occlusion,
        cloth=cloth,
        frame=frame,
        glasses=glasses,
    )


def _add_shoulders(parts: _Parts) -> None:
    angle = np.linspace(0, 2 * np.pi, _AROUND, endpoint=False)
    rings = []
    for y, width, depth in _RINGS:
        x = width * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.85
        height = np.full(_AROUND, y) + (0.6 * np.sin(angle) if y > -15 else 0)
        rings.append(np.stack([x, height, -2.5 + depth * np.sin(angle)], -1))
    triangles = np.array(_grid(len(_RINGS), _AROUND, closed=True))[:, ::-1]
    parts.add(np.concatenate(rings), triangles, materials.CLOTH)


def _add_long_hair(parts: _Parts, rng: np.random.Generator) -> None:
    """Add a curtain that hangs from the head, open at the face."""
    rows, columns = 22, 33
    opening, end = rng.uniform(1.75, 2.05), rng.uniform(-17, -7)
    angle = np.linspace(-opening, opening, columns)
    phases = rng.uniform(0, 6, 3)
    rings = []
    for y in np.linspace(11.5, end, rows):
        radius = np.interp(y, [-18, -8, 0, 5, 9, 11.5], [9.6, 9.0, 9.3, 9.3, 7.8, 5.0]) + rng.uniform(-0.05, 0.05)
        wave = 0.25 * np.sin(angle * 6 + phases[0] + y * 0.15) + 0.2 * np.sin(y * 0.5 + phases[1] + angle)
        depth = (radius * 1.02 + wave) * np.cos(angle) * np.where(np.cos(angle) > 0, 1.0, 0.55)
        rings.append(np.stack([(radius * 0.93 + wave) * np.sin(angle), np.full(columns, y), -0.8 - depth], -1))
    parts.add(np.concatenate(rings), _grid(rows, columns, closed=False), materials.HAIR)


def _add_glasses(parts: _Parts, rng: np.random.Generator, face: FaceModel, vertices: Floats) -> None:
    radius = rng.uniform(0.10, 0.22)
    width, height, roundness = rng.uniform(2.3, 2.75), rng.uniform(1.6, 2.2), rng.uniform(0.5, 1)
    left, right = (vertices[eye].mean(0) for eye in face.eyes)
    front = max(vertices[face.kit.landmarks[27]][2] + 0.5, left[2] + 3.0)
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    for sign, eye in ((1, left), (-1, right)):
        x0, y0 = eye[0] + sign * 0.1, eye[1] - 0.25
        x = x0 + width * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** roundness
        y = y0 + height * np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** roundness
        parts.add_tube(np.stack([x, y, front - 0.035 * x**2], -1), radius, closed=True)
        ear = np.array([sign * 7.6, eye[1] + 0.2, 0])
        hinge = np.array([x0 + sign * width, y0 + 0.5, front - 0.035 * (x0 + sign * width) ** 2])
        temple = [hinge, hinge * 0.6 + ear * 0.4 + [sign * 0.3, 0, 0], ear]
        parts.add_tube(temple, radius * 0.8, closed=False)
    bridge = [
        np.array([left[0] - width + 0.1, left[1], front - 0.2]),
        np.array([0, left[1] + 0.25, front]),
        np.array([right[0] + width - 0.1, right[1], front - 0.2]),
    ]
    parts.add_tube(bridge, radius * 0.8, closed=False)


def _grid(rows: int, columns: int, *, closed: bool) -> list[list[int]]:
    """Triangles of a grid of vertices, row by row; `closed` joins the last column to the first."""
    triangles = []
    for row in range(rows - 1):
        for column in range(columns if closed else columns - 1):
            following = (column + 1) % columns
            a, b = row * columns + column, row * columns + following
            c, d = a + columns, b + columns
            triangles += [[a, c, b], [b, c, d]]
    return triangles
