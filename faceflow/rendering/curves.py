"""Smooth steps and smooth noise for textures and masks."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from faceflow.rendering.arrays import Floats


def smoothstep(start: float, end: float, values: NDArray[Any]) -> NDArray[Any]:
    """Rise from 0 at `start` to 1 at `end`, flat at both; falls if `end` < `start`."""
    t = np.clip((values - start) / (end - start), 0, 1)
    return t * t * (3 - 2 * t)


def smooth_noise(rng: np.random.Generator, size: int, cells: float, octaves: int) -> Floats:
    """Noise (size, size) with mean 0: octaves of random grids, the coarsest with `cells` squares per side."""
    total, share, weight = np.zeros((size, size), np.float32), 1.0, 0.0
    for octave in range(octaves):
        count = max(2, int(cells * 2**octave))
        grid = rng.standard_normal((count, count)).astype(np.float32)
        total += share * cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
        weight += share
        share *= 0.55
    return total / weight
