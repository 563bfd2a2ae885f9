"""Cuts that hold a promised share of the faces of unseen subjects, from faces of others."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from faceflow.encoding import Array

_GROUPS = 100  # of subjects that are left out in turn, at most
_HALVINGS = 30


def covering_cut(scores: Array, subjects: NDArray[np.intp], coverage: float) -> float:
    """Smallest upper cut that holds a share of the scores of subjects that it was not taken from.

    Faces of a subject resemble each other, so a quantile over all of them holds too few faces of the next subject, and
    one with a proof for any dependence (Lee et al. 2023, arXiv:2306.06342) too many. So the level of the quantile is
    chosen where, over all subjects, the quantile of the others holds the promised share of the one left out, faces
    pooled; the cut is the quantile of all at that level.

    Args:
        scores: (N,), the larger the stranger.
        subjects: who the faces show, (N,); two or more.
        coverage: share in (0, 1).

    Returns:
        Infinity where even the largest score of the others holds too few.
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
    """Smallest of rising values (N,) that at least a share `level` of them reaches not beyond."""
    return float(ordered[max(0, math.ceil(level * len(ordered) - 1e-9) - 1)])
