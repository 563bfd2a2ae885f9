"""Stages of a camera after its lens, which a config lists in their order. Images are (H, W, 3) in sRGB, about 0..1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np

from faceflow.checks import check_number
from faceflow.rendering.arrays import Doubles
from faceflow.rendering.ranges import check_not_negative, check_range
from faceflow.rendering.session import Session

_REFERENCE = 128  # pixels: the width of an image that blurs are given for


class Stage(Protocol):
    """What a camera does to an image."""

    def __call__(self, image: Doubles, rng: np.random.Generator, session: Session) -> Doubles:
        """Return a changed image, of another size perhaps."""


class WhiteBalance:
    """Gains of red, green and blue."""

    def __init__(self, *, red: float, green: float, blue: float) -> None:
        self.gains = [red, green, blue]

    def __call__(self, image: Doubles, rng: np.random.Generator, session: Session) -> Doubles:
        """See `Stage`."""
        return image * self.gains


class ColourCast:
    """Gains of red, green and blue that differ from recording to recording by up to `amount` either way."""

    def __init__(self, *, amount: float) -> None:
        self.amount = amount

    def __call__(self, image: Doubles, rng: np.random.Generator, session: Session) -> Doubles:
        """See `Stage`."""
        return image * [1 + self.amount * (2 * hue - 1) for hue in session.hue]


class Noise:
    """Noise of the sensor, alike in all colours and not; standard deviations, 0 for none."""

    def __init__(self, *, brightness: float, colour: float) -> None:
        check_not_negative(brightness=brightness, colour=colour)
        self.brightness, self.colour = brightness, colour

    def __call__(self, image: Doubles, rng: np.random.Generator, session: Session) -> Doubles:
        """See `Stage`."""
        height, width = image.shape[:2]
        noise = rng.normal(0, self.brightness, (height, width, 1))
        if self.colour:
            noise = noise + rng.normal(0, self.colour, (height, width, 3))
        return image + noise


class Shrink:
    """Fewer pixels, which a coarse sensor has; the image is enlarged again at the end."""

    def __init__(self, *, smallest: float, largest: float) -> None:
        check_range([smallest, largest], key="smallest", lowest=0.01, highest=1)
        self.smallest, self.largest = smallest, largest

    def __call__(self, image: Doubles, rng: np.random.Generator, session: Session) -> Doubles:
        """See `Stage`."""
        share = rng.uniform(self.smallest, self.largest)
        size = [max(1, int(share * side)) for side in image.shape[1::-1]]
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float64)


class MotionBlur:
    """Blur along a line of 3 or 4 pixels, in a share of the frames."""

    def __init__(self, *, share: float) -> None:
        self.share = share

    def __call__(self, image: Doubles, rng: np.random.Generator, session: Session) -> Doubles:
        """See `Stage`."""
        if rng.random() >= self.share:
            return image
        length = int(rng.integers(3, 5))
        kernel = np.zeros((length, length), np.float32)
        angle, middle = rng.uniform(0, np.pi), (length - 1) / 2
        x, y = middle * np.cos(angle), middle * np.sin(angle)
        start, end = (round(middle - x), round(middle - y)), (round(middle + x), round(middle + y))
        cv2.line(kernel, start, end, 1.0, 1)
        return np.asarray(cv2.filter2D(image, -1, kernel / max(kernel.sum(), 1)), np.float64)


class Contrast:
    """A steeper curve around the middle; 0 leaves it straight."""

    def __init__(self, *, amount: float) -> None:
        self.amount = amount

    def __call__(self, image: Doubles, rng: np.random.Generator, session: Session) -> Doubles:
        """See `Stage`."""
        clipped = np.clip(image, 0, 1)
        return clipped + self.amount * (clipped * clipped * (3 - 2 * clipped) - clipped)


class Gamma:
    """A power of all values, which moves from recording to recording."""

    def __init__(self, *, power: float, session: float) -> None:
        self.power, self.session = power, session

    def __call__(self, image: Doubles, rng: np.random.Generator, session: Session) -> Doubles:
        """See `Stage`."""
        return np.asarray(np.clip(image, 0, 1) ** (self.power + self.session * session.level))


class Vignette:
    """Light that falls off from the middle to the corners."""

    def __init__(self, *, middle: float, fall: float) -> None:
        self.middle, self.fall = middle, fall

    def __call__(self, image: Doubles, rng: np.random.Generator, session: Session) -> Doubles:
        """See `Stage`."""
        height, width = image.shape[:2]
        across, down = np.linspace(-1, 1, width)[None], np.linspace(-1, 1, height)[:, None]
        return image * (self.middle - self.fall * np.hypot(across, down)[..., None] ** 2)


class Blur:
    """Blur in pixels of an image 128 pixels wide."""

    def __init__(self, *, pixels: float) -> None:
        check_number(pixels, key="pixels", expected="a number > 0", valid=lambda number: number > 0)
        self.pixels = pixels

    def __call__(self, image: Doubles, rng: np.random.Generator, session: Session) -> Doubles:
        """See `Stage`."""
        sigma = self.pixels * image.shape[1] / _REFERENCE
        return np.asarray(cv2.GaussianBlur(image.astype(np.float32), (0, 0), sigma), np.float64)


class Saturation:
    """Share of the colours that is kept; 0 leaves grey, more than 1 exaggerates."""

    def __init__(self, *, share: float) -> None:
        self.share = share

    def __call__(self, image: Doubles, rng: np.random.Generator, session: Session) -> Doubles:
        """See `Stage`."""
        grey = image.mean(-1, keepdims=True)
        return np.asarray(grey + self.share * (image - grey))


def compress(image: Doubles, rng: np.random.Generator, quality: Sequence[float] | None) -> Doubles:
    """Compress an image as JPEG of a quality from a range, as the camera itself does; None leaves it."""
    if quality is None:
        return image
    bgr = (np.clip(image, 0, 1)[..., ::-1] * 255).astype(np.uint8)
    lowest, highest = quality
    _, content = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, int(rng.uniform(lowest, highest))])
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.float64)[..., ::-1] / 255
