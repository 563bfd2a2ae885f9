"""Types of arrays, and products of small matrices that are bit-identical for any number of threads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int32]


def rotated(points: Floats, matrix: ArrayLike) -> Floats:
    """Points (N, 3) times the transpose of a matrix (3, 3).

    Avoids BLAS, whose sums depend on its number of threads.
    """
    m = np.asarray(matrix, np.float32)
    return np.stack([points[:, 0] * m[k, 0] + points[:, 1] * m[k, 1] + points[:, 2] * m[k, 2] for k in range(3)], -1)


def weighted_sum(weights: Iterable[float], maps: Sequence[Floats] | Floats) -> Floats:
    """Weighted sum of maps, added in order."""
    total = np.zeros(maps[0].shape, np.float32)
    for weight, layer in zip(weights, maps, strict=True):
        total += np.float32(weight) * layer
    return total
