"""Curves over all thresholds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faceflow.encoding import Array


def precision_recall(probability: Array, truth: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Precision and recall, (K + 1,), at the K distinct probabilities from high to low, starting at recall 0."""
    order = np.argsort(-probability, kind="stable")
    last_of_tie = np.flatnonzero(np.append(np.diff(probability[order]) != 0, True))
    hits = np.cumsum(truth[order])[last_of_tie]
    precision = hits / (last_of_tie + 1)
    return np.append(precision[:1], precision), np.append(0.0, hits / truth.sum())
