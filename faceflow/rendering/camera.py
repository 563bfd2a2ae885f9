"""Camera: turns a posed head and its surroundings into linear light."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

from faceflow.rendering import materials
from faceflow.rendering.arrays import Doubles, Floats, rotated
from faceflow.rendering.face_model import FaceModel, light_axes
from faceflow.rendering.materials import ShadowedLights
from faceflow.rendering.outfit import BODY
from faceflow.rendering.rasteriser import rasterise, rasterise_depth, vertex_normals
from faceflow.rendering.shading import shade
from faceflow.rendering.subject import Subject, rotation

_EYE_DISTANCE, _EYE_HEIGHT = 0.345, 0.355  # between the eyes, and from the top to the eyes: shares of the crop size
_SAMPLES = 2  # per pixel and axis
_BRIGHTEST = 1.6  # brighter samples would leave bright specks after averaging
_SHADOW_SIZE, _SHADOW_CM = 288, 46.0  # pixels of a shadow map, and the width they span
_NECK = (0.0, -6.0, -1.0)  # the head turns about this point, cm
_CHEST = (0.0, -14.0, -2.5)
_HALF_FACE = 12.0  # cm spanned by half the field of view
_UNSHADOWING = (
    *(materials.HIDDEN, materials.LASH, materials.TEETH),
    *(materials.GUMS, materials.MOUTH, materials.SOCKET),
)


class Pose(NamedTuple):
    """How a head is turned, in radians: to its left, downwards, and to its right shoulder."""

    yaw: float
    pitch: float
    roll: float


class Lights(NamedTuple):
    """Lamps at infinity.

    Attributes:
        directions: (L, 3), towards the lamps.
        colours: (L, 3), linear light.
        ambient: (4, 3), see `ShadowedLights`.
        shadows: number of lamps that cast shadows; those come first.
    """

    directions: Doubles
    colours: Doubles
    ambient: Doubles
    shadows: int


class CropFraming(NamedTuple):
    """A face aligned by its eyes, as `align=eyes` does, with the errors of a detector.

    At `scale` 1 the eyes are `_EYE_DISTANCE` apart; `x` and `y` are shares of the crop size; `roll` is in radians.
    """

    scale: float
    x: float
    y: float
    roll: float


class FrameFraming(NamedTuple):
    """A whole frame: pixels per cm at the head, and the pixel at the centre of the head."""

    scale: float
    x: float
    y: float


class Window(NamedTuple):
    """The part of an image that an aligned crop of the face would show, in pixels."""

    left: float
    top: float
    width: float
    height: float


class Exposure(NamedTuple):
    """The light that reaches the sensor: linear light (H, W, 3) times coverage, and coverage (H, W).

    `window` is where the face is.
    """

    light: Floats
    coverage: Floats
    window: Window


class Buffers:
    """Memory that is reused for images of the same size."""

    def __init__(self, width: int, height: int) -> None:
        self.depth, self.first, self.second, self.coverage = (np.zeros((height, width), np.float32) for _ in range(4))
        self.shown = np.zeros((height, width), np.int32)
        self.image = np.zeros((height, width, 3), np.float32)


class Camera:
    """Renders images of one size.

    Args:
        width: pixels.
        height: pixels.
        margin: how far the image extends beyond an aligned crop of the face on each side, as a share of that crop.
    """

    def __init__(self, width: int, height: int, *, margin: float = 0.0) -> None:
        self.size = (width, height)
        inner = width / (1 + 2 * margin), height / (1 + 2 * margin)
        self.window = Window((width - inner[0]) / 2, (height - inner[1]) / 2, *inner)
        self._buffers = Buffers(width * _SAMPLES, height * _SAMPLES)

    def take(
        self,
        subject: Subject,
        vertices: Floats,
        relief: Floats,
        pose: Pose,
        lights: Lights,
        *,
        field_of_view: float,
        framing: CropFraming | FrameFraming,
    ) -> Exposure:
        """Render an image of a subject.

        Args:
            subject: the subject in the image.
            vertices: (V, 3) of the face with its expression.
            relief: (S, S, 1), height of the skin.
            pose: of the head.
            lights: around the head.
            field_of_view: degrees; a wide field puts the camera close and distorts the face.
            framing: which part of the view the image shows.
        """
        mesh, buffers = subject.mesh, self._buffers
        posed = _posed(subject, vertices, pose)
        normals = np.zeros_like(posed)
        vertex_normals(posed, mesh.triangles, mesh.welds, normals)
        distance = _HALF_FACE / math.tan(math.radians(field_of_view) / 2)
        place = np.array([0, 2.0, distance + 4.0], np.float32)
        depth = place[2] - posed[:, 2]
        view = np.stack([(posed[:, 0] - place[0]) * distance / depth, -(posed[:, 1] - place[1]) * distance / depth], -1)
        if isinstance(framing, CropFraming):
            screen = _aligned(view, _eyes_seen(subject.face, posed, place, distance), pose, framing, self.window)
        else:
            screen = view * (framing.scale * _SAMPLES) + [framing.x * _SAMPLES, framing.y * _SAMPLES]
        points = np.concatenate([screen, 1000.0 / depth[:, None]], -1).astype(np.float32)
        hidden = np.zeros(materials.MATERIALS, np.bool_)
        hidden[materials.HIDDEN] = True
        hidden[materials.LASH] = not subject.skin.lashes
        rasterise(
            points, mesh.triangles, mesh.materials, hidden, buffers.depth, buffers.shown, buffers.first, buffers.second
        )
        buffers.image[:] = 0
        shade(
            buffers.shown,
            buffers.first,
            buffers.second,
            mesh,
            posed,
            normals,
            relief,
            subject.look,
            _with_shadows(lights, subject, posed),
            place,
            buffers.image,
            buffers.coverage,
        )
        light = cv2.resize(np.minimum(buffers.image, _BRIGHTEST), self.size, interpolation=cv2.INTER_AREA)
        coverage = cv2.resize(buffers.coverage, self.size, interpolation=cv2.INTER_AREA)
        return Exposure(np.asarray(light, np.float32), np.asarray(coverage, np.float32), self.window)


def _posed(subject: Subject, vertices: Floats, pose: Pose) -> Floats:
    """Turned vertices of face and outfit; hair lifts the skin below it, and shoulders follow the head a little."""
    outfit, mesh, count = subject.outfit, subject.mesh, len(vertices)
    together = np.concatenate([vertices, outfit.vertices])
    normals = np.zeros_like(together)
    vertex_normals(together, mesh.triangles, mesh.welds, normals)
    together[:count] += normals[:count] * subject.scalp.lift
    neck, chest = np.array(_NECK, np.float32), np.array(_CHEST, np.float32)
    posed = rotated(together - neck, rotation(*pose)) + neck
    body = slice(count, count + BODY)
    posed[body] = rotated(together[body] - chest, rotation(pose.yaw * 0.25, 0.0, pose.roll * 0.15)) + chest
    return posed


def _eyes_seen(face: FaceModel, posed: Floats, camera: Floats, distance: float) -> Doubles:
    """Centres (2, 2) of the eyeballs in the view, the subject's right eye (on the left of the image) first."""
    seen = []
    for eye in face.eyes[::-1]:
        centre = posed[eye].mean(0)
        scale = distance / (camera[2] - centre[2])
        seen.append([(centre[0] - camera[0]) * scale, -(centre[1] - camera[1]) * scale])
    return np.array(seen)


def _aligned(view: Floats, eyes: Doubles, pose: Pose, framing: CropFraming, window: Window) -> Doubles:
    """Positions (V, 2), in samples, in a crop aligned by the eyes, as a detector and `align=eyes` would produce it."""
    left, top, width, height = (_SAMPLES * value for value in window)
    middle, across = eyes.mean(0), eyes[1] - eyes[0]
    # In a turned head the eyes are closer together; a detector's box shrinks less.
    between = np.hypot(*across) / max(np.cos(pose.yaw), 0.5) ** 0.85
    angle = -np.arctan2(across[1], across[0]) + framing.roll
    scale = _EYE_DISTANCE * width / between * framing.scale
    cosine, sine = np.cos(angle) * scale, np.sin(angle) * scale
    # The box shifts towards the visible half of the face.
    target_x = width * (0.5 + framing.x) - 0.10 * width * np.sin(pose.yaw) + left
    target_y = height * (_EYE_HEIGHT + framing.y) + top
    x, y = view[:, 0] - middle[0], view[:, 1] - middle[1]
    return np.stack([x * cosine - y * sine + target_x, x * sine + y * cosine + target_y], -1)


def _with_shadows(lights: Lights, subject: Subject, posed: Floats) -> ShadowedLights:
    mesh, scale = subject.mesh, _SHADOW_SIZE / _SHADOW_CM
    maps = np.zeros((lights.shadows, _SHADOW_SIZE, _SHADOW_SIZE), np.float32)
    axes = np.zeros((lights.shadows, 3, 3), np.float32)
    hidden = np.zeros(materials.MATERIALS, np.bool_)
    hidden[list(_UNSHADOWING)] = True
    for lamp in range(lights.shadows):
        axes[lamp] = light_axes(lights.directions[lamp])
        points = rotated(posed, axes[lamp])
        points[:, :2] = points[:, :2] * np.float32(scale) + np.float32(_SHADOW_SIZE / 2)
        rasterise_depth(points, mesh.triangles, mesh.materials, hidden, maps[lamp])
    return ShadowedLights(
        directions=np.asarray(lights.directions, np.float32),
        colours=np.asarray(lights.colours, np.float32),
        ambient=np.asarray(lights.ambient, np.float32),
        shadow_maps=maps,
        shadow_axes=axes,
        shadow_scale=np.array([scale, _SHADOW_SIZE / 2], np.float32),
    )
