"""A supersampled image to draw on in face coordinates, seen from a given view."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from faceflow.synthetic.anatomy import Points
from faceflow.synthetic.subject import Colour

Image = NDArray[np.uint8]
"""(H, W, 3) RGB."""

SUPERSAMPLING = 2
FRACTION_BITS = 4

# Where the frontal face lies in the image: pixels per face unit and height of the eyes, in shares of the side.
FACE_SCALE = 0.32
EYE_LEVEL = 0.385


@dataclass(frozen=True)
class View:
    """How one frame sees the face.

    `roll` and `yaw` are in radians, `shift` in shares of the image's side, `light` points to the light
    (x right, y down), `gaze` moves the pupils, in face units.
    """

    roll: float = 0.0
    yaw: float = 0.0
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    light: tuple[float, float] = (0.15, -0.25)
    gaze: tuple[float, float] = (0.0, 0.0)


FRONTAL = View()


def sample_view(rng: np.random.Generator, unevenness: float) -> View:
    """Draw a head pose of up to 8° roll and a light whose sideways pull grows with `unevenness`."""
    return View(
        roll=math.radians(rng.uniform(-8, 8)),
        yaw=math.radians(rng.uniform(-10, 10)),
        scale=float(rng.uniform(0.94, 1.06)),
        shift=(float(rng.uniform(-0.025, 0.025)), float(rng.uniform(-0.02, 0.02))),
        light=(float(rng.uniform(-unevenness, unevenness)), float(rng.uniform(-0.35, -0.15))),
        gaze=(float(rng.uniform(-0.04, 0.04)), float(rng.uniform(-0.012, 0.012))),
    )


class Canvas:
    """Colours (`pixels`) and skin creases (`creases`, one channel) at twice the size of the result."""

    def __init__(self, background: Image, size: int, view: View) -> None:
        self.size = size
        self.view = view
        self.unit = FACE_SCALE * view.scale * size
        self.origin = np.array([0.5 + view.shift[0], EYE_LEVEL + view.shift[1]]) * size - 0.5
        side = size * SUPERSAMPLING
        self.pixels: Image = np.asarray(cv2.resize(background, (side, side)), np.uint8)
        self.creases: NDArray[np.uint8] = np.zeros((side, side), np.uint8)
        cos, sin = math.cos(view.roll), math.sin(view.roll)
        self._rotation = np.array([[cos, sin], [-sin, cos]]) * self.unit
        self._turn = math.cos(view.yaw), math.sin(view.yaw)

    def project(self, points: Points) -> Points:
        """Map face coordinates to pixels of the result; yaw moves near parts of the head further."""
        x = points[:, 0]
        turned = points.copy()
        turned[:, 0] = x * self._turn[0] + np.maximum(0.55 - 0.44 * x * x, 0.0) * self._turn[1]
        placed: Points = turned @ self._rotation + self.origin
        return placed

    def grid(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Face coordinates x, y of all pixels of the result, each (size, size); yaw is left out."""
        inverse = np.linalg.inv(self._rotation).astype(np.float32)
        columns = np.arange(self.size, dtype=np.float32) - np.float32(self.origin[0])
        rows = (np.arange(self.size, dtype=np.float32) - np.float32(self.origin[1]))[:, None]
        return columns * inverse[0, 0] + rows * inverse[1, 0], columns * inverse[0, 1] + rows * inverse[1, 1]

    def fill(self, points: Points, colour: Colour) -> None:
        """Fill a polygon given in face coordinates."""
        cv2.fillPoly(self.pixels, [self._fixed(points)], colour, cv2.LINE_AA, FRACTION_BITS)

    def tint(self, points: Points, colour: Colour, share: float) -> None:
        """Blend a colour into a polygon with soft edges; `share` 1 hides what lies below."""
        mask = np.zeros(self.pixels.shape[:2], np.uint8)
        cv2.fillPoly(mask, [self._fixed(points)], round(255 * share), cv2.LINE_AA, FRACTION_BITS)
        width = max(1, round(0.12 * self.unit * SUPERSAMPLING))
        cover = cv2.blur(mask, (width, width)).astype(np.float32)[:, :, None] / 255
        blended = self.pixels + cover * (np.array(colour, np.float32) - self.pixels)
        self.pixels = blended.astype(np.uint8)

    def line(self, points: Points, colour: Colour, width: float) -> None:
        """Draw an open curve; `width` in face units."""
        self._polyline(self.pixels, points, colour, width)

    def disc(self, centre: Points, radius: float, colour: Colour) -> None:
        """Fill a circle around the one point of `centre`; `radius` in face units."""
        x, y = self._fixed(centre)[0].tolist()
        fixed = round(radius * self.unit * SUPERSAMPLING * 2**FRACTION_BITS)
        cv2.circle(self.pixels, (x, y), fixed, colour, -1, cv2.LINE_AA, FRACTION_BITS)

    def crease(self, points: Points, strength: float, width: float = 0.02) -> None:
        """Press a crease of strength 0..1 into the skin; weak ones are left out."""
        if strength > 0.02:
            self._polyline(self.creases, points, round(255 * min(strength, 1.0)), width)

    def _polyline(self, target: NDArray[np.uint8], points: Points, colour: Colour | int, width: float) -> None:
        thickness = max(1, round(width * self.unit * SUPERSAMPLING))
        cv2.polylines(target, [self._fixed(points)], False, colour, thickness, cv2.LINE_AA, FRACTION_BITS)

    def _fixed(self, points: Points) -> NDArray[np.int32]:
        """Fixed-point pixels of the supersampled image; a pixel's centre lies at a whole number."""
        step = SUPERSAMPLING * 2**FRACTION_BITS
        pixels = self.project(points) * step + (step - 2**FRACTION_BITS) / 2
        return np.asarray(np.rint(pixels), np.int32)


def smooth(points: Points, samples: int = 16) -> Points:
    """Run a Catmull-Rom spline through the points."""
    return _spline_basis(len(points), samples) @ points


def mirror(points: Points) -> Points:
    """Move points to the other half of the face."""
    return points * (-1.0, 1.0)


def moved(points: Points, dx: float, dy: float) -> Points:
    """Move points by one offset."""
    return np.add(points, (dx, dy))


def across(left: Points, right: Points) -> Points:
    """Join two half curves that start at the midline into one, from the left end to the right end."""
    return np.concatenate([mirror(left)[:0:-1], right])


@cache
def _spline_basis(count: int, samples: int) -> Points:
    basis = np.zeros((samples, count))
    for row, at in enumerate(np.linspace(0, count - 1, samples)):
        start = min(int(at), count - 2)
        t = at - start
        weights = (
            -0.5 * t + t**2 - 0.5 * t**3,
            1 - 2.5 * t**2 + 1.5 * t**3,
            0.5 * t + 2 * t**2 - 1.5 * t**3,
            -0.5 * t**2 + 0.5 * t**3,
        )
        for offset, weight in zip(range(-1, 3), weights, strict=True):
            basis[row, min(max(start + offset, 0), count - 1)] += weight
    return basis
