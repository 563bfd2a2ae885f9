"""The face model prepared for rendering: materials, texture coordinates, light that reaches each vertex."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import LinearNDInterpolator

from faceflow.errors import DataError
from faceflow.rendering import materials
from faceflow.rendering.action_units import HALVED, SHAPES, half
from faceflow.rendering.arrays import Doubles, Floats, Ints, rotated
from faceflow.rendering.curves import smoothstep
from faceflow.rendering.facekit import PARTS, FaceKit
from faceflow.rendering.rasteriser import rasterise, rasterise_depth, vertex_normals

TEXTURE = 512  # pixels
_EARS_U = (0.1, 0.9)  # ears are at the edges of the texture
_PROBES, _PROBE_SIZE, _PROBE_CM = 72, 192, 44.0  # directions from which occlusion is measured, and their maps
# The lower lashes look like eye-liner at this resolution. Lashes below this height are left out, by distance from the
# middle of the face, both in cm.
_LASH_X, _LASH_Y = (1.6, 2.2, 3.2, 4.3, 5.3), (3.6, 3.5, 3.6, 3.45, 3.2)
_BLEND = 1.5  # cm on both sides of the middle, where the halves of a shape blend
_MATERIALS = {
    "face": materials.SKIN,
    "head_neck": materials.NECK,
    "mouth_socket": materials.MOUTH,
    "eye_socket_l": materials.SOCKET,
    "eye_socket_r": materials.SOCKET,
    "gums_tongue": materials.GUMS,
    "teeth": materials.TEETH,
    "sclera_l": materials.EYE,
    "sclera_r": materials.EYE,
    "lashes_l": materials.LASH,
    "lashes_r": materials.LASH,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class FaceModel:
    """A face model prepared for rendering, shared by all subjects.

    Attributes:
        kit: shapes of identities and expressions.
        triangles: (T, 3), the rendered ones.
        materials: (T,).
        vertex_materials: (V,).
        uv: (V, 2), from the upper left corner of the texture.
        welds: (V,), see `materials.Mesh`.
        eyes: vertices of the eyeballs, left and right.
        occlusion: (V,).
        places: (S, S, 3), position on the mean face in cm of each pixel of the texture.
        on_ear: (V,), whether a vertex is on an ear.
    """

    kit: FaceKit
    triangles: Ints
    materials: Ints
    vertex_materials: Ints
    uv: Floats
    welds: Ints
    eyes: tuple[NDArray[np.intp], NDArray[np.intp]]
    occlusion: Floats
    places: Floats
    on_ear: NDArray[np.bool_]
    _to_uv: LinearNDInterpolator

    @property
    def mean(self) -> Floats:
        """Vertices of the mean face (V, 3) in cm."""
        return self.kit.neutral

    def texture_points(self, xy: ArrayLike, size: int = TEXTURE) -> Doubles:
        """Texture pixels (N, 2) of points (N, 2) seen from the front, in cm; NaN outside the face."""
        return np.asarray(self._to_uv(np.asarray(xy, np.float64)) * size)

    @functools.cached_property
    def shapes(self) -> Mapping[str, Floats]:
        """Offsets (V, 3) of all expressions, plus left and right halves of the shapes of the `HALVED` AUs."""
        shapes = dict(self.kit.expressions)
        on_left = np.asarray(smoothstep(-_BLEND, _BLEND, self.mean[:, :1]), np.float32)
        for name in {share.shape for au in HALVED for share in SHAPES[au]}:
            shapes[half(name, "L")], shapes[half(name, "R")] = on_left * shapes[name], (1 - on_left) * shapes[name]
        return shapes

    @functools.cached_property
    def inner_lips(self) -> tuple[Ints, Ints]:
        """Vertices at the middle of the upper and the lower lip, where they touch."""
        return self.kit.landmarks[[61, 62, 63]], self.kit.landmarks[[67, 66, 65]]


def build_face_model(kit: FaceKit) -> FaceModel:
    """Compute what all subjects share.

    Raises:
        DataError: the model has no eyes, or its triangles face inwards.
    """
    of_part = np.array([_MATERIALS.get(name, materials.HIDDEN) for name in PARTS], np.int32)
    triangle_materials = of_part[kit.parts]
    centres = kit.neutral[kit.triangles].mean(1)
    lower_lash = centres[:, 1] < np.interp(np.abs(centres[:, 0]), _LASH_X, _LASH_Y)
    shown = (triangle_materials != materials.HIDDEN) & ~((triangle_materials == materials.LASH) & lower_lash)
    triangles, triangle_materials = kit.triangles[shown], triangle_materials[shown]
    uv = np.zeros((len(kit.neutral), 2), np.float32)
    uv[triangles[::-1].reshape(-1)] = kit.uv[kit.uv_triangles[shown][::-1].reshape(-1)]
    uv[:, 1] = 1 - uv[:, 1]
    vertex_materials = np.full(len(kit.neutral), materials.HIDDEN, np.int32)
    vertex_materials[triangles.reshape(-1)] = np.repeat(triangle_materials, 3)
    welds = _weld(kit.neutral, vertex_materials)
    normals = np.zeros_like(kit.neutral)
    vertex_normals(kit.neutral, triangles, welds, normals)
    on_eye = np.unique(triangles[triangle_materials == materials.EYE])
    left, right = on_eye[kit.neutral[on_eye, 0] > 0], on_eye[kit.neutral[on_eye, 0] < 0]
    if not len(left) or not len(right) or normals[kit.landmarks[30], 2] < 0:
        raise DataError("facekit: expected a face with two eyes, looking along z, got a different model; replace it")
    front = np.flatnonzero((vertex_materials == materials.SKIN) & (normals[:, 2] > -0.1))
    front = front[(uv[front, 0] > _EARS_U[0]) & (uv[front, 0] < _EARS_U[1])]
    occlusion = _occlusion(kit.neutral, normals, triangles, triangle_materials)
    occlusion[on_eye] = 0.45 + 0.55 * occlusion[on_eye]
    beside = (uv[:, 0] < _EARS_U[0]) | (uv[:, 0] > _EARS_U[1])
    return FaceModel(
        kit=kit,
        triangles=triangles,
        materials=triangle_materials,
        vertex_materials=vertex_materials,
        uv=uv,
        welds=welds,
        eyes=(left, right),
        occlusion=occlusion,
        places=_baked(kit.neutral, uv, triangles[triangle_materials == materials.SKIN]),
        on_ear=(vertex_materials == materials.SKIN) & beside & (uv[:, 1] > 0.31) & (uv[:, 1] < 0.55),
        _to_uv=LinearNDInterpolator(kit.neutral[front, :2], uv[front]),
    )


def light_axes(direction: ArrayLike) -> Floats:
    """Axes (3, 3) of a view along a direction: across, up, and the direction itself."""
    along = np.asarray(direction, np.float32) / np.linalg.norm(direction)
    up = np.array([0, 1, 0] if abs(along[1]) < 0.95 else [0, 0, 1], np.float32)
    across = np.cross(up, along)
    across /= np.linalg.norm(across)
    return np.stack([across, np.cross(along, across), along]).astype(np.float32)


def _weld(vertices: Floats, vertex_materials: Ints) -> Ints:
    """Map each vertex between skin, head and mouth to the first one at its position, so that no seam shows."""
    welds = np.arange(len(vertices), dtype=np.int32)
    first: dict[tuple[int, ...], int] = {}
    places = np.round(vertices * 500).astype(np.int64).tolist()
    for vertex in np.flatnonzero(np.isin(vertex_materials, [materials.SKIN, materials.NECK, materials.MOUTH])):
        welds[vertex] = first.setdefault(tuple(places[vertex]), int(vertex))
    return welds


def _baked(values: Floats, uv: Floats, triangles: Ints) -> Floats:
    """Values (V, C) of vertices as a texture (S, S, C); pixels without skin copy the nearest skin pixel."""
    points = np.zeros((len(uv), 3), np.float32)
    points[:, :2] = uv * TEXTURE
    depth, first, second = (np.zeros((TEXTURE, TEXTURE), np.float32) for _ in range(3))
    shown, hidden = np.zeros((TEXTURE, TEXTURE), np.int32), np.zeros(materials.MATERIALS, np.bool_)
    rasterise(points, triangles, np.zeros(len(triangles), np.int32), hidden, depth, shown, first, second)
    covered = shown >= 0
    corners = triangles[np.maximum(shown, 0)]
    shares = np.stack([first, second, 1 - first - second], -1)[..., None]
    baked = (values[corners] * shares).sum(2).astype(np.float32)
    _, labels = cv2.distanceTransformWithLabels(
        (~covered).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_label = np.zeros((labels.max() + 1, baked.shape[-1]), np.float32)
    of_label[labels[covered]] = baked[covered]
    return np.asarray(of_label[labels], np.float32)


def _occlusion(vertices: Floats, normals: Floats, triangles: Ints, triangle_materials: Ints) -> Floats:
    """Share (V,) of the ambient light that reaches each vertex; less light comes from below."""
    rng = np.random.default_rng(0)
    reached, total = np.zeros(len(vertices), np.float32), np.zeros(len(vertices), np.float32)
    hidden = np.zeros(materials.MATERIALS, np.bool_)
    hidden[[materials.LASH, materials.HIDDEN]] = True
    depth = np.zeros((_PROBE_SIZE, _PROBE_SIZE), np.float32)
    scale = _PROBE_SIZE / _PROBE_CM
    for _ in range(_PROBES):
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        if direction[1] < -0.75:
            direction[1] *= -1
        axes = light_axes(direction)
        points = rotated(vertices, axes)
        points[:, :2] = points[:, :2] * scale + _PROBE_SIZE / 2
        rasterise_depth(points, triangles, triangle_materials, hidden, depth)
        facing = np.maximum(rotated(normals, axes)[:, 2], 0)
        above = rotated(vertices + np.float32(0.25) * normals, axes)
        column, row = (
            np.clip((above[:, k] * scale + _PROBE_SIZE / 2).astype(int), 0, _PROBE_SIZE - 1) for k in range(2)
        )
        reached += facing * (depth[row, column] < above[:, 2] + 0.15)
        total += facing
    shares = reached / np.maximum(total, 1e-3)
    return np.asarray(np.clip(shares, 0.05, 1) ** 0.8, np.float32)
