"""Colours: sRGB and linear light, and the tint of a lamp."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from faceflow.rendering.arrays import Doubles, Floats

WHITE_KELVIN = 6500


def to_linear(colour: ArrayLike) -> Floats:
    """Linear light of sRGB values in 0..1 (IEC 61966-2-1)."""
    values = np.asarray(colour, np.float32)
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4).astype(np.float32)


def to_srgb(light: ArrayLike) -> Floats:
    """Encode linear light in sRGB, clipped to 0..1 (IEC 61966-2-1)."""
    values = np.clip(light, 0, 1)
    encoded: Floats = np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)
    return encoded


def lamp_tint(rng: np.random.Generator, kelvin: float) -> Doubles:
    """Colour (3,) of a black body, roughly, with a small random error; 6500 K is white."""
    k = (kelvin - WHITE_KELVIN) / 3000.0
    tint = np.array([1 - 0.20 * k, 1 - 0.02 * abs(k), 1 + 0.28 * k])
    return np.clip(tint * rng.uniform(0.97, 1.03, 3), 0.3, 1.7)
