"""AU scores in label units <-> ordinal levels. Numpy only: data, metrics and inference share it.

Level l of an AU answers "is the score at least cutpoint l?", so L levels make an ordinal code:
with cutpoints 1..5 a score of 3 becomes (1, 1, 1, 0, 0).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceflow.errors import ConfigError

Array = NDArray[np.float64]

FACS_MAX = 5.0  # FACS grades intensity A..E, coded 1..5

# 0.6 computed in float32 by another tool may read 0.59999996, and 3 / 5 may differ from it in the last bit: all mean
# the same score, and nobody grades finer than this.
TOLERANCE = 1e-6


@dataclass(frozen=True, kw_only=True)
class LabelScale:
    """Units of one data set's labels: 0..`score_max`, occurrence from `occurrence_min` on."""

    score_max: float
    occurrence_min: float

    @property
    def binary(self) -> bool:
        """Labels say only whether an AU occurs."""
        return self.score_max == self.occurrence_min

    def __str__(self) -> str:
        """Say it the way a result table does."""
        if self.binary:
            return "0/1 labels"
        return f"occurrence = intensity >= {self.occurrence_min:g} on a 0-{self.score_max:g} scale"


def cutpoints(levels: int, names: Sequence[float] | None = None) -> tuple[float, ...]:
    """Scores in FACS units (0-5) at which each level switches on; one level means occurrence and has none.

    Args:
        levels: ordinal levels L per AU.
        names: cutpoints chosen by the user, or None for 1..5 with five levels and equal steps otherwise.

    Raises:
        ConfigError: `levels` below 1, or cutpoints that are not L rising numbers in (0, 5], or given for one level.
    """
    if isinstance(levels, bool) or not isinstance(levels, int) or levels < 1:
        raise ConfigError(f"levels: expected a whole number >= 1, got {levels!r}; 1 = occurrence, 5 = intensity")
    if isinstance(names, int | float):
        raise ConfigError(f"cutpoints: expected a list such as [1,3,5], got {names!r}")
    if levels == 1:
        if names:
            raise ConfigError(f"cutpoints: expected null with levels=1, got {list(names)}; one level means occurrence")
        return ()
    if names is None:
        # Equal steps: five levels give 1..5, the only lossless code of FACS intensities; two give 2.5 and 5.
        return tuple(FACS_MAX * level / levels for level in range(1, levels + 1))
    numbers = len(names) == levels and all(isinstance(point, int | float) for point in names)
    if not numbers or not all(a < b for a, b in itertools.pairwise([0, *names, FACS_MAX + TOLERANCE])):
        raise ConfigError(
            f"cutpoints: expected {levels} rising numbers in (0, 5], got {list(names)}; "
            "they are FACS intensities, one per level"
        )
    return tuple(float(point) for point in names)


def encode(scores: Array, scale: LabelScale, points: Sequence[float]) -> NDArray[np.float32]:
    """Ordinal code of scores.

    Args:
        scores: label units of `scale`, any shape S; NaN = missing.
        scale: units of the scores.
        points: FACS cutpoints from `cutpoints()`; empty = occurrence.

    Returns:
        (*S, L) of 0 and 1; 0 where the score is missing (the mask says so, never a NaN).
    """
    if points:
        levels = np.asarray(points, np.float64) * (scale.score_max / FACS_MAX)
    else:
        levels = np.asarray([scale.occurrence_min], np.float64)
    reached = np.asarray(scores, np.float64)[..., None] >= levels - TOLERANCE
    return reached.astype(np.float32)


def occurs(scores: Array, scale: LabelScale) -> NDArray[np.bool_]:
    """Whether each score counts as occurrence; False where missing."""
    return np.asarray(scores, np.float64) >= scale.occurrence_min - TOLERANCE


def to_facs(scores: Array, scale: LabelScale) -> Array:
    """Scores in FACS units 0-5."""
    return np.asarray(scores, np.float64) * (FACS_MAX / scale.score_max)


def rank_consistent(probabilities: Array) -> Array:
    """Make P(score >= level) fall with the level, as it must: running minimum over levels, (..., L)."""
    return np.minimum.accumulate(np.asarray(probabilities, np.float64), axis=-1)


def occurrence_probability(probabilities: Array, points: Sequence[float], occurrence_min: float) -> Array:
    """Probability that an AU occurs: the level whose cutpoint is the occurrence rule.

    Args:
        probabilities: P(score >= cutpoint), (..., L).
        points: FACS cutpoints; empty = the single level is occurrence itself.
        occurrence_min: occurrence rule in FACS units (0-5).

    Returns:
        (...,): between two cutpoints the nearest cutpoint at or above the rule; the last one if all lie below it.
    """
    return rank_consistent(probabilities)[..., occurrence_level(points, occurrence_min)]


def occurrence_level(points: Sequence[float], occurrence_min: float) -> int:
    """Level that `occurrence_probability` reads; arguments as there."""
    if not points:
        return 0
    return min(int(np.searchsorted(np.asarray(points) + TOLERANCE, occurrence_min)), len(points) - 1)


def expected_intensity(probabilities: Array, points: Sequence[float]) -> Array:
    """Expected FACS intensity, (..., L) -> (...,): sum over levels of (c_l - c_{l-1}) P(score >= c_l), c_0 = 0."""
    steps = np.diff(np.asarray(points, np.float64), prepend=0.0)
    return np.asarray(rank_consistent(probabilities) @ steps)
