"""What stays the same through one subject's recording."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Session:
    """Draws of one recording; each setting of a domain says how far they move it.

    Attributes:
        seed: of the background.
        azimuth: of the lamps, -1..1.
        elevation: of the lamps, 0..1.
        kelvin: of the light, -1..1.
        brightness: of lamps and exposure, -1..1.
        zoom: of the lens, 0..1.
        pitch: of the camera, with a standard deviation of 1.
        yaw: likewise.
        side: from which the light comes, -1 or 1.
        hue: of red, green and blue, 0..1.
        level: of tone and background, 0..1.
    """

    seed: int
    azimuth: float
    elevation: float
    kelvin: float
    brightness: float
    zoom: float
    pitch: float
    yaw: float
    side: int
    hue: tuple[float, ...]
    level: float


def sample_session(rng: np.random.Generator) -> Session:
    """Draw a recording."""
    seed, azimuth, elevation = int(rng.integers(1 << 30)), rng.uniform(-1, 1), rng.uniform(0, 1)
    kelvin, brightness, zoom = rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0, 1)
    pitch, yaw, side = rng.normal(0, 1), rng.normal(0, 1), int(rng.choice([-1, 1]))
    hue = tuple(rng.uniform(0, 1, 3).tolist())
    return Session(
        seed=seed,
        azimuth=azimuth,
        elevation=elevation,
        kelvin=kelvin,
        brightness=brightness,
        zoom=zoom,
        pitch=pitch,
        yaw=yaw,
        side=side,
        hue=hue,
        level=rng.uniform(0, 1),
    )
