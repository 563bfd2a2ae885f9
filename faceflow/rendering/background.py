"""Backgrounds behind a subject, in linear light."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np

from faceflow.checks import check_number, check_whole
from faceflow.rendering.arrays import Doubles, Floats
from faceflow.rendering.session import Session

_SHIFT = 0.015  # standard deviation of the background's position between frames, as a share of its size


class Background(Protocol):
    """A kind of background."""

    def paint(self, session: Session, width: int, height: int) -> Doubles:
        """Background (H, W, 3) in linear light; constant for a session and size."""


class Backdrop:
    """A plain grey cloth, darker towards its corners.

    Args:
        level: brightness.
        level_session: how far the brightness varies between recordings.
    """

    def __init__(self, *, level: float, level_session: float) -> None:
        self.level, self.level_session = level, level_session

    def paint(self, session: Session, width: int, height: int) -> Doubles:
        """See `Background`."""
        level = self.level + self.level_session * session.brightness
        return np.ones((height, width, 3)) * level * (1.1 - 0.25 * _radius(width, height))


class Room:
    """Boxes and ellipses out of focus.

    Args:
        objects: number of objects.
        blur: blur of the objects, in pixels of an image 128 pixels wide.
        brightness: brightness of the whole room.
        brightness_session: how far the brightness varies between recordings.
        grey: whether the room is grey.
    """

    def __init__(self, *, objects: int, blur: float, brightness: float, brightness_session: float, grey: bool) -> None:
        check_whole(objects, key="objects", lowest=0)
        check_number(blur, key="blur", expected="a number > 0", valid=lambda number: number > 0)
        self.objects, self.blur, self.grey = objects, blur, grey
        self.brightness, self.brightness_session = brightness, brightness_session

    def paint(self, session: Session, width: int, height: int) -> Doubles:
        """See `Background`."""
        rng = np.random.default_rng(session.seed)
        down = np.linspace(0, 1, height)[:, None, None] * np.ones((1, width, 1))
        wall = rng.uniform(0.08, 0.5, 3)
        picture = np.ones((height, width, 3)) * (wall.mean() * 0.6 + wall * 0.4) * (1.15 - 0.4 * down)
        for _ in range(self.objects):
            _add_object(picture, rng)
        picture *= self.brightness + self.brightness_session * session.level
        if self.grey:
            picture = picture.mean(-1, keepdims=True) * np.ones(3)
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), self.blur * width / 128), np.float64)


def paint_background(
    background: Background, session: Session, rng: np.random.Generator, width: int, height: int
) -> Floats:
    """Background (H, W, 3) of a frame, slightly shifted because camera and subject move."""
    x, y = rng.normal(0, _SHIFT * width), rng.normal(0, _SHIFT * height)
    picture = background.paint(session, width, height).astype(np.float32)
    shift = np.array([[1, 0, x], [0, 1, y]], np.float32)
    return np.asarray(cv2.warpAffine(picture, shift, (width, height), borderMode=cv2.BORDER_REFLECT), np.float32)


def _add_object(picture: Doubles, rng: np.random.Generator) -> None:
    height, width = picture.shape[:2]
    colour = rng.uniform(0.02, 0.75, 3)
    muted = (colour.mean() * 0.5 + colour * 0.5).tolist()
    x, y = int(rng.uniform(-0.1, 1) * width), int(rng.uniform(-0.1, 1) * height)
    w, h = int(rng.uniform(0.05, 0.45) * width), int(rng.uniform(0.05, 0.5) * height)
    if rng.random() < 0.7:
        cv2.rectangle(picture, (x, y), (x + w, y + h), muted, -1)
    else:
        cv2.ellipse(picture, (x, y), (w // 2 + 1, h // 2 + 1), rng.uniform(0, 180), 0, 360, muted, -1)


def _radius(width: int, height: int) -> Doubles:
    """Distance (H, W, 1) from the middle; 1 at the middle of each edge."""
    across, down = np.linspace(-1, 1, width)[None], np.linspace(-1, 1, height)[:, None]
    return np.asarray(np.hypot(across, down)[..., None])
