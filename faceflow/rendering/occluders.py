"""Objects between camera and face: hands, a cup or microphone, strands of hair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from faceflow.checks import check_choice, check_number
from faceflow.rendering.arrays import Doubles, Floats
from faceflow.rendering.camera import Window
from faceflow.rendering.curves import smooth_noise

KINDS = ("hand", "object", "strands", "palm", "fringe")


@dataclass(frozen=True, kw_only=True)
class Occluders:
    """How often something is in front of the face.

    Attributes:
        share: share of frames with an occluder.
        kinds: kinds of occluders that can appear.
    """

    share: float
    kinds: Sequence[str]

    def __post_init__(self) -> None:
        """Check the values."""
        check_number(self.share, key="occluders.share", expected="a share in 0..1", valid=lambda share: 0 <= share <= 1)
        for kind in self.kinds:
            check_choice(kind, key="occluders.kinds", options=KINDS)

    def cover(self, image: Doubles, face: Window, rng: np.random.Generator, skin: Floats) -> Doubles:
        """Cover some frames (H, W, 3) in linear light.

        Args:
            image: a frame.
            face: position of the face.
            rng: random numbers of the frame.
            skin: (3,), colour of a hand.
        """
        if not self.share or rng.random() >= self.share:
            return image
        kind = self.kinds[int(rng.integers(len(self.kinds)))]
        height, width = image.shape[:2]
        mask = np.zeros((height, width), np.float32)
        if kind == "hand":
            colour = _draw_hand(mask, face, rng, skin)
        elif kind == "object":
            colour = _draw_object(mask, face, rng)
        elif kind == "palm":
            colour = _draw_palm(mask, face, rng, skin)
        elif kind == "fringe":
            colour = _draw_fringe(mask, face, rng)
        else:
            colour = _draw_strands(mask, face, rng)
        soft = cv2.GaussianBlur(mask, (0, 0), 0.012 * face.width)[..., None]
        shade = 1 + 0.25 * cv2.resize(smooth_noise(rng, 64, 5, 2), (width, height))[..., None]
        return np.asarray(image * (1 - soft) + soft * colour * shade)


def _draw_hand(mask: Floats, face: Window, rng: np.random.Generator, skin: Floats) -> Doubles:
    """A few fingers from a lower corner."""
    left, top, width, height = face
    side = rng.choice([-0.05, 1.05]) * width
    for _ in range(rng.integers(2, 5)):
        reach = np.sign(side - width / 2) * rng.uniform(0.18, 0.34)
        tip = int(left + width * (0.5 + reach)), int(top + height * rng.uniform(0.62, 0.92))
        knuckle = int(left + side), int(top + height * rng.uniform(0.85, 1.15))
        cv2.line(mask, knuckle, tip, 1.0, int(width * rng.uniform(0.06, 0.09)), cv2.LINE_AA)
    return np.asarray(skin * rng.uniform(0.5, 0.9))


def _draw_object(mask: Floats, face: Window, rng: np.random.Generator) -> Doubles:
    """A dark microphone or cup below the chin."""
    left, top, width, height = face
    x = int(left + width * rng.uniform(0.3, 0.7))
    centre = x, int(top + height * rng.uniform(0.98, 1.06))
    radii = int(width * rng.uniform(0.08, 0.16)), int(height * rng.uniform(0.10, 0.18))
    cv2.ellipse(mask, centre, radii, 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    return np.ones(3) * rng.uniform(0.01, 0.08)


def _draw_strands(mask: Floats, face: Window, rng: np.random.Generator) -> Doubles:
    """Dark strands of hair over one side."""
    left, top, width, height = face
    side = rng.choice([0.08, 0.92])
    for _ in range(rng.integers(5, 16)):
        root, tip = (int(left + width * (side + rng.normal(0, spread))) for spread in (0.07, 0.12))
        end = tip, int(top + height * rng.uniform(0.4, 1.1))
        cv2.line(mask, (root, -2), end, float(rng.uniform(0.4, 1)), 1, cv2.LINE_AA)
    return np.array([0.03, 0.02, 0.015]) * rng.uniform(0.5, 3)


def _draw_palm(mask: Floats, face: Window, rng: np.random.Generator, skin: Floats) -> Doubles:
    """A hand at a cheek or the chin: a palm with four fingers pointing upwards."""
    left, top, width, height = face
    side = rng.choice([-1, 1])
    x, y = left + width * (0.5 + side * rng.uniform(0.05, 0.32)), top + height * rng.uniform(0.78, 0.98)
    lean = side * rng.uniform(-0.1, 0.5)
    thick = width * rng.uniform(0.07, 0.09)
    cv2.ellipse(mask, (int(x), int(y)), (int(1.9 * thick), int(2.2 * thick)), 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    for finger in range(4):
        root = x + (finger - 1.5) * thick, y - thick
        length = height * rng.uniform(0.12, 0.24)
        tip = int(root[0] + lean * length), int(root[1] - length)
        cv2.line(mask, (int(root[0]), int(root[1])), tip, 1.0, int(thick), cv2.LINE_AA)
    return np.asarray(skin * rng.uniform(0.6, 1.0))


def _draw_fringe(mask: Floats, face: Window, rng: np.random.Generator) -> Doubles:
    """Hair from the crown down to the brows, over the whole forehead or one side."""
    left, top, width, height = face
    start, end = (0.2, 0.8) if rng.random() < 0.5 else sorted(rng.uniform(0.15, 0.85, 2))
    lowest = rng.uniform(0.18, 0.36)
    for _ in range(int(160 * (end - start)) + 20):
        x = left + width * rng.uniform(start, end)
        tip = int(x + width * rng.normal(0, 0.04)), int(top + height * lowest * rng.uniform(0.7, 1.05))
        cv2.line(mask, (int(x), -2), tip, float(rng.uniform(0.5, 1)), max(1, int(width / 100)), cv2.LINE_AA)
    return np.array([0.03, 0.02, 0.015]) * rng.uniform(0.5, 4)
