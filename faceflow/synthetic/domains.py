"""Visual domains: the background of the face and the effect of the camera."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from faceflow.synthetic.canvas import Image

Floats = NDArray[np.float32]
"""(H, W, 3) RGB, 0..255."""

BACKGROUND_SIZE = 32


@dataclass(frozen=True)
class Domain:
    """One recording set-up.

    `background` draws the background of a session, small, as it is out of focus. `camera` turns
    the drawn colours into recorded ones; its first generator is the session's, so that a colour cast
    stays, its second the frame's, for noise.
    """

    background: Callable[[np.random.Generator], Image]
    camera: Callable[[Floats, np.random.Generator, np.random.Generator], Floats]
    unevenness: float
    jpeg_quality: int


def plain_background(session: np.random.Generator) -> Image:
    """Draw a backdrop of one light colour that darkens downwards."""
    colour = session.uniform(150, 215) + session.uniform(-10, 10, 3)
    fall = np.linspace(1.04, 0.86, BACKGROUND_SIZE)[:, None, None]
    return np.repeat(colour * fall, BACKGROUND_SIZE, axis=1).astype(np.uint8)


def cluttered_background(session: np.random.Generator) -> Image:
    """Draw a room: a wall with boxes for shelves, doors and windows."""
    wall = (session.uniform(70, 190) + session.uniform(-25, 25, 3)).astype(int).tolist()
    image: Image = np.full((BACKGROUND_SIZE, BACKGROUND_SIZE, 3), wall, np.uint8)
    for _ in range(9):
        corner = session.integers(-BACKGROUND_SIZE // 4, BACKGROUND_SIZE, 2)
        extent = session.integers(BACKGROUND_SIZE // 10, BACKGROUND_SIZE // 2, 2)
        colour = (session.uniform(45, 215) + session.uniform(-40, 40, 3)).astype(int).tolist()
        cv2.rectangle(image, corner.tolist(), (corner + extent).tolist(), colour, -1)
    return image


def dark_background(session: np.random.Generator) -> Image:
    """Draw a dark room that the infrared lamp does not reach."""
    return np.full((BACKGROUND_SIZE, BACKGROUND_SIZE, 3), int(session.integers(40, 90)), np.uint8)


def studio_camera(image: Floats, session: np.random.Generator, frame: np.random.Generator) -> Floats:
    """Record with a good camera: a little noise and exposure jitter."""
    exposure = np.float32(frame.uniform(0.95, 1.05))
    return image * exposure + _noise(image, 2.0, frame)


def webcam_camera(image: Floats, session: np.random.Generator, frame: np.random.Generator) -> Floats:
    """Record with a cheap camera: wrong white balance, soft lens, wrong gamma and gain, noise."""
    warmth, tint = session.uniform(-0.18, 0.18), session.uniform(-0.05, 0.05)
    cast = np.array([1 + warmth, 1 + tint, 1 - warmth], np.float32)
    gamma = session.uniform(0.85, 1.2)
    soft = cv2.GaussianBlur(image, (0, 0), image.shape[0] / 128 * frame.uniform(0.6, 0.9))
    curve = np.float32(255) * (np.arange(256, dtype=np.float32) / 255) ** np.float32(gamma)
    toned = curve[np.clip(soft, 0, 255).astype(np.uint8)]
    return toned * (cast * np.float32(frame.uniform(0.85, 1.1))) + _noise(image, 8.0, frame)


def infrared_camera(image: Floats, session: np.random.Generator, frame: np.random.Generator) -> Floats:
    """Record with a monochrome night camera: bright skin, deep dark eyes, falling off to the corners."""
    grey = image @ np.array([0.85, 0.25, -0.10], np.float32)
    level = np.clip(grey / 280, 0, 1) ** np.float32(0.75)
    contrast = np.float32(250) * level * level * (3 - 2 * level)
    away = np.linspace(-1, 1, len(image), dtype=np.float32) ** 2
    vignette = 1.08 - 0.42 * (away[:, None] + away[None, :])
    recorded = (contrast * vignette)[:, :, None] * np.float32(frame.uniform(0.92, 1.05))
    return np.repeat(recorded + _noise(image, 6.0, frame), 3, axis=2)


def _noise(image: Floats, strength: float, rng: np.random.Generator) -> Floats:
    """Sensor noise of one value per pixel, (H, W, 1)."""
    return rng.standard_normal((*image.shape[:2], 1), dtype=np.float32) * np.float32(strength)


DOMAINS = {
    "studio": Domain(plain_background, studio_camera, unevenness=0.2, jpeg_quality=95),
    "webcam": Domain(cluttered_background, webcam_camera, unevenness=0.6, jpeg_quality=70),
    "infrared": Domain(dark_background, infrared_camera, unevenness=0.15, jpeg_quality=95),
}
