"""Cuts that cover a promised share of the faces of unseen subjects, computed from other subjects."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from faceflow.encoding import Array

_GROUPS = 100  # largest number of groups of subjects that are left out in turn
_HALVINGS = 30


def covering_cut(scores: Array, subjects: NDArray[np.intp], coverage: float) -> float:
    """Smallest upper cut that covers a share of the scores of subjects that it was not computed from.

    Faces of a subject resemble each other, so a quantile over all faces covers too few faces of the next subject, and
    one that is proven for any dependence (Lee et al. 2023, arXiv:2306.06342) covers too many. The level of the quantile
    is therefore chosen by leaving subjects out in turn: at this level, quantiles of the remaining subjects cover the
    promised share of the left-out faces, pooled over all subjects. The cut is the quantile of all faces at this level.

    Args:
        scores: scores (N,); larger means stranger.
        subjects: subjects of the faces, (N,); two or more.
        coverage: share in (0, 1).

    Returns:
        Infinity if even the largest score of the other subjects covers too few faces.
    """
    _, who = np.unique(subjects, return_inverse=True)
    who = who % _GROUPS
    ordered, of = np.sort(scores), who[np.argsort(scores, kind="stable")]
    parts = [(ordered[of != group], ordered[of == group]) for group in range(int(who.max()) + 1)]

    def held(level: float) -> float:
        cuts = ((quantile(others, level), own) for others, own in parts)
        return sum(int(np.searchsorted(own, cut, side="right")) for cut, own in cuts) / len(scores)

    below, level = 0.0, 1.0
    if held(level) < coverage:
        return math.inf
    for _ in range(_HALVINGS):
        middle = (below + level) / 2
        below, level = (below, middle) if held(middle) >= coverage else (middle, level)
    return quantile(ordered, level)


def quantile(ordered: Array, level: float) -> float:
    """Smallest of the sorted values (N,) such that at least a share `level` of them is not above it."""
    return float(ordered[max(0, math.ceil(level * len(ordered) - 1e-9) - 1)])
